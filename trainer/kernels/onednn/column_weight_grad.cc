#include "trainer/kernels/onednn/column_weight_grad.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/column_sums.h"
#include "trainer/kernels/onednn/product.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::Conv2dAttributes;

/// Output pixels of one block: enough for the product to run at full speed, few enough for cache.
constexpr int64_t kBlockPixels = 512;

/// x [n, height, width, in] with windows of taps = kernel_h x kernel_w cells gives dy [n, out_height, out_width, out].
struct Geometry {
  int64_t n, height, width, in, out_height, out_width, out, kernel_h, kernel_w;
  graph::Pair stride, padding, dilation;

  explicit Geometry(const OpContext& context) {
    const auto& attributes = context.Attributes<Conv2dAttributes>();
    const Shape &dy = context.InputShape(0), &x = context.InputShape(1), &weight = context.OutputShape(0);
    n = x[0], height = x[1], width = x[2], in = x[3];
    out_height = dy[1], out_width = dy[2], out = dy[3];
    kernel_h = weight[2], kernel_w = weight[3];
    stride = attributes.stride, padding = attributes.padding, dilation = attributes.dilation;
  }
  int64_t taps() const { return kernel_h * kernel_w; }
  int64_t window() const { return taps() * in; }
  int64_t rows() const { return n * out_height; }  ///< of output pixels, all images
  int64_t block_rows() const { return std::min(rows(), (kBlockPixels + out_width - 1) / out_width); }
};

/// `cells` neighbours in a row of a window.
void CopyCells(const Geometry& g, const float* from, int64_t cells, float* to) {
  const int64_t apart = g.dilation.width;
  const int64_t run = apart == 1 ? cells : 1;  // that lie side by side in the image too
  for (int64_t i = 0; i < cells; i += run) {
    std::memcpy(to + i * g.in, from + i * apart * g.in, static_cast<size_t>(run * g.in) * sizeof(float));
  }
}

/// The windows of output rows [begin, end), one after the other: [pixels, kernel_h, kernel_w, in]. Cells outside are 0.
void FillColumns(const Geometry& g, const float* x, int64_t begin, int64_t end, float* columns) {
  for (int64_t row = begin; row < end; ++row) {
    const float* image = x + row / g.out_height * g.height * g.width * g.in;
    const int64_t top = row % g.out_height * g.stride.height - g.padding.height;
    for (int64_t ow = 0; ow < g.out_width; ++ow) {
      const int64_t left = ow * g.stride.width - g.padding.width, apart = g.dilation.width;
      // The window's first cell in the image, and the first behind it.
      const int64_t skip = std::clamp<int64_t>((apart - 1 - left) / apart, 0, g.kernel_w);
      const int64_t stop = std::clamp<int64_t>((g.width - left + apart - 1) / apart, skip, g.kernel_w);
      for (int64_t kh = 0; kh < g.kernel_h; ++kh, columns += g.kernel_w * g.in) {
        const int64_t h = top + kh * g.dilation.height;
        if (h < 0 || h >= g.height) {
          std::fill(columns, columns + g.kernel_w * g.in, 0.0f);
          continue;
        }
        std::fill(columns, columns + skip * g.in, 0.0f);
        CopyCells(g, image + (h * g.width + left + skip * apart) * g.in, stop - skip, columns + skip * g.in);
        std::fill(columns + stop * g.in, columns + g.kernel_w * g.in, 0.0f);
      }
    }
  }
}

/// [out, taps, in] -> [out, in, taps], the arena's layout.
LOCKSTEP_ISA_CLONES
void TapsInnermost(const float* __restrict from, float* __restrict to, int64_t out, int64_t taps, int64_t in) {
  for (int64_t o = 0; o < out; ++o, from += taps * in, to += taps * in) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t tap = 0; tap < taps; ++tap) to[i * taps + tap] = from[tap * in + i];
    }
  }
}

/// dweight [out, window] (+)= dy^T columns, for a block of `rows` output rows.
Product BlockProduct(const Geometry& g, int64_t rows, bool accumulate) {
  return Product(
      {.m = g.out, .k = rows * g.out_width, .n = g.window(), .a_transposed = true, .accumulate = accumulate});
}

/// Where things lie in the workspace.
struct Layout {
  size_t scratchpad = 0, columns = 0, gradient = 0, totals = 0, bytes = 0;

  explicit Layout(const Geometry& g) {
    const int64_t block = g.block_rows(), last = g.rows() % block;
    size_t scratchpad_bytes =
        std::max(BlockProduct(g, block, false).ScratchpadBytes(), BlockProduct(g, block, true).ScratchpadBytes());
    if (last != 0) scratchpad_bytes = std::max(scratchpad_bytes, BlockProduct(g, last, true).ScratchpadBytes());
    const auto take = [&](size_t size) {
      const size_t offset = bytes;
      bytes += AlignUp(size, kBufferAlignment);
      return offset;
    };
    scratchpad = take(scratchpad_bytes);
    columns = take(static_cast<size_t>(block * g.out_width * g.window()) * sizeof(float));
    gradient = take(static_cast<size_t>(g.out * g.window()) * sizeof(float));
    totals = take(static_cast<size_t>(g.out) * sizeof(double));
  }
};

struct Block {
  int64_t begin, end;
  PreparedPrimitive product;
};

std::vector<Block> PrepareBlocks(const Geometry& g, const float* dy, const float* columns, float* gradient,
                                 std::byte* scratchpad) {
  const Product first = BlockProduct(g, g.block_rows(), false), next = BlockProduct(g, g.block_rows(), true);
  std::vector<Block> blocks;
  for (int64_t begin = 0; begin < g.rows(); begin += g.block_rows()) {
    const int64_t end = std::min(begin + g.block_rows(), g.rows());
    const float* block_dy = dy + begin * g.out_width * g.out;
    const bool full = end - begin == g.block_rows();
    const Product& product = begin == 0 ? first : full ? next : BlockProduct(g, end - begin, true);
    blocks.push_back({begin, end, product.Prepare(block_dy, columns, nullptr, gradient, scratchpad)});
  }
  return blocks;
}

}  // namespace

bool UsesColumnWeightGrad(const OpContext& context) {
  const auto& attributes = context.Attributes<Conv2dAttributes>();
  if (!context.HasOutput(0) || attributes.groups != 1) return false;
  const Geometry g(context);
  if (g.taps() == 1) return false;
  const bool strided = attributes.stride != graph::Pair(1);
  if (!HasAvx512()) return g.in >= 64 || (strided && g.in >= 32);
  return (strided && g.in >= 64) || g.window() * g.out >= int64_t{1} << 20;
}

size_t ColumnWeightGradWorkspace(const OpContext& context) { return Layout(Geometry(context)).bytes; }

std::unique_ptr<Kernel> PrepareColumnWeightGrad(const KernelContext& context) {
  const Geometry g(context);
  const Layout layout(g);
  const float *dy = context.Input(0), *x = context.Input(1);
  float *dweight = context.Output(0), *dbias = context.Output(1);
  std::byte* workspace = context.operands.workspace;
  auto* columns = reinterpret_cast<float*>(workspace + layout.columns);
  auto* gradient = reinterpret_cast<float*>(workspace + layout.gradient);
  auto* totals = reinterpret_cast<double*>(workspace + layout.totals);
  auto blocks = PrepareBlocks(g, dy, columns, gradient, workspace + layout.scratchpad);
  return MakeKernel([=, threads = context.threads]() mutable {
    for (Block& block : blocks) {
      ForEachPiece(threads, block.end - block.begin, 1, [&](int, int64_t begin, int64_t end) {
        FillColumns(g, x, block.begin + begin, block.begin + end, columns + begin * g.out_width * g.window());
      });
      block.product.Run();
    }
    TapsInnermost(gradient, dweight, g.out, g.taps(), g.in);
    if (dbias != nullptr) ColumnSums(dy, g.rows() * g.out_width, g.out, totals, dbias);
  });
}

}  // namespace lockstep::onednn
