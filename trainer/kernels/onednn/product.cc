#include "trainer/kernels/onednn/product.h"

#include <string_view>

namespace lockstep::onednn {
namespace {

using dnnl::memory;

memory::desc Matrix(int64_t rows, int64_t columns, bool transposed) {
  const memory::dims strides = transposed ? memory::dims{1, rows} : memory::dims{columns, 1};
  return {{rows, columns}, memory::data_type::f32, strides};
}

/// The layout that the library likes best for b of a product with plain matrices. It hangs on k and n; m is held, so
/// that it can't hang on that.
memory::desc FavouriteLayout(int64_t k, int64_t n) {
  constexpr int64_t kRows = 64;
  const memory::desc any({k, n}, memory::data_type::f32, memory::format_tag::any);
  const dnnl::matmul::desc product(Matrix(kRows, k, false), any, Matrix(kRows, n, false));
  return dnnl::matmul::primitive_desc(product, UserScratchpad(), CpuEngine()).weights_desc();
}

}  // namespace

Product::Product(const ProductShape& shape)
    : a_(Matrix(shape.m, shape.k, shape.a_transposed)),
      plain_b_(Matrix(shape.k, shape.n, shape.b_transposed)),
      b_(plain_b_),
      c_(Matrix(shape.m, shape.n, false)) {
  if (shape.bias) bias_ = Matrix(1, shape.n, false);
  if (shape.b_packed) b_ = FavouriteLayout(shape.k, shape.n);
  const bool plain = b_ == Matrix(shape.k, shape.n, false) || b_ == Matrix(shape.k, shape.n, true);
  if (!plain && Describe(shape)) return;
  b_ = plain_b_;
  Describe(shape);
}

/// False where the library has nothing fast for it.
bool Product::Describe(const ProductShape& shape) {
  dnnl::post_ops after;
  if (shape.accumulate) after.append_sum(1.0f);
  if (shape.scale != 1) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_linear, shape.scale, 0.0f);
  if (shape.relu) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  dnnl::primitive_attr attributes = UserScratchpad();
  attributes.set_post_ops(after);
  const auto product = shape.bias ? dnnl::matmul::desc(a_, b_, bias_, c_) : dnnl::matmul::desc(a_, b_, c_);
  description_ = dnnl::matmul::primitive_desc(product, attributes, CpuEngine());
  return !std::string_view(description_.impl_info_str()).starts_with("ref");
}

size_t Product::ScratchpadBytes() const { return description_.scratchpad_desc().get_size(); }

size_t Product::PackedBytes() const { return b_ == plain_b_ ? 0 : b_.get_size(); }

PreparedPrimitive Product::PreparePack(const void* plain, void* packed) const {
  return PrepareReorder(MemoryAt(plain_b_, plain), MemoryAt(b_, packed));
}

PreparedPrimitive Product::Prepare(const void* a_data, const void* b_data, const void* bias_data, void* c_data,
                                   std::byte* scratchpad) const {
  std::vector<std::pair<int, memory>> arguments = {
      {DNNL_ARG_SRC, MemoryAt(a_, a_data)},
      {DNNL_ARG_WEIGHTS, MemoryAt(b_, b_data)},
      {DNNL_ARG_DST, MemoryAt(c_, c_data)},
      {DNNL_ARG_SCRATCHPAD, MemoryAt(description_.scratchpad_desc(), scratchpad)}};
  if (bias_data != nullptr) arguments.emplace_back(DNNL_ARG_BIAS, MemoryAt(bias_, bias_data));
  return PreparedPrimitive(dnnl::matmul(description_), std::move(arguments));
}

}  // namespace lockstep::onednn
