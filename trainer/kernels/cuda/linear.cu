// Linear layers: matrix products of the library's, with bias and relu, and with the bias's gradient where the library
// can; other activations are applied behind. In bf16, products read packed copies of weight and bias; in float, the
// arena itself.
#include <algorithm>

#include "trainer/kernels/cuda/blocks/activations.h"
#include "trainer/kernels/cuda/blocks/column_sums.h"
#include "trainer/kernels/cuda/blocks/copies.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::Activation;
using graph::OpKind;

// Packed copies: inputs 1 and 2 are parameters.

size_t PackedBytes(const OpContext& context, int input) {
  if (input == 0 || context.InputType(0) != DType::kBF16) return 0;
  return static_cast<size_t>(context.InputShape(static_cast<size_t>(input)).size()) * sizeof(BFloat16);
}

std::unique_ptr<Kernel> PreparePack(const OpContext& context, int input, const void* plain, void* packed,
                                    DeviceStream& stream) {
  return PrepareConversion(DType::kF32, plain, DType::kBF16, packed,
                           context.InputShape(static_cast<size_t>(input)).size(), stream);
}

/// The parameter as the product reads it.
const void* Parameter(const KernelContext& context, size_t input) {
  const void* packed = context.Packed(input);
  return packed != nullptr ? packed : context.Input<void>(input);
}

// Forward: y [rows, out] = x [rows, in] weight^T.

MatmulSpec ForwardSpec(const OpContext& context) {
  const Shape& weight = context.InputShape(1);
  const bool relu = context.Attributes<graph::LinearAttributes>().activation == Activation::kRelu;
  return {.m = Rows(context.InputShape(0)),
          .n = weight.dim(0),
          .k = weight.dim(1),
          .transpose_b = true,
          .ab = context.InputType(0),
          .d = context.OutputType(0),
          .bias = context.HasInput(2),
          .activation = relu ? Activation::kRelu : Activation::kNone};
}

size_t ForwardWorkspace(const OpContext& context) { return context.library.WorkspaceBytes(ForwardSpec(context)); }

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  void* const y = context.Output<void>(0);
  auto product = context.library.Prepare(
      ForwardSpec(context),
      {context.Input<void>(0), Parameter(context, 1), Parameter(context, 2), y, context.operands.workspace},
      context.stream);
  const Activation activation = context.Attributes<graph::LinearAttributes>().activation;
  if (activation == Activation::kNone || activation == Activation::kRelu) return product;
  return MakeKernel([product = std::move(product), activation, type = context.OutputType(0), y,
                     size = context.OutputShape(0).size(), stream = &context.stream] {
    product->Run();
    LaunchActivation(*stream, activation, type, y, y, size);
  });
}

// dx [rows, in] = dy [rows, out] weight.

MatmulSpec InputGradSpec(const OpContext& context) {
  const Shape& weight = context.InputShape(1);
  return {.m = Rows(context.InputShape(0)),
          .n = weight.dim(1),
          .k = weight.dim(0),
          .ab = context.InputType(0),
          .d = context.OutputType(0)};
}

size_t InputGradWorkspace(const OpContext& context) { return context.library.WorkspaceBytes(InputGradSpec(context)); }

std::unique_ptr<Kernel> PrepareInputGrad(const KernelContext& context) {
  return context.library.Prepare(
      InputGradSpec(context),
      {context.Input<void>(0), Parameter(context, 1), nullptr, context.Output<void>(0), context.operands.workspace},
      context.stream);
}

// dweight [out, in] = dy^T x; dbias = the column sums of dy. Either may be unwanted. Where both are wanted and the
// library can, the product sums as it reads dy; else they take turns in the workspace.

MatmulSpec WeightGradSpec(const OpContext& context) {
  MatmulSpec spec = {.m = context.InputShape(0).dim(-1),
                     .n = context.InputShape(1).dim(-1),
                     .k = Rows(context.InputShape(0)),
                     .transpose_a = true,
                     .ab = context.InputType(0),
                     .d = DType::kF32,
                     .a_sums = context.HasOutput(1)};
  spec.a_sums = spec.a_sums && context.library.Supports(spec);
  return spec;
}

/// Whether dbias is left to a kernel of its own.
bool SumsApart(const OpContext& context) {
  return context.HasOutput(1) && !(context.HasOutput(0) && WeightGradSpec(context).a_sums);
}

size_t WeightGradWorkspace(const OpContext& context) {
  const Shape& dy = context.InputShape(0);
  size_t bytes = 0;
  if (context.HasOutput(0)) bytes = context.library.WorkspaceBytes(WeightGradSpec(context));
  if (SumsApart(context)) bytes = std::max(bytes, ColumnSumsWorkspace(context.InputType(0), Rows(dy), dy.dim(-1)));
  return bytes;
}

std::unique_ptr<Kernel> PrepareWeightGrad(const KernelContext& context) {
  const Shape& dy = context.InputShape(0);
  std::unique_ptr<Kernel> weight, bias;
  if (context.HasOutput(0)) {
    weight = context.library.Prepare(WeightGradSpec(context),
                                     {.a = context.Input<void>(0),
                                      .b = context.Input<void>(1),
                                      .d = context.Output<void>(0),
                                      .workspace = context.operands.workspace,
                                      .a_sums = context.Output<void>(1)},
                                     context.stream);
  }
  if (!SumsApart(context)) return weight;
  bias = PrepareColumnSums(context.InputType(0), context.Input<void>(0), Rows(dy), dy.dim(-1), context.Output(1),
                           context.operands.workspace, context.stream);
  if (!weight) return bias;
  return MakeKernel([weight = std::move(weight), bias = std::move(bias)] {
    weight->Run();
    bias->Run();
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kLinear,
     .prepare = PrepareForward,
     .workspace_bytes = ForwardWorkspace,
     .packed_bytes = PackedBytes,
     .prepare_pack = PreparePack},
    {.kind = OpKind::kLinearInputGrad,
     .prepare = PrepareInputGrad,
     .workspace_bytes = InputGradWorkspace,
     .packed_bytes = PackedBytes,
     .prepare_pack = PreparePack},
    {.kind = OpKind::kLinearWeightGrad, .prepare = PrepareWeightGrad, .workspace_bytes = WeightGradWorkspace},
};

}  // namespace

std::span<const KernelRow> LinearRows() { return kRows; }

}  // namespace lockstep::cuda
