// Translations by beam search: of all targets that the decoder may write, the `beam` best prefixes are kept at each
// step, and a finished one's score is its log probability divided by length^length_power (Wu et al. 2016, without
// coverage). With a beam of 1: the likeliest token at each step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/infer/decoder.h"

namespace lockstep::infer {

struct BeamOptions {
  int beam = 5;
  double length_power = 1;
  int32_t begin = 1, end = 2;       ///< of a sentence
  std::vector<int32_t> never = {};  ///< tokens that no target has: begin of sentence, padding
  int64_t most_extra = 14;          ///< a target has at most so many tokens more than its source
};

struct Hypothesis {
  double score = 0;
  std::vector<int32_t> tokens;  ///< without begin and end
};

/// The best target of each source. `sources` i32 [sources, source] of `lengths` [sources] tokens, as the decoder's
/// options say; the decoder has options().sources * beam rows, and room for the longest target.
std::vector<Hypothesis> SearchBeams(Decoder& decoder, std::span<const int32_t> sources,
                                    std::span<const int32_t> lengths, const BeamOptions& options);

}  // namespace lockstep::infer
