// Images that came as bytes, as what they stand for.
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;
using graph::PixelsAttributes;

/// Neighbouring elements, which may lie in several pixels, rows and images.
template <typename T, int kPack>
struct ConvertPixels {
  static constexpr int kThreads = 256;

  const uint8_t* x;
  const Pack<int32_t, 4>* inside;  ///< by image: first row, first column, and behind the last of each
  T* y;
  int64_t size, height, width, channels;
  float scale;
  float mean[PixelsAttributes::kMaxChannels], deviation[PixelsAttributes::kMaxChannels];

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t first = (block.index() * kThreads + t) * kPack;
      if (first >= size) return;
      const Quotient pixel = Divide(first, channels), line = Divide(pixel.quotient, width),
                     image = Divide(line.quotient, height);
      const Pack<int32_t, 4>* next = inside + image.quotient;
      Pack<int32_t, 4> edges = *next++;
      // In 32 bits, which are a GPU's.
      auto row = static_cast<int32_t>(image.remainder), column = static_cast<int32_t>(line.remainder),
           channel = static_cast<int32_t>(pixel.remainder);
      const auto bytes = *reinterpret_cast<const Pack<uint8_t, kPack>*>(x + first);
      float values[kPack];
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        const bool in = row >= edges.at[0] && column >= edges.at[1] && row < edges.at[2] && column < edges.at[3];
        values[i] = in ? kernels::Pixel(bytes.at[i], scale, mean[channel], deviation[channel]) : 0.0f;
        if (++channel < channels) continue;
        channel = 0;
        if (++column < width) continue;
        column = 0;
        if (++row < height) continue;
        row = 0;
        if (first + i + 1 < size) edges = *next++;
      }
      StorePack<kPack>(values, y + first);
    });
  }
};

template <typename T, int kPack>
std::unique_ptr<Kernel> PrepareConversion(const KernelContext& context) {
  const auto& attributes = context.Attributes<PixelsAttributes>();
  const Shape& x = context.InputShape(0);
  ConvertPixels<T, kPack> kernel{context.Input<uint8_t>(0),
                                 context.Input<Pack<int32_t, 4>>(1),
                                 context.Output<T>(0),
                                 x.size(),
                                 x.dim(1),
                                 x.dim(2),
                                 x.dim(3),
                                 attributes.scale,
                                 {},
                                 {}};
  for (size_t c = 0; c < static_cast<size_t>(x.dim(3)); ++c) {
    kernel.mean[c] = attributes.mean[c];
    kernel.deviation[c] = attributes.deviation[c];
  }
  return MakeKernel(
      [kernel, stream = &context.stream] { Launch(*stream, BlocksFor(kernel.size, kernel.kThreads, kPack), kernel); });
}

std::unique_ptr<Kernel> PreparePixels(const KernelContext& context) {
  return WithElementType(context.OutputType(0), [&]<typename T>(T) {
    return WithPack<T>({context.InputShape(0).size()}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      return PrepareConversion<T, kPack>(context);
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kPixels, .prepare = PreparePixels},
};

}  // namespace

std::span<const KernelRow> PixelsRows() { return kRows; }

}  // namespace lockstep::cuda
