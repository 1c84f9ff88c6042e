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
  const float *table, *position_table;  ///< [v, c]; [at least positions, c] or nullptr
  float* y;
  int64_t positions, channels, entries;
  float scale;
  const int32_t* first = nullptr;  ///< by row: its first position
  int64_t most_positions = 0;      ///< of the table of positions, where there is `first`

  int64_t Position(int64_t token) const {
    if (first == nullptr) return token % positions;
    return std::min(first[token / positions] + token % positions, most_positions - 1);
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
    const float* position = l.position_table + l.Position(token) * l.channels;
    if (l.position_table == nullptr) {
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

std::shared_ptr<std::vector<float>> Sinusoids(int64_t positions, int64_t channels) {
  auto table = std::make_shared<std::vector<float>>();
  for (int64_t i = 0; i < positions * channels; ++i) {
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
  lookup.most_positions = lookup.positions;
  if (context.HasInput(3)) {
    lookup.first = context.Input<int32_t>(3);
    lookup.most_positions = context.HasInput(2) ? context.InputShape(2).dim(0) : attributes.positions;
  }
  const auto sinusoids = attributes.sinusoids ? Sinusoids(lookup.most_positions, lookup.channels) : nullptr;
  if (sinusoids != nullptr) lookup.position_table = sinusoids->data();
  // The kernel holds the sinusoids that `lookup` points to.
  return MakeKernel([lookup, sinusoids, tokens = id.size(), threads = context.threads] {
    ForEachPiece(threads, tokens, kLeastTokens, [&](int, int64_t begin, int64_t end) { LookUp(lookup, begin, end); });
  });
}

struct Scatter {
  const float* dy;
  const int32_t* id;
  float *dtable, *dposition;
  int64_t tokens, positions, channels, table_positions;
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

/// Positions [begin, end) of the table, summed over the batch in order.
LOCKSTEP_ISA_CLONES
void SumPositions(const Scatter& scatter, int64_t begin, int64_t end) {
  const Scatter s = scatter;
  std::fill(s.dposition + begin * s.channels, s.dposition + end * s.channels, 0.0f);
  for (int64_t token = 0; token < s.tokens; token += s.positions) {
    const int64_t last = std::min(end, s.positions);
    const float* dy = s.dy + token * s.channels;
#pragma GCC ivdep
    for (int64_t i = begin * s.channels; i < last * s.channels; ++i) s.dposition[i] += dy[i];
  }
}

std::unique_ptr<Kernel> PrepareEmbeddingGrad(const KernelContext& context) {
  const auto& attributes = context.Attributes<EmbeddingAttributes>();
  const Shape& id = context.InputShape(1);
  const bool has_positions = attributes.position.rank() > 0;
  const Scatter scatter{context.Input(0),
                        context.Input<int32_t>(1),
                        context.Output(0),
                        has_positions ? context.Output(1) : nullptr,
                        id.size(),
                        id.dim(-1),
                        attributes.table.dim(1),
                        has_positions ? attributes.position.dim(0) : 0,
                        attributes.scale};
  return MakeKernel([scatter, entries = attributes.table.dim(0), threads = context.threads] {
    if (scatter.dtable != nullptr) {
      ForEachPiece(threads, entries, kLeastTokens,
                   [&](int, int64_t begin, int64_t end) { ScatterEntries(scatter, begin, end); });
    }
    if (scatter.dposition != nullptr) {
      ForEachPiece(threads, scatter.table_positions, kLeastTokens,
                   [&](int, int64_t begin, int64_t end) { SumPositions(scatter, begin, end); });
    }
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kEmbedding, .prepare = PrepareEmbedding},
    {.kind = OpKind::kEmbeddingGrad, .prepare = PrepareEmbeddingGrad},
};

}  // namespace

std::span<const KernelRow> EmbeddingRows() { return kRows; }

}  // namespace lockstep::onednn
