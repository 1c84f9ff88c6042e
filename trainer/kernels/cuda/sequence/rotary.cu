// Rotary positions: pairs of dimensions of a head turn by the position. Turning back is the gradient.
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/cuda/sequence/turns.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

/// A thread turns a pack of pairs of one head, or copies two packs of what is behind the heads: a row is cut into
/// pieces of 2 kPack channels, those of the heads first.
template <typename T, int kPack>
struct TurnRows {
  static constexpr int kThreads = 256;

  const T* x;
  T* y;  ///< may be x
  const float* turns;
  int64_t rows, positions, channels, heads, half;
  Positions counted;
  int64_t table_positions;

  LOCKSTEP_HD int64_t turned() const { return heads * (half / kPack); }
  /// Channels behind the heads may be an odd number of packs.
  LOCKSTEP_HD int64_t pieces() const { return turned() + (channels - heads * 2 * half + 2 * kPack - 1) / (2 * kPack); }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const Quotient at = Divide(block.index() * kThreads + t, pieces());
      const int64_t row = at.quotient, piece = at.remainder;
      if (row >= rows) return;
      if (piece < turned()) return Turn(row, piece);
      if (x == y) return;
      const int64_t first = heads * 2 * half + (piece - turned()) * 2 * kPack;
      LOCKSTEP_UNROLL
      for (int k = 0; k < 2; ++k) {
        const int64_t channel = first + k * kPack;
        if (channel < channels) Copy(row * channels + channel);
      }
    });
  }

 private:
  LOCKSTEP_HD void Turn(int64_t row, int64_t piece) const {
    const Quotient head = Divide(piece, half / kPack);
    const int64_t pair = head.remainder * kPack, position = counted.Of(row, positions);
    const int64_t at = row * channels + head.quotient * 2 * half + pair;
    float a[kPack], b[kPack], cosine[kPack], sine[kPack], first[kPack], second[kPack];
    LoadPack<kPack>(x + at, a);
    LoadPack<kPack>(x + at + half, b);
    LoadPack<kPack>(turns + position * half + pair, cosine);
    LoadPack<kPack>(turns + (table_positions + position) * half + pair, sine);
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) {
      first[i] = a[i] * cosine[i] - b[i] * sine[i];
      second[i] = b[i] * cosine[i] + a[i] * sine[i];
    }
    StorePack<kPack>(first, y + at);
    StorePack<kPack>(second, y + at + half);
  }

  LOCKSTEP_HD void Copy(int64_t at) const {
    *reinterpret_cast<Pack<T, kPack>*>(y + at) = *reinterpret_cast<const Pack<T, kPack>*>(x + at);
  }
};

int64_t TablePositions(const OpContext& context) {
  return context.HasInput(1) ? context.Attributes<graph::RotaryAttributes>().positions : context.InputShape(0).dim(-2);
}

size_t Workspace(const OpContext& context) {
  const auto& attributes = context.Attributes<graph::RotaryAttributes>();
  return static_cast<size_t>(TablePositions(context)) * static_cast<size_t>(attributes.head_size) * sizeof(float);
}

std::unique_ptr<Kernel> PrepareRotary(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::RotaryAttributes>();
  const Shape& x = context.InputShape(0);
  const int64_t channels = x.dim(-1), half = attributes.head_size / 2;
  const TurnTable table{reinterpret_cast<float*>(context.operands.workspace), TablePositions(context), half,
                        static_cast<double>(attributes.base), attributes.inverse};
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({channels, half}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const TurnRows<T, kPack> kernel{context.Input<T>(0),
                                      context.Output<T>(0),
                                      table.table,
                                      Rows(x),
                                      x.dim(-2),
                                      channels,
                                      attributes.heads,
                                      half,
                                      {context.Input<int32_t>(1), table.positions},
                                      table.positions};
      return MakeKernel([=, stream = &context.stream] {
        LaunchTable(*stream, table);
        Launch(*stream, BlocksFor(kernel.rows * kernel.pieces(), kernel.kThreads, 1), kernel);
      });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kRotary, .prepare = PrepareRotary, .workspace_bytes = Workspace},
};

}  // namespace

std::span<const KernelRow> RotaryRows() { return kRows; }

}  // namespace lockstep::cuda
