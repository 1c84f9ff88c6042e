#include "data/drawn_samples.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "data/chosen_samples.h"
#include "data/sampler.h"

namespace lockstep::data {

std::shared_ptr<const Dataset> DrawSamples(std::shared_ptr<const Dataset> whole, uint64_t count, uint64_t seed) {
  if (count == 0 || count >= whole->size()) return whole;
  const Sampler sampler(whole->size(), seed);
  std::vector<uint64_t> ids;
  ids.reserve(count);
  for (uint64_t position = 0; position < count; ++position) ids.push_back(sampler.At(position).id);
  std::sort(ids.begin(), ids.end());
  const uint64_t fingerprint = whole->fingerprint();
  return ChooseSamples(std::move(whole), std::move(ids), fingerprint);
}

}  // namespace lockstep::data
