// Linear layers: matrix products of the library's, with bias, relu and the bias's gradient in them where the library
// can; what it can't, and other activations, are kernels behind. In bf16, products read packed copies of weight and
// bias; in float, the arena itself.
#include <algorithm>

#include "trainer/kernels/cuda/blocks/activations.h"
#include "trainer/kernels/cuda/blocks/column_sums.h"
#include "trainer/kernels/cuda/blocks/copies.h"
#include "trainer/kernels/cuda/blocks/product_finish.h"
#include "trainer/kernels/cuda/dense/split_sums.h"
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

/// As a MatmulSpec has it: 0 where rows follow each other.
int64_t PitchOf(int64_t pitch, int64_t columns) { return pitch == columns ? 0 : pitch; }

// Forward: y [rows, out] = x [rows, in] weight^T.

bool HasRelu(const OpContext& context) {
  return context.Attributes<graph::LinearAttributes>().activation == Activation::kRelu;
}

/// With bias and relu, or with neither where the library has no such product: of one row or column, say.
MatmulSpec ForwardSpec(const OpContext& context) {
  const Shape& weight = context.InputShape(1);
  const MatmulSpec plain = {.m = Rows(context.InputShape(0)),
                            .n = weight.dim(0),
                            .k = weight.dim(1),
                            .d_pitch = PitchOf(context.OutputPitch(0), weight.dim(0)),
                            .transpose_b = true,
                            .ab = context.InputType(0),
                            .d = context.OutputType(0)};
  MatmulSpec whole = plain;
  whole.bias = context.HasInput(2);
  if (HasRelu(context)) whole.activation = Activation::kRelu;
  return whole == plain || context.library.Supports(whole) ? whole : plain;
}

size_t ForwardWorkspace(const OpContext& context) { return context.library.WorkspaceBytes(ForwardSpec(context)); }

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const MatmulSpec spec = ForwardSpec(context);
  void* const y = context.Output<void>(0);
  const void* const bias = Parameter(context, 2);
  auto product = context.library.Prepare(
      spec, {context.Input<void>(0), Parameter(context, 1), bias, y, context.operands.workspace}, context.stream);
  const bool bias_behind = context.HasInput(2) && !spec.bias;
  const bool relu_behind = HasRelu(context) && spec.activation != Activation::kRelu;
  if (bias_behind || relu_behind) {
    product = MakeKernel([product = std::move(product), bias = bias_behind ? bias : nullptr, relu_behind, y, spec,
                          stream = &context.stream] {
      product->Run();
      LaunchProductFinish(*stream, spec.d, bias, relu_behind, y, spec.m, spec.n);
    });
  }
  const Activation activation = context.Attributes<graph::LinearAttributes>().activation;
  if (activation == Activation::kNone || activation == Activation::kRelu) return product;
  return MakeKernel([product = std::move(product), activation, spec, y, stream = &context.stream] {
    product->Run();
    LaunchActivation(*stream, activation, spec.d, y, y, spec.m * spec.n);
  });
}

// dx [rows, in] = dy [rows, out] weight.

MatmulSpec InputGradSpec(const OpContext& context) {
  const Shape& weight = context.InputShape(1);
  return {.m = Rows(context.InputShape(0)),
          .n = weight.dim(1),
          .k = weight.dim(0),
          .a_pitch = PitchOf(context.InputPitch(0), weight.dim(0)),
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

// dweight [out, in] = dy^T x; dbias = the column sums of dy. Either may be unwanted. Where both are wanted, the library
// can, and no time is lost by sums that stay whole for it (split_sums.h), the product sums as it reads dy; else they
// take turns in the workspace. dweight may be added to what lies there, by the same product.

MatmulSpec WeightGradSpec(const OpContext& context) {
  MatmulSpec spec = {.m = context.InputShape(0).dim(-1),
                     .n = context.InputShape(1).dim(-1),
                     .k = Rows(context.InputShape(0)),
                     .a_pitch = PitchOf(context.InputPitch(0), context.InputShape(0).dim(-1)),
                     .transpose_a = true,
                     .ab = context.InputType(0),
                     .d = DType::kF32,
                     .a_sums = context.HasOutput(1)};
  const bool apart =
      spec.ab == DType::kBF16 && SumsBiasGradientApart(spec.m, spec.n, spec.k, context.library.processors());
  spec.a_sums = spec.a_sums && !apart && context.library.Supports(spec);
  return spec;
}

/// Whether dbias is left to a kernel of its own.
bool SumsApart(const OpContext& context) {
  return context.HasOutput(1) && !(context.HasOutput(0) && WeightGradSpec(context).a_sums);
}

bool CanAddWeightGrad(const OpContext& context) {
  if (!context.HasOutput(0)) return false;
  MatmulSpec spec = WeightGradSpec(context);
  spec.adds = true;
  return context.library.Supports(spec);
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
    MatmulSpec spec = WeightGradSpec(context);
    spec.adds = context.operands.adds;
    weight = context.library.Prepare(spec,
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
    {.kind = OpKind::kLinearWeightGrad,
     .prepare = PrepareWeightGrad,
     .workspace_bytes = WeightGradWorkspace,
     .can_add = CanAddWeightGrad},
};

}  // namespace

std::span<const KernelRow> LinearRows() { return kRows; }

}  // namespace lockstep::cuda
