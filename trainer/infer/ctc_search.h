// Reading a CTC model's outputs: the likeliest path, or the likeliest labels over all paths (prefix beam search; Graves
// 2012, "Supervised Sequence Labelling", section 7.5; Hannun et al. 2014).
#pragma once

#include <cstddef>
#include <span>

#include "trainer/infer/beam_search.h"

namespace lockstep::infer {

/// `logits` [places, classes], class 0 the blank. With a beam of 1 the score is the likeliest path's log probability,
/// else that of all paths of the labels which the search has seen.
Hypothesis SearchCtc(std::span<const float> logits, size_t classes, int beam);

}  // namespace lockstep::infer
