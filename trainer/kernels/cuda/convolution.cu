// Convolutions of the library's. It reads filters [o, kh, kw, c / groups] in the images' type: packed copies of the
// arena's weights [o, c / groups, kh, kw]; and writes weight gradients in that form, which are transposed (and widened)
// as they go to the arena's layout.
#include <algorithm>

#include "base/memory.h"
#include "trainer/kernels/cuda/blocks/activations.h"
#include "trainer/kernels/cuda/blocks/column_sums.h"
#include "trainer/kernels/cuda/blocks/copies.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::Activation;
using graph::Conv2dAttributes;
using graph::OpKind;
using Direction = ConvolutionSpec::Direction;

/// From the shapes of the images x and the weight.
ConvolutionSpec SpecOf(Direction direction, const Shape& x, const Shape& weight, const Conv2dAttributes& attributes,
                       DType type) {
  return {.direction = direction,
          .n = x.dim(0),
          .h = x.dim(1),
          .w = x.dim(2),
          .c = x.dim(3),
          .o = weight.dim(0),
          .kh = weight.dim(2),
          .kw = weight.dim(3),
          .stride = attributes.stride,
          .padding = attributes.padding,
          .groups = attributes.groups,
          .type = type};
}

/// Whether the arena's weight is as the library reads it.
bool IsPlain(const Shape& weight, DType type) {
  return type == DType::kF32 && (weight.dim(1) == 1 || weight.dim(2) * weight.dim(3) == 1);
}

// Packed copies: inputs 1 (weight) and 2 (bias) are parameters.

size_t PackedBytes(const OpContext& context, int input) {
  const DType type = context.InputType(0);
  if (input == 0) return 0;
  const Shape& shape = context.InputShape(static_cast<size_t>(input));
  if (input == 1 ? IsPlain(shape, type) : type == DType::kF32) return 0;
  return static_cast<size_t>(shape.size() * SizeOf(type));
}

std::unique_ptr<Kernel> PreparePack(const OpContext& context, int input, const void* plain, void* packed,
                                    DeviceStream& stream) {
  const DType type = context.InputType(0);
  const Shape& shape = context.InputShape(static_cast<size_t>(input));
  if (input == 2) return PrepareConversion(DType::kF32, plain, type, packed, shape.size(), stream);
  return PrepareTransposes(DType::kF32, plain, type, packed, {shape.dim(0), shape.dim(1), shape.dim(2) * shape.dim(3)},
                           stream);
}

/// The parameter as the library reads it.
const void* Parameter(const KernelContext& context, size_t input) {
  const void* packed = context.Packed(input);
  return packed != nullptr ? packed : context.Input<void>(input);
}

/// Operands that this direction only reads lose their const for the other directions' sake.
void* Read(const void* operand) { return const_cast<void*>(operand); }

// Forward.

ConvolutionSpec ForwardSpec(const OpContext& context) {
  const auto& attributes = context.Attributes<Conv2dAttributes>();
  ConvolutionSpec spec =
      SpecOf(Direction::kForward, context.InputShape(0), context.InputShape(1), attributes, context.InputType(0));
  spec.bias = context.HasInput(2);
  if (attributes.activation == Activation::kRelu) spec.activation = Activation::kRelu;
  return spec;
}

size_t ForwardWorkspace(const OpContext& context) { return context.library.WorkspaceBytes(ForwardSpec(context)); }

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  void* const y = context.Output<void>(0);
  auto convolution = context.library.Prepare(
      ForwardSpec(context),
      {Read(context.Input<void>(0)), Read(Parameter(context, 1)), Parameter(context, 2), y, context.operands.workspace},
      context.stream);
  const Activation activation = context.Attributes<Conv2dAttributes>().activation;
  if (activation == Activation::kNone || activation == Activation::kRelu) return convolution;
  return MakeKernel([convolution = std::move(convolution), activation, type = context.OutputType(0), y,
                     size = context.OutputShape(0).size(), stream = &context.stream] {
    convolution->Run();
    LaunchActivation(*stream, activation, type, y, y, size);
  });
}

// Input gradient: dy, weight -> dx.

ConvolutionSpec InputGradSpec(const OpContext& context) {
  return SpecOf(Direction::kInputGrad, context.OutputShape(0), context.InputShape(1),
                context.Attributes<Conv2dAttributes>(), context.InputType(0));
}

size_t InputGradWorkspace(const OpContext& context) { return context.library.WorkspaceBytes(InputGradSpec(context)); }

std::unique_ptr<Kernel> PrepareInputGrad(const KernelContext& context) {
  return context.library.Prepare(InputGradSpec(context),
                                 {context.Output<void>(0), Read(Parameter(context, 1)), nullptr,
                                  Read(context.Input<void>(0)), context.operands.workspace},
                                 context.stream);
}

// Weight gradient: dy, x -> dweight, dbias. Either may be unwanted. They take turns in the workspace.

struct WeightGrad {
  ConvolutionSpec spec;
  Shape weight;
  bool plain;           ///< the library writes dweight itself
  size_t filter_bytes;  ///< else it writes to the front of the workspace

  explicit WeightGrad(const OpContext& context)
      : spec(SpecOf(Direction::kWeightGrad, context.InputShape(1), context.Attributes<Conv2dAttributes>().result,
                    context.Attributes<Conv2dAttributes>(), context.InputType(0))),
        weight(context.Attributes<Conv2dAttributes>().result),
        plain(IsPlain(weight, spec.type)),
        filter_bytes(plain ? 0 : AlignUp(static_cast<size_t>(weight.size() * SizeOf(spec.type)), kBufferAlignment)) {}
};

int64_t Cells(const Shape& dy) { return dy.size() / dy.dim(3); }

size_t WeightGradWorkspace(const OpContext& context) {
  const Shape& dy = context.InputShape(0);
  size_t bytes = 0;
  if (context.HasOutput(0)) {
    const WeightGrad grad(context);
    bytes = grad.filter_bytes + context.library.WorkspaceBytes(grad.spec);
  }
  if (context.HasOutput(1)) bytes = std::max(bytes, ColumnSumsWorkspace(context.InputType(0), Cells(dy), dy.dim(3)));
  return bytes;
}

std::unique_ptr<Kernel> PrepareWeightGrad(const KernelContext& context) {
  const Shape& dy = context.InputShape(0);
  std::byte* const workspace = context.operands.workspace;
  std::unique_ptr<Kernel> filter, unpack, bias;
  if (context.HasOutput(0)) {
    const WeightGrad grad(context);
    void* const result = grad.plain ? context.Output<void>(0) : static_cast<void*>(workspace);
    filter = context.library.Prepare(
        grad.spec,
        {Read(context.Input<void>(1)), result, nullptr, Read(context.Input<void>(0)), workspace + grad.filter_bytes},
        context.stream);
    if (!grad.plain) {
      unpack = PrepareTransposes(grad.spec.type, result, DType::kF32, context.Output<void>(0),
                                 {grad.weight.dim(0), grad.weight.dim(2) * grad.weight.dim(3), grad.weight.dim(1)},
                                 context.stream);
    }
  }
  if (context.HasOutput(1)) {
    bias = PrepareColumnSums(context.InputType(0), context.Input<void>(0), Cells(dy), dy.dim(3), context.Output(1),
                             workspace, context.stream);
  }
  return MakeKernel([filter = std::move(filter), unpack = std::move(unpack), bias = std::move(bias)] {
    for (const auto* kernel : {&filter, &unpack, &bias}) {
      if (*kernel) (*kernel)->Run();
    }
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kConv2d,
     .prepare = PrepareForward,
     .workspace_bytes = ForwardWorkspace,
     .packed_bytes = PackedBytes,
     .prepare_pack = PreparePack},
    {.kind = OpKind::kConv2dInputGrad,
     .prepare = PrepareInputGrad,
     .workspace_bytes = InputGradWorkspace,
     .packed_bytes = PackedBytes,
     .prepare_pack = PreparePack},
    {.kind = OpKind::kConv2dWeightGrad, .prepare = PrepareWeightGrad, .workspace_bytes = WeightGradWorkspace},
};

}  // namespace

std::span<const KernelRow> ConvolutionRows() { return kRows; }

}  // namespace lockstep::cuda
