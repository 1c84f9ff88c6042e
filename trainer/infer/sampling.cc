#include "trainer/infer/sampling.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/philox.h"

namespace lockstep::infer {
namespace {

// Out of the way of the keys that training draws with.
constexpr uint32_t kSamplingKey = 0x5A3B0001u;

}  // namespace

int32_t Sampler::Draw(std::span<const float> logits, uint64_t index) {
  CHECK(!logits.empty());
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (options_.temperature <= 0 || options_.top_k == 1) return static_cast<int32_t>(largest - logits.begin());
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    const double power = (static_cast<double>(logits[i]) - static_cast<double>(*largest)) / options_.temperature;
    candidates_.push_back({std::exp(power), static_cast<int32_t>(i)});
  }
  if (options_.top_k > 0 || options_.top_p < 1) {
    std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
      return a.probability != b.probability ? a.probability > b.probability : a.token < b.token;
    });
    if (options_.top_k > 0 && static_cast<size_t>(options_.top_k) < candidates_.size())
      candidates_.resize(static_cast<size_t>(options_.top_k));
  }
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.probability;
  if (options_.top_p < 1) {
    double kept = 0;
    size_t count = 0;
    while (count < candidates_.size() && kept < options_.top_p * total) kept += candidates_[count++].probability;
    candidates_.resize(std::max<size_t>(1, count));
    total = kept;
  }
  double left = RandomStream{options_.seed, index, kSamplingKey, 0}.Uniform(0) * total;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.probability;
    if (left < 0) return candidate.token;
  }
  return candidates_.back().token;
}

}  // namespace lockstep::infer
