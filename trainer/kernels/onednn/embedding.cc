// Embeddings: rows of a table, looked up, and their gradient.
#include <algorithm>
#include <memory>
#include <vector>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"
#include "trainer/kernels/positions.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::EmbeddingAttributes;
using graph::OpKind;

struct Lookup {
  const int32_t* id;
  const float *table, *position;  ///< [v, c]; [at least places, c] or nullptr
  float* y;
  int64_t places, channels, entries;
  float scale;
  const int32_t* first = nullptr;  ///< by row: its first place
  int64_t most_places = 0;         ///< of `position`, where there is `first`

  int64_t Place(int64_t token) const {
    if (first == nullptr) return token % places;
    return std::min(first[token / places] + token % places, most_places - 1);
  }
};

LOCKSTEP_ISA_CLONES
void LookUp(const Lookup& lookup, int64_t begin, int64_t end) {
  const Lookup l = lookup;
  for (int64_t token = begin; token < end; ++token) {
    const int64_t id = l.id[token];
    CHECK(id < l.entries, "id {} of {}", id, l.entries);
    float* y = l.y + token * l.channels;
    const float* row = l.table + id * l.channels;
    const float* position = l.position + l.Place(token) * l.channels;
    if (l.position == nullptr) {
      if (id < 0) {
        std::fill_n(y, l.channels, 0.0f);
      } else {
#pragma GCC ivdep
        for (int64_t i = 0; i < l.channels; ++i) y[i] = row[i] * l.scale;
      }
    } else if (id < 0) {
      std::copy_n(position, l.channels, y);
    } else {
#pragma GCC ivdep
      for (int64_t i = 0; i < l.channels; ++i) y[i] = row[i] * l.scale + position[i];
    }
  }
}

std::shared_ptr<std::vector<float>> Sinusoids(int64_t places, int64_t channels) {
  auto table = std::make_shared<std::vector<float>>();
  for (int64_t i = 0; i < places * channels; ++i) {
    table->push_back(static_cast<float>(kernels::Sinusoid(i / channels, i % channels, channels)));
  }
  return table;
}

constexpr int64_t kLeastTokens = 64;

std::unique_ptr<Kernel> PrepareEmbedding(const KernelContext& context) {
  const auto& attributes = context.Attributes<EmbeddingAttributes>();
  const Shape &id = context.InputShape(0), &table = context.InputShape(1);
  Lookup lookup{context.Input<int32_t>(0),
                context.Input(1),
                context.Input(2),
                context.Output(0),
                id.dim(-1),
                table.dim(1),
                table.dim(0),
                attributes.scale};
  lookup.most_places = lookup.places;
  if (context.HasInput(3)) {
    lookup.first = context.Input<int32_t>(3);
    lookup.most_places = context.HasInput(2) ? context.InputShape(2).dim(0) : attributes.places;
  }
  const auto sinusoids = attributes.sinusoids ? Sinusoids(lookup.most_places, lookup.channels) : nullptr;
  if (sinusoids != nullptr) lookup.position = sinusoids->data();
  // The kernel holds the sinusoids that `lookup` points to.
  return MakeKernel([lookup, sinusoids, tokens = id.size(), threads = context.threads] {
    ForEachPiece(threads, tokens, kLeastTokens, [&](int, int64_t begin, int64_t end) { LookUp(lookup, begin, end); });
  });
}

struct Scatter {
  const float* dy;
  const int32_t* id;
  float *dtable, *dposition;
  int64_t tokens, places, channels, table_places;
  float scale;
};

/// Entries [begin, end) of the table: each token's gradient is added in the order of tokens.
LOCKSTEP_ISA_CLONES
void ScatterEntries(const Scatter& scatter, int64_t begin, int64_t end) {
  const Scatter s = scatter;
  std::fill(s.dtable + begin * s.channels, s.dtable + end * s.channels, 0.0f);
  for (int64_t token = 0; token < s.tokens; ++token) {
    const int64_t id = s.id[token];
    if (id < begin || id >= end) continue;
    const float* dy = s.dy + token * s.channels;
    float* row = s.dtable + id * s.channels;
#pragma GCC ivdep
    for (int64_t i = 0; i < s.channels; ++i) row[i] += dy[i] * s.scale;
  }
}

/// Places [begin, end) of the positions, summed over the batch in order.
LOCKSTEP_ISA_CLONES
void SumPlaces(const Scatter& scatter, int64_t begin, int64_t end) {
  const Scatter s = scatter;
  std::fill(s.dposition + begin * s.channels, s.dposition + end * s.channels, 0.0f);
  for (int64_t token = 0; token < s.tokens; token += s.places) {
    const int64_t last = std::min(end, s.places);
    const float* dy = s.dy + token * s.channels;
#pragma GCC ivdep
    for (int64_t i = begin * s.channels; i < last * s.channels; ++i) s.dposition[i] += dy[i];
  }
}

std::unique_ptr<Kernel> PrepareEmbeddingGrad(const KernelContext& context) {
  const auto& attributes = context.Attributes<EmbeddingAttributes>();
  const Shape& id = context.InputShape(1);
  const bool positions = attributes.position.rank() > 0;
  const Scatter scatter{context.Input(0),
                        context.Input<int32_t>(1),
                        context.Output(0),
                        positions ? context.Output(1) : nullptr,
                        id.size(),
                        id.dim(-1),
                        attributes.table.dim(1),
                        positions ? attributes.position.dim(0) : 0,
                        attributes.scale};
  return MakeKernel([scatter, entries = attributes.table.dim(0), threads = context.threads] {
    if (scatter.dtable != nullptr) {
      ForEachPiece(threads, entries, kLeastTokens,
                   [&](int, int64_t begin, int64_t end) { ScatterEntries(scatter, begin, end); });
    }
    if (scatter.dposition != nullptr) {
      ForEachPiece(threads, scatter.table_places, kLeastTokens,
                   [&](int, int64_t begin, int64_t end) { SumPlaces(scatter, begin, end); });
    }
  });
}

}  // namespace

KernelRow EmbeddingRow(OpKind kind) {
  switch (kind) {
    case OpKind::kEmbedding:
      return {.prepare = PrepareEmbedding};
    case OpKind::kEmbeddingGrad:
      return {.prepare = PrepareEmbeddingGrad};
    default:
      return {};
  }
}

}  // namespace lockstep::onednn
