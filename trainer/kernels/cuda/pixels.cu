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

/// What both kernels below know of their images.
struct Images {
  const uint8_t* x;
  const Pack<int32_t, 4>* inside;  ///< by image: first row, first column, and behind the last of each
  int64_t size, height, width, channels;
  float scale;
  float mean[PixelsAttributes::kMaxChannels], deviation[PixelsAttributes::kMaxChannels];

  explicit Images(const KernelContext& context)
      : x(context.Input<uint8_t>(0)),
        inside(context.Input<Pack<int32_t, 4>>(1)),
        size(context.InputShape(0).size()),
        height(context.InputShape(0).dim(1)),
        width(context.InputShape(0).dim(2)),
        channels(context.InputShape(0).dim(3)),
        scale(context.Attributes<PixelsAttributes>().scale),
        mean{},
        deviation{} {
    const auto& attributes = context.Attributes<PixelsAttributes>();
    for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
      mean[c] = attributes.mean[c];
      deviation[c] = attributes.deviation[c];
    }
  }

  static LOCKSTEP_HD bool In(const Pack<int32_t, 4>& edges, int32_t row, int32_t column) {
    return row >= edges.at[0] && column >= edges.at[1] && row < edges.at[2] && column < edges.at[3];
  }
  LOCKSTEP_HD float Value(uint8_t byte, int channel) const {
    return kernels::Pixel(byte, scale, mean[channel], deviation[channel]);
  }
};

/// Neighbouring elements, which may lie in several pixels, rows and images.
template <typename T, int kPack>
struct ConvertPixels {
  static constexpr int kThreads = 256;

  Images images;
  T* y;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t first = (block.index() * kThreads + t) * kPack;
      if (first >= images.size) return;
      const Quotient pixel = Divide(first, images.channels), line = Divide(pixel.quotient, images.width),
                     image = Divide(line.quotient, images.height);
      const Pack<int32_t, 4>* next = images.inside + image.quotient;
      Pack<int32_t, 4> edges = *next++;
      // In 32 bits, which are a GPU's.
      auto row = static_cast<int32_t>(image.remainder), column = static_cast<int32_t>(line.remainder),
           channel = static_cast<int32_t>(pixel.remainder);
      const auto bytes = *reinterpret_cast<const Pack<uint8_t, kPack>*>(images.x + first);
      float values[kPack];
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        values[i] = Images::In(edges, row, column) ? images.Value(bytes.at[i], channel) : 0.0f;
        if (++channel < images.channels) continue;
        channel = 0;
        if (++column < images.width) continue;
        column = 0;
        if (++row < images.height) continue;
        row = 0;
        if (first + i + 1 < images.size) edges = *next++;
      }
      StorePack<kPack>(values, y + first);
    });
  }
};

/// A pack of a pixel's channels, and of the zeros that fill its last pack.
template <typename T>
struct ConvertPaddedPixels {
  static constexpr int kThreads = 256;
  static constexpr int kPack = 16 / sizeof(T);

  Images images;
  T* y;
  int64_t packs;  ///< of a pixel

  int64_t blocks() const { return BlocksFor(images.size / images.channels * packs, kThreads, 1); }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const Quotient pixel = Divide(block.index() * kThreads + t, packs);
      if (pixel.quotient * images.channels >= images.size) return;
      const Quotient line = Divide(pixel.quotient, images.width), image = Divide(line.quotient, images.height);
      const bool in = Images::In(images.inside[image.quotient], static_cast<int32_t>(image.remainder),
                                 static_cast<int32_t>(line.remainder));
      const int first = static_cast<int>(pixel.remainder) * kPack;
      const auto channels = static_cast<int>(images.channels);
      const uint8_t* const bytes = images.x + pixel.quotient * images.channels;
      float values[kPack];
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i)
        values[i] = in && first + i < channels ? images.Value(bytes[first + i], first + i) : 0.0f;
      StorePackWhole<kPack>(values, y + (pixel.quotient * packs + pixel.remainder) * kPack);
    });
  }
};

std::unique_ptr<Kernel> PreparePixels(const KernelContext& context) {
  const Images images(context);
  const int64_t pitch = context.OutputPitch(0);
  return WithElementType(context.OutputType(0), [&]<typename T>(T) -> std::unique_ptr<Kernel> {
    if (pitch > images.channels) {
      const ConvertPaddedPixels<T> kernel{images, context.Output<T>(0), pitch / ConvertPaddedPixels<T>::kPack};
      return MakeKernel([kernel, stream = &context.stream] { Launch(*stream, kernel.blocks(), kernel); });
    }
    return WithPack<T>({images.size}, [&]<int kPack>(std::integral_constant<int, kPack>) -> std::unique_ptr<Kernel> {
      const ConvertPixels<T, kPack> kernel{images, context.Output<T>(0)};
      return MakeKernel([kernel, stream = &context.stream] {
        Launch(*stream, BlocksFor(kernel.images.size, kernel.kThreads, kPack), kernel);
      });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kPixels, .prepare = PreparePixels},
};

}  // namespace

std::span<const KernelRow> PixelsRows() { return kRows; }

}  // namespace lockstep::cuda
