#include "trainer/kernels/onednn/product.h"

namespace lockstep::onednn {
namespace {

using dnnl::memory;

memory::desc Matrix(int64_t rows, int64_t columns, bool transposed) {
  const memory::dims strides = transposed ? memory::dims{1, rows} : memory::dims{columns, 1};
  return {{rows, columns}, memory::data_type::f32, strides};
}

}  // namespace

Product::Product(const ProductShape& shape)
    : a_(Matrix(shape.m, shape.k, shape.a_transposed)),
      b_(Matrix(shape.k, shape.n, shape.b_transposed)),
      c_(Matrix(shape.m, shape.n, false)) {
  dnnl::post_ops after;
  if (shape.accumulate) after.append_sum(1.0f);
  if (shape.relu) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  dnnl::primitive_attr attributes = UserScratchpad();
  attributes.set_post_ops(after);
  if (shape.bias) bias_ = Matrix(1, shape.n, false);
  const auto product = shape.bias ? dnnl::matmul::desc(a_, b_, bias_, c_) : dnnl::matmul::desc(a_, b_, c_);
  description_ = dnnl::matmul::primitive_desc(product, attributes, CpuEngine());
}

size_t Product::ScratchpadBytes() const { return description_.scratchpad_desc().get_size(); }

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
