// Matrix products, convolutions and attention, which libraries do better than we: cuBLASLt and cuDNN on a GPU, plain
// loops where a device is emulated (save attention, whose kernels of our own run there). Everything is decided at
// preparation, from shapes alone (never by timing): algorithms with split sums, atomics or other sources of changing
// bits are left out.
//
// Prepared kernels enqueue on the stream that they were prepared for, read and write the given addresses, and need
// their workspace while they run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/device.h"
#include "base/shape.h"
#include "trainer/engine/backend.h"
#include "trainer/graph/graph.h"

namespace lockstep::cuda {

/// How products of float matrices are computed. bf16 operands always are multiplied exactly and summed in float.
enum class FloatMath { kF32, kTF32 };

/// d [m, n] = activation(a b + bias), all row-major. a is [m, k], or [k, m] where transposed; b is [k, n], or [n, k]
/// where transposed. `bias` has n elements of type d, added to each row. `a_sums` has m elements of type d: a's, summed
/// over k (a bias's gradient, where d is its weight's). Where it `adds`, d [m, n] = d + a b: the product is summed by
/// the algorithm of the spec that does not add, and d is added to the sum, which is rounded once: to the bits of that
/// product and an addition behind it. A batch is so many products of one spec, whose matrices of d follow each other;
/// it has no bias, no sums and does not add.
struct MatmulSpec {
  int64_t m = 0, n = 0, k = 0;
  /// Elements from one row of a, as it lies, and of d to the next; 0: a row follows the other.
  int64_t a_pitch = 0, d_pitch = 0;
  bool transpose_a = false, transpose_b = false;
  int64_t batch = 1;                 ///< products
  int64_t a_batch = 0, b_batch = 0;  ///< elements from one matrix to the next; 0: one for all
  float scale = 1;                   ///< of the product, before anything is added
  DType ab = DType::kF32;            ///< f32 or bf16
  DType d = DType::kF32;             ///< f32 or bf16; bf16 only with bf16 operands
  bool bias = false;
  graph::Activation activation = graph::Activation::kNone;  ///< kNone or kRelu
  bool a_sums = false;  ///< REQUIRES: d is f32, no bias, no activation, and a library that Supports it
  bool adds = false;    ///< REQUIRES: the same

  int64_t a_columns() const { return transpose_a ? m : k; }
  int64_t a_step() const { return a_pitch > 0 ? a_pitch : a_columns(); }
  int64_t d_step() const { return d_pitch > 0 ? d_pitch : n; }
  std::string ToString() const;
  friend bool operator==(const MatmulSpec&, const MatmulSpec&) = default;
};
struct MatmulOperands {
  const void* a = nullptr;
  const void* b = nullptr;
  const void* bias = nullptr;
  void* d = nullptr;
  std::byte* workspace = nullptr;
  void* a_sums = nullptr;
};

/// A convolution of images [n, h, w, c] with a filter [o, kh, kw, c / groups] (the packed form; the graph's is
/// [o, c / groups, kh, kw]) to [n, out_h, out_w, o].
struct ConvolutionSpec {
  enum class Direction {
    kForward,     ///< y = activation(x * filter + bias); bias [o] of y's type
    kInputGrad,   ///< dx from dy and filter
    kWeightGrad,  ///< dfilter (same type as x and dy; the caller widens it) from x and dy
  };
  Direction direction = Direction::kForward;
  int64_t n = 0, h = 0, w = 0, c = 0, o = 0, kh = 0, kw = 0;
  graph::Pair stride = 1, padding = 0, dilation = 1;
  int64_t groups = 1;
  DType type = DType::kF32;  ///< of images and filter: f32 or bf16
  bool bias = false;
  graph::Activation activation = graph::Activation::kNone;  ///< kNone or kRelu

  int64_t out_h() const { return (h + 2 * padding.height - dilation.height * (kh - 1) - 1) / stride.height + 1; }
  int64_t out_w() const { return (w + 2 * padding.width - dilation.width * (kw - 1) - 1) / stride.width + 1; }
  std::string ToString() const;
  friend bool operator==(const ConvolutionSpec&, const ConvolutionSpec&) = default;
};
/// By direction: what is read and what is written. x, filter, bias -> y; dy (as y), filter -> dx (as x); x, dy (as y)
/// -> dfilter (as filter).
struct ConvolutionOperands {
  void* x = nullptr;
  void* filter = nullptr;
  const void* bias = nullptr;
  void* y = nullptr;
  std::byte* workspace = nullptr;
};

/// Attention of a row's positions to each other: query [rows, positions, 3 heads head_size] holds q, k and v side by
/// side, no lengths (graph.h's kAttention without memory, length and shared keys). y is [rows, positions, heads
/// head_size], lse f32 [rows, heads, positions], as there.
struct AttentionSpec {
  enum class Direction {
    kForward,   ///< query -> y, lse
    kGradient,  ///< dy, query, y, lse -> dquery
  };
  Direction direction = Direction::kForward;
  int64_t rows = 0, positions = 0, heads = 0, head_size = 0;
  bool causal = false;
  DType type = DType::kBF16;

  std::string ToString() const;
  friend bool operator==(const AttentionSpec&, const AttentionSpec&) = default;
};
struct AttentionOperands {
  const void* query = nullptr;
  void* y = nullptr;     ///< written by kForward
  float* lse = nullptr;  ///< written by kForward; nullptr: nobody reads it
  const void* dy = nullptr;
  void* dquery = nullptr;
  std::byte* workspace = nullptr;
};

/// What a library does of attention.
class AttentionLibrary {
 public:
  virtual ~AttentionLibrary() = default;

  /// Whether the library has both directions of it: an op and its gradient are both the library's, or both ours. A
  /// function of the spec, the kind of device and the library's version.
  virtual bool Supports(const AttentionSpec& spec) = 0;
  /// REQUIRES: Supports(spec), both.
  virtual size_t WorkspaceBytes(const AttentionSpec& spec) = 0;
  virtual std::unique_ptr<engine::Kernel> Prepare(const AttentionSpec& spec, const AttentionOperands& operands,
                                                  DeviceStream& stream) = 0;
};

class DenseLibrary {
 public:
  virtual ~DenseLibrary() = default;

  /// Streaming multiprocessors of the device, for products to keep busy; 0 where nothing is decided by their number.
  virtual int processors() const { return 0; }

  /// nullptr: all attention is ours.
  virtual AttentionLibrary* attention() { return nullptr; }

  /// Whether the library has an algorithm for the spec: asked for what can be had in another way too. As all that is
  /// decided here, a function of the spec, the device and the library's version.
  virtual bool Supports(const MatmulSpec& spec) = 0;
  /// Throws Error(kInternal), naming the spec, where the library has no algorithm for it.
  virtual size_t WorkspaceBytes(const MatmulSpec& spec) = 0;
  virtual size_t WorkspaceBytes(const ConvolutionSpec& spec) = 0;
  virtual std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec& spec, const MatmulOperands& operands,
                                                  DeviceStream& stream) = 0;
  virtual std::unique_ptr<engine::Kernel> Prepare(const ConvolutionSpec& spec, const ConvolutionOperands& operands,
                                                  DeviceStream& stream) = 0;
  /// "cuBLASLt 13.1.0, cuDNN 9.19.0": part of the numerics fingerprint.
  virtual std::string version() const = 0;
};

/// What a product, a convolution, and attention may take of workspace at most. Constants: algorithms must not depend on
/// how much memory is free. (32 MiB is what NVIDIA recommends for cuBLASLt on Hopper.)
inline constexpr size_t kMatmulWorkspaceLimit = size_t{32} << 20;
inline constexpr size_t kConvolutionWorkspaceLimit = size_t{256} << 20;
inline constexpr size_t kAttentionWorkspaceLimit = size_t{512} << 20;

/// How many rows the gradient of attention takes at once: its workspace holds a number for every query and key of each
/// head. The greatest divisor of the rows whose workspace stays below the limit; 0: not even one row's does.
int64_t GradientRows(const AttentionSpec& spec);
/// No less than what a library takes that takes GradientRows at once, nor than what our own kernels take.
size_t AttentionWorkspaceBound(const AttentionSpec& spec);

/// Plans without a device: every workspace is as large as it may be, and nothing can be prepared.
std::unique_ptr<DenseLibrary> MakePlanningLibrary();

/// What this build is made for, and needs no device: "cuBLASLt 13.1.0, cuDNN 9.19.0".
std::string VendorVersions();
/// cuBLASLt and cuDNN for the device that the calling thread uses.
std::unique_ptr<DenseLibrary> MakeVendorLibrary(const DeviceInfo& device, FloatMath math);

}  // namespace lockstep::cuda
