#include "trainer/kernels/cuda/dense/cudnn_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/memory.h"

namespace lockstep::cuda {
namespace {

using Direction = AttentionSpec::Direction;
using Tensor = CudnnGraph::Tensor;

enum Id : int64_t { kQ, kK, kV, kY, kLse, kDy, kDq, kDk, kDv, kDots, kScale, kOne, kLowest, kIds };

/// A spec's tensors, as sizes row, head, position, dimension.
struct Layouts {
  Layouts(const AttentionSpec& s, int64_t rows)
      : part{{rows, s.heads, s.positions, s.head_size},
             {s.positions * 3 * s.heads * s.head_size, s.head_size, 3 * s.heads * s.head_size, 1}},
        part_transposed(Transposed(part)),
        y{part.sizes, {s.positions * s.heads * s.head_size, s.head_size, s.heads * s.head_size, 1}},
        scores(CudnnLayout::Dense({rows, s.heads, s.positions, s.positions})),
        scores_transposed{scores.sizes, {scores.strides[0], scores.strides[1], 1, s.positions}},
        statistic(CudnnLayout::Dense({rows, s.heads, s.positions, 1})) {}

  static CudnnLayout Transposed(CudnnLayout layout) {
    std::swap(layout.sizes[2], layout.sizes[3]);
    std::swap(layout.strides[2], layout.strides[3]);
    return layout;
  }

  CudnnLayout part;  ///< q, k or v
  CudnnLayout part_transposed, y, scores, scores_transposed, statistic;
};

/// A graph under construction, with what both directions share.
struct Builder {
  Builder(const AttentionSpec& s, int64_t rows) : spec(s), layouts(s, rows) {}

  Tensor Operand(Id id, const CudnnLayout& layout) { return graph.Operand(id, layout, spec.type); }
  Tensor Statistic(Id id) { return graph.Operand(id, layouts.statistic, DType::kF32); }
  /// The library's bf16, where a product reads it.
  static constexpr cudnnDataType_t kRounded = CUDNN_DATA_BFLOAT16;

  Tensor Of(cudnnPointwiseMode_t mode, Tensor x, std::optional<Tensor> b, const CudnnLayout& layout,
            cudnnDataType_t type = CUDNN_DATA_FLOAT) {
    const Tensor y = graph.Between(layout, type);
    graph.Pointwise(mode, x, b, y);
    return y;
  }
  Tensor Reduced(cudnnReduceTensorOp_t operation, Tensor x) {
    const Tensor y = graph.Between(layouts.statistic);
    graph.Reduce(operation, x, y);
    return y;
  }
  Tensor Product(Tensor a, Tensor b) {
    const Tensor y = graph.Between(layouts.scores);
    graph.Multiply(a, b, y);
    return y;
  }
  Tensor Reshaped(Tensor x, const CudnnLayout& layout) {
    const Tensor y = graph.Between(layout, kRounded);
    graph.Reshape(x, y);
    return y;
  }
  /// Scores of keys behind the query become the lowest number: not -infinity, of which a tile that sees nothing would
  /// make not-a-number.
  Tensor Masked(Tensor scores) {
    if (!spec.causal) return scores;
    const Tensor query = graph.Between(layouts.scores, CUDNN_DATA_INT32),
                 key = graph.Between(layouts.scores, CUDNN_DATA_INT32),
                 seen = graph.Between(layouts.scores, CUDNN_DATA_BOOLEAN), masked = graph.Between(layouts.scores);
    graph.Index(scores, 2, query);
    graph.Index(scores, 3, key);
    graph.AtLeast(query, key, seen);
    graph.Select(seen, scores, graph.Number(kLowest), masked);
    return masked;
  }

  const AttentionSpec& spec;
  const Layouts layouts;
  CudnnGraph graph;
};

CudnnGraph ForwardGraph(const AttentionSpec& spec, int64_t rows) {
  Builder b(spec, rows);
  const Layouts& l = b.layouts;
  const Tensor q = b.Operand(kQ, l.part), k = b.Operand(kK, l.part_transposed), v = b.Operand(kV, l.part),
               y = b.Operand(kY, l.y);
  const Tensor scores = b.Masked(b.Of(CUDNN_POINTWISE_MUL, b.Product(q, k), b.graph.Number(kScale), l.scores));
  const Tensor largest = b.Reduced(CUDNN_REDUCE_TENSOR_MAX, scores);
  const Tensor shares = b.Of(CUDNN_POINTWISE_EXP, b.Of(CUDNN_POINTWISE_SUB, scores, largest, l.scores), {}, l.scores);
  const Tensor total = b.Reduced(CUDNN_REDUCE_TENSOR_ADD, shares);
  b.graph.Add(largest, b.Of(CUDNN_POINTWISE_LOG, total, {}, l.statistic), b.Statistic(kLse));
  b.graph.Multiply(b.Of(CUDNN_POINTWISE_DIV, shares, total, l.scores, b.kRounded), v, y);
  return std::move(b.graph);
}

CudnnGraph GradientGraph(const AttentionSpec& spec, int64_t rows) {
  Builder b(spec, rows);
  const Layouts& l = b.layouts;
  const Tensor q = b.Operand(kQ, l.part), k = b.Operand(kK, l.part_transposed), v = b.Operand(kV, l.part_transposed),
               y = b.Operand(kY, l.y), dy = b.Operand(kDy, l.y), lse = b.Statistic(kLse);
  const Tensor scale = b.graph.Number(kScale);
  // dots = sum of dy y; the engines want them multiplied with something, and in memory.
  const Tensor dots = b.Statistic(kDots);
  const Tensor products = b.Of(CUDNN_POINTWISE_MUL, dy, y,
                               {l.part.sizes, {l.y.strides[0], spec.positions * spec.head_size, l.y.strides[2], 1}});
  b.graph.Pointwise(CUDNN_POINTWISE_MUL, b.Reduced(CUDNN_REDUCE_TENSOR_ADD, products), b.graph.Number(kOne), dots);
  // Of a query, the share of each key; dv = shares^T dy.
  const Tensor scores = b.Of(CUDNN_POINTWISE_MUL, b.Product(q, k), scale, l.scores);
  const Tensor shares =
      b.Of(CUDNN_POINTWISE_EXP, b.Masked(b.Of(CUDNN_POINTWISE_SUB, scores, lse, l.scores)), {}, l.scores);
  b.graph.Multiply(b.Reshaped(shares, l.scores_transposed), dy, b.Operand(kDv, l.part));
  // dscores = shares (dy v^T - dots) scale; dk = dscores^T q, dq = dscores k.
  const Tensor slopes = b.Of(CUDNN_POINTWISE_SUB, b.Product(dy, v), dots, l.scores);
  const Tensor dscores =
      b.Of(CUDNN_POINTWISE_MUL, b.Of(CUDNN_POINTWISE_MUL, slopes, shares, l.scores), scale, l.scores);
  b.graph.Multiply(b.Reshaped(dscores, l.scores_transposed), q, b.Operand(kDk, l.part));
  b.graph.Multiply(dscores, b.Reshaped(k, l.part), b.Operand(kDq, l.part));
  return std::move(b.graph);
}

size_t StatisticBytes(const AttentionSpec& spec, int64_t rows) {
  return static_cast<size_t>(rows * spec.heads * spec.positions) * sizeof(float);
}

/// Of all rows at once: what the second and third dimension of a grid hold.
constexpr int64_t kMostHeads = 65535;

/// The other direction.
AttentionSpec Other(AttentionSpec spec) {
  spec.direction = spec.direction == Direction::kForward ? Direction::kGradient : Direction::kForward;
  return spec;
}

}  // namespace

const CudnnAttention::Planned& CudnnAttention::PlannedFor(const AttentionSpec& spec) {
  const auto found = std::ranges::find(planned_, spec, [](const auto& planned) { return planned->spec; });
  if (found != planned_.end()) return **found;
  auto planned = std::make_unique<Planned>();
  planned->spec = spec;
  planned->numbers = {.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spec.head_size))),
                      .lowest = std::numeric_limits<float>::lowest()};
  const bool gradient = spec.direction == Direction::kGradient;
  planned->rows = gradient || spec.rows * spec.heads > kMostHeads ? GradientRows(spec) : spec.rows;
  planned->statistic_bytes = AlignUp(StatisticBytes(spec, spec.rows), kBufferAlignment);
  // Engines want vectors of 16 bytes. Others have no plan, and some of them are refused with words of bugs.
  if (spec.type == DType::kBF16 && spec.head_size % 8 == 0 && planned->rows > 0) {
    const CudnnGraph graph = gradient ? GradientGraph(spec, planned->rows) : ForwardGraph(spec, planned->rows);
    planned->plan = graph.Plan(device_, {.tensor_cores = true, .workspace_limit = kAttentionWorkspaceLimit});
    // No engine says that its sums have no order: one that doesn't keep every score is not trusted with them.
    const auto scores = static_cast<size_t>(planned->rows * spec.heads * spec.positions * spec.positions);
    if (gradient && planned->plan != nullptr && planned->plan->workspace_bytes() < 2 * scores) planned->plan.reset();
  }
  return *planned_.emplace_back(std::move(planned));
}

bool CudnnAttention::Supports(const AttentionSpec& spec) {
  return PlannedFor(spec).plan != nullptr && PlannedFor(Other(spec)).plan != nullptr;
}

size_t CudnnAttention::WorkspaceBytes(const AttentionSpec& spec) {
  const Planned& planned = PlannedFor(spec);
  CHECK(planned.plan != nullptr, "cuDNN has no {}", spec.ToString());
  return planned.statistic_bytes + planned.plan->workspace_bytes();
}

std::string CudnnAttention::Describe(const AttentionSpec& spec) {
  const Planned& planned = PlannedFor(spec);
  CHECK(planned.plan != nullptr, "cuDNN has no {}", spec.ToString());
  return fmt::format("{}, {} rows at once", planned.plan->description(), planned.rows);
}

CudnnBinding CudnnAttention::Bind(const Planned& planned, const AttentionOperands& operands, int64_t first_row) const {
  const AttentionSpec& spec = planned.spec;
  const int64_t head_bytes = spec.heads * spec.head_size * SizeOf(spec.type);
  const int64_t row_bytes = spec.positions * head_bytes;
  const auto at = [](const void* base, int64_t bytes) {
    return base == nullptr ? nullptr : static_cast<const std::byte*>(base) + bytes;
  };
  const auto part = [&](const void* base, int64_t index) {
    return at(base, 3 * first_row * row_bytes + index * head_bytes);
  };
  const auto statistic = static_cast<int64_t>(StatisticBytes(spec, first_row));
  std::array<const void*, kIds> addresses = {};
  addresses[kQ] = part(operands.query, 0);
  addresses[kK] = part(operands.query, 1);
  addresses[kV] = part(operands.query, 2);
  addresses[kY] = at(operands.y, first_row * row_bytes);
  addresses[kLse] =
      at(operands.lse == nullptr ? operands.workspace : static_cast<const void*>(operands.lse), statistic);
  addresses[kDy] = at(operands.dy, first_row * row_bytes);
  addresses[kDq] = part(operands.dquery, 0);
  addresses[kDk] = part(operands.dquery, 1);
  addresses[kDv] = part(operands.dquery, 2);
  addresses[kDots] = at(operands.workspace, statistic);
  addresses[kScale] = &planned.numbers.scale;
  addresses[kOne] = &planned.numbers.one;
  addresses[kLowest] = &planned.numbers.lowest;
  return {*planned.plan, addresses, operands.workspace + planned.statistic_bytes};
}

std::vector<CudnnBinding> CudnnAttention::Bindings(const AttentionSpec& spec, const AttentionOperands& operands) {
  const Planned& planned = PlannedFor(spec);
  CHECK(planned.plan != nullptr, "cuDNN has no {}", spec.ToString());
  std::vector<CudnnBinding> bindings;
  for (int64_t row = 0; row < spec.rows; row += planned.rows) bindings.push_back(Bind(planned, operands, row));
  return bindings;
}

std::unique_ptr<engine::Kernel> CudnnAttention::Prepare(const AttentionSpec& spec, const AttentionOperands& operands,
                                                        DeviceStream& stream) {
  CHECK(device_.handle() != nullptr, "kernels for a device that is only described");
  return MakeCudnnKernel(device_.handle(), stream, Bindings(spec, operands));
}

}  // namespace lockstep::cuda
