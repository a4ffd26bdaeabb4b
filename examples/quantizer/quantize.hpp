// SPDX-License-Identifier: MIT
// How few bits the parts of a net need.
#pragma once

#include "cnn/model.hpp"
#include "quantizer/options.hpp"
#include "quantizer/results.hpp"
#include "quantizer/session.hpp"

namespace quantizer {

/// Searches formats for a net in float, and repairs what is chosen. What ends that early, Interrupted or an error, is
/// in the results beside what was found until then; before the first trial it is thrown. The net is changed by it:
/// `set` gives it the state that was chosen.
Results quantize(cnn::Model& model, const Pictures& pictures, const Options& options);

}  // namespace quantizer
