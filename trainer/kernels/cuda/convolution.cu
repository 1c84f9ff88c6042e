// Convolutions of the library's. It reads filters [o, kh, kw, c / groups] in the images' type: packed copies of the
// arena's weights [o, c / groups, kh, kw]; and writes weight gradients in that form, which are transposed (and widened)
// as they go to the arena's layout. Images with zeros behind their channels (passes::PadRows) have filters with zeros
// there, whose gradients stay behind.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

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

/// From the shapes of the images x, whose channels may be followed by zeros up to `pitch`, and the weight.
ConvolutionSpec SpecOf(Direction direction, const Shape& x, int64_t pitch, const Shape& weight,
                       const Conv2dAttributes& attributes, DType type) {
  return {.direction = direction,
          .n = x.dim(0),
          .h = x.dim(1),
          .w = x.dim(2),
          .c = pitch,
          .o = weight.dim(0),
          .kh = weight.dim(2),
          .kw = weight.dim(3),
          .stride = attributes.stride,
          .padding = attributes.padding,
          .dilation = attributes.dilation,
          .groups = attributes.groups,
          .type = type};
}

/// Channels of a packed filter [o, kh, kw, channels], for images or their gradient, operand `images`, that may have
/// zeros behind their channels.
int64_t FilterChannels(const OpContext& context, const Shape& weight, size_t images) {
  return weight.dim(1) + context.InputPitch(images) - context.InputShape(images).dim(3);
}

/// Whether a weight in the arena's order is as the library reads it, types apart.
bool IsPlainOrder(const Shape& weight) { return weight.dim(1) == 1 || weight.dim(2) * weight.dim(3) == 1; }

/// Whether the arena's weight is as the library reads it.
bool IsPlain(const Shape& weight, DType type) { return type == DType::kF32 && IsPlainOrder(weight); }

// Packed copies: inputs 1 (weight) and 2 (bias) are parameters.

size_t PackedBytes(const OpContext& context, int input) {
  const DType type = context.InputType(0);
  if (input == 0) return 0;
  const Shape& shape = context.InputShape(static_cast<size_t>(input));
  if (input == 1 ? IsPlain(shape, type) : type == DType::kF32) return 0;
  const int64_t size = input == 1 ? shape.size() / shape.dim(1) * FilterChannels(context, shape, 0) : shape.size();
  return static_cast<size_t>(size * SizeOf(type));
}

std::unique_ptr<Kernel> PreparePack(const OpContext& context, int input, const void* plain, void* packed,
                                    DeviceStream& stream) {
  const DType type = context.InputType(0);
  const Shape& shape = context.InputShape(static_cast<size_t>(input));
  const DType from = context.InputType(static_cast<size_t>(input));
  if (input == 2) return PrepareConversion(from, plain, type, packed, shape.size(), stream);
  return PrepareTransposes(from, plain, type, packed,
                           {.batch = shape.dim(0),
                            .rows = shape.dim(1),
                            .columns = shape.dim(2) * shape.dim(3),
                            .to_pitch = FilterChannels(context, shape, 0)},
                           stream);
}

/// Bytes of the copy that each run makes of a weight or bias that is no parameter, since nobody packs it before.
size_t CopyBytes(const OpContext& context, size_t input) {
  if (!context.HasInput(input) || context.graph.value(context.op.inputs[input]).role == graph::Role::kParameter)
    return 0;
  const DType type = context.InputType(0);
  const Shape& shape = context.InputShape(input);
  const bool same_order = input == 2 || (IsPlainOrder(shape) && FilterChannels(context, shape, 0) == shape.dim(1));
  if (context.InputType(input) == type && same_order) return 0;
  const int64_t size = input == 2 ? shape.size() : shape.size() / shape.dim(1) * FilterChannels(context, shape, 0);
  return AlignUp(static_cast<size_t>(size * SizeOf(type)), kBufferAlignment);
}

size_t CopiesBytes(const OpContext& context) { return CopyBytes(context, 1) + CopyBytes(context, 2); }

/// Weight and bias as the library reads them: packed before, as they are, or copied to the front of the workspace by
/// each run.
struct Filters {
  const void* operands[3] = {};
  std::vector<std::unique_ptr<Kernel>> copies;
  std::byte* workspace;  ///< behind the copies

  explicit Filters(const KernelContext& context) : workspace(context.operands.workspace) {
    for (const size_t input : {1u, 2u}) {
      const void* packed = context.Packed(input);
      operands[input] = packed != nullptr ? packed : context.Input<void>(input);
      const size_t bytes = CopyBytes(context, input);
      if (bytes == 0) continue;
      copies.push_back(
          PreparePack(context, static_cast<int>(input), context.Input<void>(input), workspace, context.stream));
      operands[input] = workspace;
      workspace += bytes;
    }
  }
};

/// `convolution` behind the copies that it reads.
std::unique_ptr<Kernel> Behind(std::vector<std::unique_ptr<Kernel>> copies, std::unique_ptr<Kernel> convolution) {
  if (copies.empty()) return convolution;
  copies.push_back(std::move(convolution));
  return MakeKernel([kernels = std::move(copies)] {
    for (const std::unique_ptr<Kernel>& kernel : kernels) kernel->Run();
  });
}

/// Operands that this direction only reads lose their const for the other directions' sake.
void* Read(const void* operand) { return const_cast<void*>(operand); }

// Forward.

ConvolutionSpec ForwardSpec(const OpContext& context) {
  const auto& attributes = context.Attributes<Conv2dAttributes>();
  ConvolutionSpec spec = SpecOf(Direction::kForward, context.InputShape(0), context.InputPitch(0),
                                context.InputShape(1), attributes, context.InputType(0));
  spec.bias = context.HasInput(2);
  if (attributes.activation == Activation::kRelu) spec.activation = Activation::kRelu;
  return spec;
}

size_t ForwardWorkspace(const OpContext& context) {
  return CopiesBytes(context) + context.library.WorkspaceBytes(ForwardSpec(context));
}

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  void* const y = context.Output<void>(0);
  Filters filters(context);
  auto convolution = Behind(std::move(filters.copies),
                            context.library.Prepare(ForwardSpec(context),
                                                    {Read(context.Input<void>(0)), Read(filters.operands[1]),
                                                     filters.operands[2], y, filters.workspace},
                                                    context.stream));
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
  return SpecOf(Direction::kInputGrad, context.OutputShape(0), context.OutputPitch(0), context.InputShape(1),
                context.Attributes<Conv2dAttributes>(), context.InputType(0));
}

size_t InputGradWorkspace(const OpContext& context) {
  return CopiesBytes(context) + context.library.WorkspaceBytes(InputGradSpec(context));
}

std::unique_ptr<Kernel> PrepareInputGrad(const KernelContext& context) {
  Filters filters(context);
  auto convolution = context.library.Prepare(
      InputGradSpec(context),
      {context.Output<void>(0), Read(filters.operands[1]), nullptr, Read(context.Input<void>(0)), filters.workspace},
      context.stream);
  return Behind(std::move(filters.copies), std::move(convolution));
}

// Weight gradient: dy, x -> dweight, dbias. Either may be unwanted. They take turns in the workspace.

struct WeightGrad {
  ConvolutionSpec spec;
  Shape weight;
  int64_t channels;     ///< of what the library writes, zeros' included
  bool plain;           ///< the library writes dweight itself
  size_t filter_bytes;  ///< else it writes to the front of the workspace

  explicit WeightGrad(const OpContext& context)
      : spec(SpecOf(Direction::kWeightGrad, context.InputShape(1), context.InputPitch(1),
                    context.Attributes<Conv2dAttributes>().result, context.Attributes<Conv2dAttributes>(),
                    context.InputType(0))),
        weight(context.Attributes<Conv2dAttributes>().result),
        channels(FilterChannels(context, weight, 1)),
        plain(IsPlain(weight, spec.type)),
        filter_bytes(plain ? 0
                           : AlignUp(static_cast<size_t>(weight.size() / weight.dim(1) * channels * SizeOf(spec.type)),
                                     kBufferAlignment)) {}
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
                                 {.batch = grad.weight.dim(0),
                                  .rows = grad.weight.dim(2) * grad.weight.dim(3),
                                  .columns = grad.weight.dim(1),
                                  .from_pitch = grad.channels},
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
