#include "tests/trainer/kernels/cuda/loop_library.h"

#include <vector>

#include "base/bfloat16.h"
#include "base/emulated_device.h"
#include "trainer/engine/op_view.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

float Load(const void* data, DType type, int64_t index) {
  if (type == DType::kBF16) return static_cast<const BFloat16*>(data)[index].Float();
  return static_cast<const float*>(data)[index];
}

void Store(void* data, DType type, int64_t index, float value) {
  if (type == DType::kBF16) {
    static_cast<BFloat16*>(data)[index] = BFloat16::From(value);
  } else {
    static_cast<float*>(data)[index] = value;
  }
}

float Finish(float sum, graph::Activation activation) {
  return activation == graph::Activation::kRelu ? kernels::Relu(sum) : sum;
}

void MultiplyOne(const MatmulSpec& s, const MatmulOperands& o) {
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < s.k; ++k) {
        sum += Load(o.a, s.ab, s.transpose_a ? k * s.a_step() + i : i * s.a_step() + k) *
               Load(o.b, s.ab, s.transpose_b ? j * s.k + k : k * s.n + j);
      }
      sum *= s.scale;
      if (s.bias) sum += Load(o.bias, s.d, j);
      if (s.adds) sum = Load(o.d, s.d, i * s.d_step() + j) + sum;
      Store(o.d, s.d, i * s.d_step() + j, Finish(sum, s.activation));
    }
    if (!s.a_sums) continue;
    float sum = 0;
    for (int64_t k = 0; k < s.k; ++k) sum += Load(o.a, s.ab, s.transpose_a ? k * s.a_step() + i : i * s.a_step() + k);
    Store(o.a_sums, s.d, i, sum);
  }
}

void Multiply(const MatmulSpec& s, const MatmulOperands& o) {
  const int64_t bytes = SizeOf(s.ab), d_bytes = SizeOf(s.d);
  for (int64_t i = 0; i < s.batch; ++i) {
    MatmulOperands one = o;
    one.a = static_cast<const std::byte*>(o.a) + i * s.a_batch * bytes;
    one.b = static_cast<const std::byte*>(o.b) + i * s.b_batch * bytes;
    one.d = static_cast<std::byte*>(o.d) + i * s.m * s.d_step() * d_bytes;
    MultiplyOne(s, one);
  }
}

/// Calls visit(x index, filter index, y index) for every product of the convolution, ascending by y, or by what is
/// wanted.
struct Walk {
  const ConvolutionSpec& s;

  int64_t X(int64_t n, int64_t h, int64_t w, int64_t c) const { return ((n * s.h + h) * s.w + w) * s.c + c; }
  int64_t F(int64_t o, int64_t i, int64_t j, int64_t c) const {
    return ((o * s.kh + i) * s.kw + j) * (s.c / s.groups) + c;
  }
  int64_t Y(int64_t n, int64_t p, int64_t q, int64_t o) const {
    return ((n * s.out_h() + p) * s.out_w() + q) * s.o + o;
  }

  template <typename Visit>
  void Run(Visit&& visit) const {
    const int64_t inputs = s.c / s.groups, outputs = s.o / s.groups;
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t p = 0; p < s.out_h(); ++p)
        for (int64_t q = 0; q < s.out_w(); ++q)
          for (int64_t o = 0; o < s.o; ++o)
            for (int64_t i = 0; i < s.kh; ++i)
              for (int64_t j = 0; j < s.kw; ++j)
                for (int64_t c = 0; c < inputs; ++c) {
                  const int64_t h = p * s.stride.height + i * s.dilation.height - s.padding.height;
                  const int64_t w = q * s.stride.width + j * s.dilation.width - s.padding.width;
                  if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
                  visit(X(n, h, w, o / outputs * inputs + c), F(o, i, j, c), Y(n, p, q, o));
                }
  }
};

void Convolve(const ConvolutionSpec& s, const ConvolutionOperands& o) {
  using Direction = ConvolutionSpec::Direction;
  const int64_t x_size = s.n * s.h * s.w * s.c, f_size = s.o * s.kh * s.kw * (s.c / s.groups),
                y_size = s.n * s.out_h() * s.out_w() * s.o;
  const bool forward = s.direction == Direction::kForward, input = s.direction == Direction::kInputGrad;
  std::vector<float> sums(static_cast<size_t>(forward ? y_size : input ? x_size : f_size));
  Walk{s}.Run([&](int64_t x, int64_t f, int64_t y) {
    if (forward)
      sums[static_cast<size_t>(y)] += Load(o.x, s.type, x) * Load(o.filter, s.type, f);
    else if (input)
      sums[static_cast<size_t>(x)] += Load(o.y, s.type, y) * Load(o.filter, s.type, f);
    else
      sums[static_cast<size_t>(f)] += Load(o.y, s.type, y) * Load(o.x, s.type, x);
  });
  void* const out = forward ? o.y : input ? o.x : o.filter;
  for (size_t i = 0; i < sums.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    const float bias = forward && s.bias ? Load(o.bias, s.type, index % s.o) : 0.0f;
    Store(out, s.type, index, forward ? Finish(sums[i] + bias, s.activation) : sums[i]);
  }
}

class LoopLibrary final : public DenseLibrary {
 public:
  bool Supports(const MatmulSpec&) override { return true; }
  size_t WorkspaceBytes(const MatmulSpec&) override { return 0; }
  size_t WorkspaceBytes(const ConvolutionSpec&) override { return 0; }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec& spec, const MatmulOperands& operands,
                                          DeviceStream& stream) override {
    return engine::MakeKernel([spec, operands, &stream] {
      static_cast<EmulatedStream&>(stream).Enqueue([spec, operands] { Multiply(spec, operands); });
    });
  }
  std::unique_ptr<engine::Kernel> Prepare(const ConvolutionSpec& spec, const ConvolutionOperands& operands,
                                          DeviceStream& stream) override {
    return engine::MakeKernel([spec, operands, &stream] {
      static_cast<EmulatedStream&>(stream).Enqueue([spec, operands] { Convolve(spec, operands); });
    });
  }
  std::string version() const override { return "loops"; }
};

}  // namespace

std::unique_ptr<DenseLibrary> MakeLoopLibrary() { return std::make_unique<LoopLibrary>(); }

}  // namespace lockstep::cuda
