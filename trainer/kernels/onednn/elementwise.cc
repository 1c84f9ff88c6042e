// Activations, sums, dropout and pixels: loops over the functors of trainer/kernels/elementwise.h.
//
// Results may take over the memory of an operand (the op table says where), element by element: hence `ivdep` instead
// of `__restrict`.
#include "trainer/kernels/elementwise.h"

#include "base/isa_clones.h"
#include "trainer/graph/step_block.h"
#include "trainer/kernels/onednn/elementwise_loops.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/prefetch.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::Activation;
using graph::OpKind;

/// Elements below which a team is not worth waking.
constexpr int64_t kLeastPiece = 16384;

template <Activation kKind>
LOCKSTEP_HD void ActivateLoop(const float* x, float* y, int64_t size) {
  ForEachStretch(
      size,
      [=](int64_t begin, int64_t end) LOCKSTEP_INLINE {
#pragma GCC ivdep
        for (int64_t i = begin; i < end; ++i) y[i] = kernels::Activate<kKind>(x[i]);
      },
      x, y);
}

LOCKSTEP_ISA_CLONES
void ActivatePiece(Activation kind, const float* x, float* y, int64_t size) {
  switch (kind) {
    case Activation::kNone:
      return ActivateLoop<Activation::kNone>(x, y, size);
    case Activation::kRelu:
      return ActivateLoop<Activation::kRelu>(x, y, size);
    case Activation::kGelu:
      return ActivateLoop<Activation::kGelu>(x, y, size);
    case Activation::kSilu:
      return ActivateLoop<Activation::kSilu>(x, y, size);
    case Activation::kTanh:
      return ActivateLoop<Activation::kTanh>(x, y, size);
    case Activation::kSigmoid:
      return ActivateLoop<Activation::kSigmoid>(x, y, size);
    case Activation::kGeluTanh:
      return ActivateLoop<Activation::kGeluTanh>(x, y, size);
  }
}

template <Activation kKind>
LOCKSTEP_HD void GradientLoop(const float* dy, const float* v, float* dx, int64_t size) {
  ForEachStretch(
      size,
      [=](int64_t begin, int64_t end) LOCKSTEP_INLINE {
#pragma GCC ivdep
        for (int64_t i = begin; i < end; ++i) dx[i] = kernels::ActivateGradient<kKind>(dy[i], v[i]);
      },
      dy, v, dx);
}

LOCKSTEP_ISA_CLONES
void GradientPiece(Activation kind, const float* dy, const float* v, float* dx, int64_t size) {
  switch (kind) {
    case Activation::kNone:
      return GradientLoop<Activation::kNone>(dy, v, dx, size);
    case Activation::kRelu:
      return GradientLoop<Activation::kRelu>(dy, v, dx, size);
    case Activation::kGelu:
      return GradientLoop<Activation::kGelu>(dy, v, dx, size);
    case Activation::kSilu:
      return GradientLoop<Activation::kSilu>(dy, v, dx, size);
    case Activation::kTanh:
      return GradientLoop<Activation::kTanh>(dy, v, dx, size);
    case Activation::kSigmoid:
      return GradientLoop<Activation::kSigmoid>(dy, v, dx, size);
    case Activation::kGeluTanh:
      return GradientLoop<Activation::kGeluTanh>(dy, v, dx, size);
  }
}

LOCKSTEP_ISA_CLONES
void AddPiece(const float* a, const float* b, float* y, int64_t size) {
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) y[i] = a[i] + b[i];
}

LOCKSTEP_ISA_CLONES
void AddReluPiece(const float* a, const float* b, float* y, int64_t size) {
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) y[i] = kernels::Relu(a[i] + b[i]);
}

/// One row: its elements draw from `stream`, four at a time.
LOCKSTEP_ISA_CLONES
void DropRow(const RandomStream& stream, float probability, float scale, const float* x, float* y, int64_t size) {
  const RandomStream row = stream;
  const int64_t groups = size / 4;
#pragma GCC ivdep
  for (int64_t group = 0; group < groups; ++group) {
    const Philox4 random = row.Group(static_cast<uint32_t>(group));
    y[4 * group + 0] = kernels::Drop(x[4 * group + 0], random.x[0], probability, scale);
    y[4 * group + 1] = kernels::Drop(x[4 * group + 1], random.x[1], probability, scale);
    y[4 * group + 2] = kernels::Drop(x[4 * group + 2], random.x[2], probability, scale);
    y[4 * group + 3] = kernels::Drop(x[4 * group + 3], random.x[3], probability, scale);
  }
  for (int64_t i = 4 * groups; i < size; ++i) {
    y[i] = kernels::Drop(x[i], row.Bits(static_cast<uint32_t>(i)), probability, scale);
  }
}

std::unique_ptr<Kernel> PrepareActivation(const KernelContext& context) {
  const Activation kind = context.Attributes<graph::ActivationAttributes>().activation;
  return MakeKernel([kind, x = context.Input(0), y = context.Output(0), size = context.OutputShape(0).size(),
                     threads = context.threads] { ActivateAll(threads, kind, x, y, size); });
}

std::unique_ptr<Kernel> PrepareActivationGrad(const KernelContext& context) {
  const Activation kind = context.Attributes<graph::ActivationAttributes>().activation;
  return MakeKernel([kind, dy = context.Input(0), v = context.Input(1), dx = context.Output(0),
                     size = context.OutputShape(0).size(), threads = context.threads] {
    ForEachPiece(threads, size, kLeastPiece, [=](int, int64_t begin, int64_t end) {
      GradientPiece(kind, dy + begin, v + begin, dx + begin, end - begin);
    });
  });
}

std::unique_ptr<Kernel> PrepareAdd(const KernelContext& context) {
  const Activation kind = context.Attributes<graph::ActivationAttributes>().activation;
  return MakeKernel([kind, a = context.Input(0), b = context.Input(1), y = context.Output(0),
                     size = context.OutputShape(0).size(), threads = context.threads] {
    ForEachPiece(threads, size, kLeastPiece, [=](int, int64_t begin, int64_t end) {
      if (kind == Activation::kRelu) return AddReluPiece(a + begin, b + begin, y + begin, end - begin);
      AddPiece(a + begin, b + begin, y + begin, end - begin);
      if (kind != Activation::kNone) ActivatePiece(kind, y + begin, y + begin, end - begin);
    });
  });
}

/// Forward and backward alike: what is kept is scaled, what is dropped is zero.
std::unique_ptr<Kernel> PrepareDropout(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::DropoutAttributes>();
  const float probability = attributes.probability;
  const auto scale = static_cast<float>(1.0 / (1.0 - static_cast<double>(probability)));
  const Shape& shape = context.OutputShape(0);
  const int64_t rows = shape.dim(0), row_size = shape.size() / rows;
  return MakeKernel([=, layer = attributes.layer_key, x = context.Input(0), y = context.Output(0),
                     step_block = context.Input<graph::StepBlock>(1), threads = context.threads] {
    ForEachPiece(threads, rows, 1, [&](int, int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const RandomStream stream = {step_block->seed, step_block->step, layer,
                                     step_block->first_sample + static_cast<uint64_t>(r)};
        DropRow(stream, probability, scale, x + r * row_size, y + r * row_size, row_size);
      }
    });
  });
}

/// Images of `shape`, [begin, end) of them.
LOCKSTEP_ISA_CLONES
void ConvertImages(const graph::PixelsAttributes& attributes, const Shape& shape, const uint8_t* x,
                   const int32_t* inside, float* y, int64_t begin, int64_t end) {
  const int64_t height = shape[1], width = shape[2], channels = shape[3];
  for (int64_t at = begin * height; at < end * height; ++at) {
    const int32_t* const edges = inside + at / height * 4;
    const uint8_t* const from = x + at * width * channels;
    float* const to = y + at * width * channels;
    const bool outside = at % height < edges[0] || at % height >= edges[2];
    for (int64_t i = 0; i < width * channels; ++i) {
      const auto c = static_cast<size_t>(i % channels);
      const int64_t column = i / channels;
      to[i] = outside || column < edges[1] || column >= edges[3]
                  ? 0.0f
                  : kernels::Pixel(from[i], attributes.scale, attributes.mean[c], attributes.deviation[c]);
    }
  }
}

std::unique_ptr<Kernel> PreparePixels(const KernelContext& context) {
  return MakeKernel([attributes = context.Attributes<graph::PixelsAttributes>(), shape = context.InputShape(0),
                     x = context.Input<uint8_t>(0), inside = context.Input<int32_t>(1), y = context.Output(0),
                     threads = context.threads] {
    ForEachPiece(threads, shape[0], 1,
                 [&](int, int64_t begin, int64_t end) { ConvertImages(attributes, shape, x, inside, y, begin, end); });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kActivation, .prepare = PrepareActivation},
    {.kind = OpKind::kActivationGrad, .prepare = PrepareActivationGrad},
    {.kind = OpKind::kAdd, .prepare = PrepareAdd},
    {.kind = OpKind::kPixels, .prepare = PreparePixels},
    {.kind = OpKind::kDropout, .prepare = PrepareDropout},
    {.kind = OpKind::kDropoutGrad, .prepare = PrepareDropout},
};

}  // namespace

void ActivateAll(int threads, Activation activation, const float* x, float* y, int64_t size) {
  ForEachPiece(threads, size, kLeastPiece,
               [=](int, int64_t begin, int64_t end) { ActivatePiece(activation, x + begin, y + begin, end - begin); });
}

std::span<const KernelRow> ElementwiseRows() { return kRows; }

}  // namespace lockstep::onednn
