// Drawing the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::infer {

struct SamplingOptions {
  double temperature = 1;  ///< logits are divided by it; 0: the likeliest token
  int64_t top_k = 0;       ///< only the k likeliest; 0: all
  double top_p = 1;        ///< of those, the fewest that come to this probability (Holtzman et al. 2020)
  uint64_t seed = 0;
};

class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options) : options_(options) {}

  /// Token number `index` of a text: drawn from the stream (seed, index). Ties go to the lower id.
  int32_t Draw(std::span<const float> logits, uint64_t index);

 private:
  struct Candidate {
    double probability;
    int32_t token;
  };
  const SamplingOptions options_;
  std::vector<Candidate> candidates_;
};

}  // namespace lockstep::infer
