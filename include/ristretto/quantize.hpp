// SPDX-License-Identifier: MIT
// All of ristretto for the host.
#pragma once

#include <ristretto/any_format.hpp>
#include <ristretto/compensate.hpp>
#include <ristretto/eigen.hpp>
#include <ristretto/formats.hpp>
#include <ristretto/measure.hpp>
#include <ristretto/range.hpp>
#include <ristretto/repair.hpp>
#include <ristretto/rounding.hpp>
#include <ristretto/search.hpp>
#include <ristretto/shadow.hpp>
#include <ristretto/span.hpp>
#include <ristretto/trimmer.hpp>
