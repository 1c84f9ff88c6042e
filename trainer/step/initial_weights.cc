#include "trainer/step/initial_weights.h"

#include <algorithm>

#include "base/error.h"
#include "base/philox.h"

namespace lockstep::step {
namespace {

// Layers that draw numbers during steps have keys from 1 up; parameters draw theirs once, from here up.
constexpr uint32_t kFirstParameterKey = 1u << 24;

}  // namespace

void InitializeWeights(const graph::Model& model, const engine::ParameterLayout& layout, uint64_t seed,
                       std::span<float> weights) {
  std::fill(weights.begin(), weights.end(), 0.0f);
  uint32_t key = kFirstParameterKey;
  for (const graph::ParameterInfo& info : model.parameters) {
    const engine::ArenaEntry* entry = layout.Find(model.graph.value(info.value).name);
    CHECK(entry != nullptr, "no place for {}", model.graph.value(info.value).name);
    const RandomStream stream{seed, 0, key++, 0};
    float* data = weights.data() + entry->offset;
    if (!info.values.empty()) {
      std::ranges::copy(info.values, data);
      continue;
    }
    for (int64_t i = 0; i < entry->size(); ++i) {
      double value = info.initializer.value;
      if (info.initializer.deviation != 0) {
        const Philox4 words = stream.Group(static_cast<uint32_t>(i / 2));
        const int at = static_cast<int>(i % 2) * 2;
        value += double{info.initializer.deviation} * NormalFromBits(words.x[at], words.x[at + 1]);
      }
      if (info.initializer.uniform != 0) {
        value += double{info.initializer.uniform} * (2 * double{stream.Uniform(static_cast<uint32_t>(i))} - 1);
      }
      data[i] = static_cast<float>(value);
    }
  }
}

}  // namespace lockstep::step
