// Linear layers as oneDNN matrix products over plain weights [out, in]. Packing them once per step costs more than it
// gains at the batch sizes of a lane (up to 128 rows), and plain products reach the same speed from there on.
#include <memory>

#include "trainer/kernels/onednn/column_sums.h"
#include "trainer/kernels/onednn/elementwise_loops.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/product.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::Activation;
using graph::OpKind;

// Forward: y [rows, out] = x [rows, in] weight^T.

Product ForwardProduct(const OpContext& context) {
  const Shape& x = context.InputShape(0);
  const Shape& weight = context.InputShape(1);
  const bool relu = context.Attributes<graph::LinearAttributes>().activation == Activation::kRelu;
  return Product({.m = Rows(x),
                  .k = weight.dim(1),
                  .n = weight.dim(0),
                  .b_transposed = true,
                  .bias = context.HasInput(2),
                  .relu = relu});
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
  return Product({.m = Rows(dy), .k = weight.dim(0), .n = weight.dim(1)});
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
  return Product({.m = dy.dim(-1), .k = Rows(dy), .n = x.dim(-1), .a_transposed = true});
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
