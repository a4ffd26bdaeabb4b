// SPDX-License-Identifier: MIT
// All families of formats, and their presets.
#pragma once

#include <ristretto/formats/fixed_point.hpp>
#include <ristretto/formats/minifloat.hpp>
#include <ristretto/formats/power_of_two.hpp>
