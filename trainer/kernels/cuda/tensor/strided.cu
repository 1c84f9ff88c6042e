// Copies of views and their gradients, and padding. Transposes go by tiles through shared memory (blocks/copies.h); of
// the others a thread moves a pack of neighbours, or an element where they lie apart.
#include "trainer/kernels/cuda/blocks/copies.h"
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/padding.h"
#include "trainer/kernels/strided_copy.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::CopyDimension;
using kernels::PadPlan;
using kernels::StridedCopy;

template <typename T, int kPack>
struct CopyPacks {
  static constexpr int kThreads = 256;

  StridedCopy copy;
  int64_t packs;
  const T* from;
  T* to;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      int64_t index = block.index() * kThreads + t;
      if (index >= packs) return;
      int64_t source = copy.from_offset, target = copy.to_offset;
      for (int d = copy.count - 1; d >= 0; --d) {
        const CopyDimension& dim = copy.dims[d];
        const int64_t pack = d == copy.count - 1 ? kPack : 1;
        const Quotient at = Divide(index, dim.size / pack);
        source += at.remainder * pack * dim.from;
        target += at.remainder * pack * dim.to;
        index = at.quotient;
      }
      *reinterpret_cast<Pack<T, kPack>*>(to + target) = *reinterpret_cast<const Pack<T, kPack>*>(from + source);
    });
  }
};

/// Whether neighbours in packs of `pack` lie as one, aligned, in both layouts.
bool MovesPacks(const StridedCopy& copy, int64_t pack) {
  if (copy.count == 0) return false;
  const CopyDimension& row = copy.dims[copy.count - 1];
  bool fits = row.from == 1 && row.to == 1 && row.size % pack == 0;
  fits = fits && copy.from_offset % pack == 0 && copy.to_offset % pack == 0;
  for (int d = 0; d + 1 < copy.count; ++d) {
    fits = fits && copy.dims[d].from % pack == 0 && copy.dims[d].to % pack == 0;
  }
  return fits;
}

template <typename T, int kPack>
std::unique_ptr<Kernel> PreparePacks(const KernelContext& context, const StridedCopy& copy, size_t cleared) {
  const CopyPacks<T, kPack> kernel{copy, copy.size() / kPack, context.Input<T>(0), context.Output<T>(0)};
  return MakeKernel([kernel, cleared, stream = &context.stream] {
    if (cleared > 0) stream->Clear(kernel.to, cleared);
    Launch(*stream, BlocksFor(kernel.packs, kernel.kThreads, 1), kernel);
  });
}

template <typename T>
std::unique_ptr<Kernel> PrepareCopy(const KernelContext& context, const StridedCopy& copy, size_t cleared) {
  constexpr int kPack = 16 / sizeof(T);
  return MovesPacks(copy, kPack) ? PreparePacks<T, kPack>(context, copy, cleared)
                                 : PreparePacks<T, 1>(context, copy, cleared);
}

std::unique_ptr<Kernel> PrepareCopy(const KernelContext& context, const StridedCopy& copy, size_t cleared) {
  const int64_t bytes = SizeOf(context.InputType(0));
  if (bytes == 1) return PrepareCopy<uint8_t>(context, copy, cleared);
  if (bytes == 2) return PrepareCopy<uint16_t>(context, copy, cleared);
  return PrepareCopy<uint32_t>(context, copy, cleared);
}

/// The matrices that a copy without gaps transposes; none where it does something else.
TransposeShape TransposesOf(const StridedCopy& copy) {
  if (copy.count < 2 || copy.count > 3 || copy.from_offset != 0) return {0, 0, 0};
  const CopyDimension &columns = copy.dims[copy.count - 2], &rows = copy.dims[copy.count - 1];
  const int64_t matrix = rows.size * columns.size;
  if (columns.from != 1 || rows.from != columns.size || rows.to != 1 || columns.to != rows.size) return {0, 0, 0};
  if (copy.count == 2) return {1, rows.size, columns.size};
  return copy.dims[0].from == matrix ? TransposeShape{copy.dims[0].size, rows.size, columns.size}
                                     : TransposeShape{0, 0, 0};
}

std::unique_ptr<Kernel> PrepareStrided(const KernelContext& context) {
  const StridedCopy copy = StridedCopy::FromView(context.Attributes<graph::StridedAttributes>());
  const TransposeShape shape = TransposesOf(copy);
  if (shape.batch == 0 || SizeOf(context.InputType(0)) == 1) return PrepareCopy(context, copy, 0);
  // Copies of 4 bytes keep their bits as float.
  const DType type = SizeOf(context.InputType(0)) == 2 ? DType::kBF16 : DType::kF32;
  return PrepareTransposes(type, context.Input<void>(0), type, context.Output<void>(0), shape, context.stream);
}

std::unique_ptr<Kernel> PrepareStridedGrad(const KernelContext& context) {
  const StridedCopy copy = StridedCopy::ToView(context.Attributes<graph::StridedAttributes>());
  return PrepareCopy(context, copy, static_cast<size_t>(context.OutputShape(0).size() * SizeOf(context.OutputType(0))));
}

template <typename T, int kPack>
struct PadRows {
  static constexpr int kThreads = 256;

  PadPlan plan;
  const T* x;
  T* y;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const Quotient at = Divide((block.index() * kThreads + t) * kPack, plan.y_row);
      if (at.quotient >= plan.rows) return;
      const int64_t row = plan.RowOfX(at.quotient), column = at.remainder - plan.row_before;
      float values[kPack];
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) values[i] = plan.value;
      if (row >= 0 && column >= 0 && column < plan.x_row) LoadPack<kPack>(x + row * plan.x_row + column, values);
      StorePack<kPack>(values, y + at.quotient * plan.y_row + at.remainder);
    });
  }
};

std::unique_ptr<Kernel> PreparePad(const KernelContext& context) {
  const PadPlan plan(context.InputShape(0), context.OutputShape(0), context.Attributes<graph::PadAttributes>());
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({plan.x_row, plan.y_row, plan.row_before}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const PadRows<T, kPack> kernel{plan, context.Input<T>(0), context.Output<T>(0)};
      return MakeKernel([kernel, stream = &context.stream] {
        Launch(*stream, BlocksFor(kernel.plan.rows * kernel.plan.y_row, kernel.kThreads, kPack), kernel);
      });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kStrided, .prepare = PrepareStrided},
    {.kind = OpKind::kStridedGrad, .prepare = PrepareStridedGrad},
    {.kind = OpKind::kPad, .prepare = PreparePad},
};

}  // namespace

std::span<const KernelRow> StridedRows() { return kRows; }

}  // namespace lockstep::cuda
