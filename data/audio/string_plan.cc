#include "data/audio/string_plan.h"

#include <algorithm>

#include "base/error.h"
#include "base/philox.h"
#include "data/random_keys.h"
#include "data/sampler.h"

namespace lockstep::data {

StringPlan::StringPlan(std::vector<std::vector<uint32_t>> speakers, const StringPlanOptions& options)
    : speakers_(std::move(speakers)), seed_(options.seed) {
  CHECK(1 <= options.least && options.least <= options.most && options.rounds >= 1);
  const auto spread = static_cast<uint64_t>(options.most - options.least + 1);
  for (uint32_t round = 0; round < static_cast<uint32_t>(options.rounds); ++round) {
    for (uint32_t speaker = 0; speaker < speakers_.size(); ++speaker) {
      const RandomStream stream{seed_, round, kStringKey, speaker};
      const auto recordings = static_cast<uint32_t>(speakers_[speaker].size());
      for (uint32_t first = 0, element = 0; first < recordings; ++element) {
        const auto drawn =
            static_cast<uint32_t>(options.least) + static_cast<uint32_t>(stream.Bits(element) * spread >> 32);
        const uint32_t count = std::min(drawn, recordings - first);
        strings_.push_back({speaker, round, first, count});
        first += count;
      }
    }
  }
}

uint32_t StringPlan::Recording(uint64_t epoch, uint64_t id, int index) const {
  const String& string = strings_[id];
  const std::vector<uint32_t>& recordings = speakers_[string.speaker];
  const uint64_t seed = Mix64(Mix64(seed_ + kStringKey) + (uint64_t{string.round} << 32 | string.speaker));
  const Sampler order(recordings.size(), seed);
  return recordings[order.At(epoch * recordings.size() + string.first + static_cast<uint64_t>(index)).id];
}

}  // namespace lockstep::data
