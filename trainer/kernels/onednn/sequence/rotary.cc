// Rotary positions: pairs of dimensions of a head turn by the position. Turning back is the gradient.
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
using graph::OpKind;
using graph::RotaryAttributes;

struct Rotation {
  const float* x;
  float* y;                    ///< may be x
  const float *cosine, *sine;  ///< [positions, half]
  int64_t positions, channels, heads, half;
  const int32_t* first;    ///< by row of the batch: its first position; or nullptr
  int64_t most_positions;  ///< of cosine and sine

  int64_t Position(int64_t row) const {
    if (first == nullptr) return row % positions;
    return std::min(first[row / positions] + row % positions, most_positions - 1);
  }
};

LOCKSTEP_ISA_CLONES
void TurnRows(const Rotation& rotation, int64_t begin, int64_t end) {
  const Rotation o = rotation;
  for (int64_t row = begin; row < end; ++row) {
    const float *cosine = o.cosine + o.Position(row) * o.half, *sine = o.sine + o.Position(row) * o.half;
    for (int64_t head = 0; head < o.heads; ++head) {
      const int64_t at = row * o.channels + head * 2 * o.half;
      const float* x = o.x + at;
      float* y = o.y + at;
#pragma GCC ivdep
      for (int64_t i = 0; i < o.half; ++i) {
        const float a = x[i], b = x[i + o.half];
        y[i] = a * cosine[i] - b * sine[i];
        y[i + o.half] = b * cosine[i] + a * sine[i];
      }
    }
    const int64_t rest = row * o.channels + 2 * o.half * o.heads;
    if (o.x != o.y) std::copy(o.x + rest, o.x + (row + 1) * o.channels, o.y + rest);
  }
}

/// Cosines of all positions, then sines.
std::shared_ptr<std::vector<float>> Turns(int64_t positions, const RotaryAttributes& attributes) {
  const int64_t half = attributes.head_size / 2;
  auto turns = std::make_shared<std::vector<float>>(static_cast<size_t>(2 * positions * half));
  for (int64_t i = 0; i < positions * half; ++i) {
    const int64_t position = i / half;
    const double frequency = kernels::Frequency(double{attributes.base}, i % half, attributes.head_size);
    const kernels::Turn turn = kernels::TurnBy(static_cast<double>(position) * frequency);
    (*turns)[static_cast<size_t>(i)] = static_cast<float>(turn.cosine);
    (*turns)[static_cast<size_t>(positions * half + i)] =
        static_cast<float>(attributes.inverse ? -turn.sine : turn.sine);
  }
  return turns;
}

constexpr int64_t kLeastRows = 16;

std::unique_ptr<Kernel> PrepareRotary(const KernelContext& context) {
  const auto& attributes = context.Attributes<RotaryAttributes>();
  const Shape& x = context.InputShape(0);
  const int64_t positions = x.dim(-2), half = attributes.head_size / 2;
  const int64_t most = context.HasInput(1) ? attributes.positions : positions;
  const auto turns = Turns(most, attributes);
  const Rotation rotation{context.Input(0), context.Output(0), turns->data(), turns->data() + most * half, positions,
                          x.dim(-1),        attributes.heads,  half,          context.Input<int32_t>(1),   most};
  // The kernel holds the turns that `rotation` points to.
  return MakeKernel([rotation, turns, rows = Rows(x), threads = context.threads] {
    ForEachPiece(threads, rows, kLeastRows, [&](int, int64_t begin, int64_t end) { TurnRows(rotation, begin, end); });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kRotary, .prepare = PrepareRotary},
};

}  // namespace

std::span<const KernelRow> RotaryRows() { return kRows; }

}  // namespace lockstep::onednn
