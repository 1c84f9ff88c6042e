// Linear layers as oneDNN matrix products over plain weights [out, in]. Packing them once per step costs more than it
// gains at the batch sizes of a lane (up to 128 rows), and plain products reach the same speed from there on.
#include <memory>

#include "trainer/kernels/onednn/column_sums.h"
#include "trainer/kernels/onednn/elementwise_loops.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/primitives.h"

namespace lockstep::onednn {
namespace {

using dnnl::memory;
using engine::Kernel;
using graph::Activation;
using graph::OpKind;

/// A matrix in memory, row-major or, where `transposed`, the transpose of a row-major one.
memory::desc Matrix(int64_t rows, int64_t columns, bool transposed) {
  const memory::dims strides = transposed ? memory::dims{1, rows} : memory::dims{columns, 1};
  return {{rows, columns}, memory::data_type::f32, strides};
}

/// a [m, k] b [k, n] -> c [m, n], with an optional bias [n] and relu.
struct Product {
  memory::desc a, b, bias, c;
  dnnl::matmul::primitive_desc description;

  Product(int64_t m, int64_t k, int64_t n, bool a_transposed, bool b_transposed, bool with_bias, bool with_relu)
      : a(Matrix(m, k, a_transposed)), b(Matrix(k, n, b_transposed)), c(Matrix(m, n, false)) {
    dnnl::primitive_attr attributes = UserScratchpad();
    if (with_relu) {
      dnnl::post_ops after;
      after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
      attributes.set_post_ops(after);
    }
    if (with_bias) bias = Matrix(1, n, false);
    const auto product = with_bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
    description = dnnl::matmul::primitive_desc(product, attributes, CpuEngine());
  }

  size_t ScratchpadBytes() const { return description.scratchpad_desc().get_size(); }

  PreparedPrimitive Prepare(const void* a_data, const void* b_data, const void* bias_data, void* c_data,
                            std::byte* scratchpad) const {
    std::vector<std::pair<int, memory>> arguments = {
        {DNNL_ARG_SRC, MemoryAt(a, a_data)},
        {DNNL_ARG_WEIGHTS, MemoryAt(b, b_data)},
        {DNNL_ARG_DST, MemoryAt(c, c_data)},
        {DNNL_ARG_SCRATCHPAD, MemoryAt(description.scratchpad_desc(), scratchpad)}};
    if (bias_data != nullptr) arguments.emplace_back(DNNL_ARG_BIAS, MemoryAt(bias, bias_data));
    return PreparedPrimitive(dnnl::matmul(description), std::move(arguments));
  }
};

// Forward: y [rows, out] = x [rows, in] weight^T.

Product ForwardProduct(const OpContext& context) {
  const Shape& x = context.InputShape(0);
  const Shape& weight = context.InputShape(1);
  const bool relu = context.Attributes<graph::LinearAttributes>().activation == Activation::kRelu;
  return Product(Rows(x), weight.dim(1), weight.dim(0), false, true, context.HasInput(2), relu);
}

size_t ForwardWorkspace(const OpContext& context) { return ForwardProduct(context).ScratchpadBytes(); }

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const Product product = ForwardProduct(context);
  const Activation activation = context.Attributes<graph::LinearAttributes>().activation;
  float* y = context.Output(0);
  const int64_t size = context.OutputShape(0).size();
  auto primitive = product.Prepare(context.Input(0), context.Input(1), context.Input(2), y, context.operands.workspace);
  const Activation rest = activation == Activation::kRelu ? Activation::kNone : activation;
  return MakeKernel([=, threads = context.threads]() mutable {
    primitive.Run();
    if (rest != Activation::kNone) ActivateAll(threads, rest, y, y, size);
  });
}

// dx [rows, in] = dy [rows, out] weight.

Product InputGradProduct(const OpContext& context) {
  const Shape& dy = context.InputShape(0);
  const Shape& weight = context.InputShape(1);
  return Product(Rows(dy), weight.dim(0), weight.dim(1), false, false, false, false);
}

size_t InputGradWorkspace(const OpContext& context) { return InputGradProduct(context).ScratchpadBytes(); }

std::unique_ptr<Kernel> PrepareInputGrad(const KernelContext& context) {
  auto primitive = InputGradProduct(context).Prepare(context.Input(0), context.Input(1), nullptr, context.Output(0),
                                                     context.operands.workspace);
  return MakeKernel([primitive]() mutable { primitive.Run(); });
}

// dweight [out, in] = dy^T x; dbias = the column sums of dy.

Product WeightGradProduct(const OpContext& context) {
  const Shape& dy = context.InputShape(0);
  const Shape& x = context.InputShape(1);
  return Product(dy.dim(-1), Rows(dy), x.dim(-1), true, false, false, false);
}

size_t WeightGradWorkspace(const OpContext& context) {
  const size_t scratchpad = AlignUp(WeightGradProduct(context).ScratchpadBytes(), kValueAlignment);
  return scratchpad + static_cast<size_t>(context.InputShape(0).dim(-1)) * sizeof(double);
}

std::unique_ptr<Kernel> PrepareWeightGrad(const KernelContext& context) {
  const Product product = WeightGradProduct(context);
  const float* dy = context.Input(0);
  float* dbias = context.Output(1);
  const int64_t rows = Rows(context.InputShape(0)), out = context.InputShape(0).dim(-1);
  std::byte* workspace = context.operands.workspace;
  auto* totals = reinterpret_cast<double*>(workspace + AlignUp(product.ScratchpadBytes(), kValueAlignment));
  if (context.Output(0) == nullptr) return MakeKernel([=] { ColumnSums(dy, rows, out, totals, dbias); });
  auto primitive = product.Prepare(dy, context.Input(1), nullptr, context.Output(0), workspace);
  return MakeKernel([=]() mutable {
    primitive.Run();
    if (dbias != nullptr) ColumnSums(dy, rows, out, totals, dbias);
  });
}

}  // namespace

KernelRow LinearRow(OpKind kind) {
  switch (kind) {
    case OpKind::kLinear:
      return {.prepare = PrepareForward, .workspace_bytes = ForwardWorkspace};
    case OpKind::kLinearInputGrad:
      return {.prepare = PrepareInputGrad, .workspace_bytes = InputGradWorkspace};
    case OpKind::kLinearWeightGrad:
      return {.prepare = PrepareWeightGrad, .workspace_bytes = WeightGradWorkspace};
    default:
      return {};
  }
}

}  // namespace lockstep::onednn
