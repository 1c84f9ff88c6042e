// Convolutions as oneDNN primitives: images NHWC, weights in the layout that each primitive asks for, packed once per
// step for the forward pass and for input gradients; weight gradients are reordered to the arena's layout as they are
// made.
//
// Always the direct algorithm: Winograd trades precision for speed.
#include <memory>
#include <optional>

#include "trainer/kernels/onednn/column_weight_grad.h"
#include "trainer/kernels/onednn/depthwise.h"
#include "trainer/kernels/onednn/elementwise_loops.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/primitives.h"

namespace lockstep::onednn {
namespace {

using dnnl::memory;
using engine::Kernel;
using graph::Activation;
using graph::Conv2dAttributes;
using graph::OpKind;

using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;

memory::desc Images(const Shape& nhwc) {
  return {{nhwc[0], nhwc[3], nhwc[1], nhwc[2]}, memory::data_type::f32, memory::format_tag::nhwc};
}

/// One convolution's descriptions; oneDNN's order of dimensions is logical NCHW and (G)OIHW, whatever lies in memory.
struct Convolution {
  memory::desc x, y, bias, weight, plain_weight;
  memory::dims strides, dilations, padding;

  Convolution(const Shape& x_shape, const Shape& w, const Shape& y_shape, const Conv2dAttributes& attributes,
              bool with_bias)
      : x(Images(x_shape)),
        y(Images(y_shape)),
        strides{attributes.stride.height, attributes.stride.width},
        dilations{attributes.dilation.height - 1, attributes.dilation.width - 1},  // oneDNN counts the cells between
        padding{attributes.padding.height, attributes.padding.width} {
    using Tag = memory::format_tag;
    const auto f32 = memory::data_type::f32;
    const int64_t groups = attributes.groups;
    if (groups == 1) {
      const memory::dims dims = {w[0], w[1], w[2], w[3]};
      weight = memory::desc(dims, f32, Tag::any);
      plain_weight = memory::desc(dims, f32, Tag::oihw);
    } else {
      const memory::dims dims = {groups, w[0] / groups, w[1], w[2], w[3]};
      weight = memory::desc(dims, f32, Tag::any);
      plain_weight = memory::desc(dims, f32, Tag::goihw);
    }
    if (with_bias) bias = memory::desc({w[0]}, f32, Tag::x);
  }

  Forward::primitive_desc ForwardDescription(bool relu) const {
    dnnl::primitive_attr attributes = UserScratchpad();
    if (relu) {
      dnnl::post_ops after;
      after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
      attributes.set_post_ops(after);
    }
    const Forward::desc description(dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, x, weight,
                                    bias, y, strides, dilations, padding, padding);
    return {description, attributes, CpuEngine()};
  }

  BackwardData::primitive_desc InputGradDescription() const {
    const BackwardData::desc description(dnnl::algorithm::convolution_direct, x, weight, y, strides, dilations, padding,
                                         padding);
    return {description, UserScratchpad(), CpuEngine(), ForwardDescription(false)};
  }

  BackwardWeights::primitive_desc WeightGradDescription() const {
    const BackwardWeights::desc description(dnnl::algorithm::convolution_direct, x, weight, bias, y, strides, dilations,
                                            padding, padding);
    return {description, UserScratchpad(), CpuEngine(), ForwardDescription(false)};
  }
};

// Packed weights, the same for the forward pass and for input gradients but for the layout that is asked for.

struct WeightLayouts {
  memory::desc plain, packed;
};

size_t PackedBytesOf(const WeightLayouts& layouts, int input) {
  return input == 1 && layouts.packed != layouts.plain ? layouts.packed.get_size() : 0;
}

std::unique_ptr<Kernel> PreparePackOf(const WeightLayouts& layouts, const void* plain, void* packed) {
  auto reorder = PrepareReorder(MemoryAt(layouts.plain, plain), MemoryAt(layouts.packed, packed));
  return MakeKernel([reorder]() mutable { reorder.Run(); });
}

/// Parameters are packed once a step. Other weights, which ops compute or give another shape, are packed by each run,
/// in the workspace behind the scratchpad.
bool PacksInRun(const OpContext& context, const WeightLayouts& layouts) {
  return layouts.packed != layouts.plain &&
         context.graph.value(context.op.inputs.at(1)).role != graph::Role::kParameter;
}

size_t ScratchpadBytes(const memory::desc& scratchpad) { return AlignUp(scratchpad.get_size(), kBufferAlignment); }

size_t WorkspaceWithWeights(const OpContext& context, const WeightLayouts& layouts, const memory::desc& scratchpad) {
  return ScratchpadBytes(scratchpad) + (PacksInRun(context, layouts) ? layouts.packed.get_size() : 0);
}

/// The weights that a kernel reads: a packed copy, or the arena where the primitive wants no other layout.
struct Weights {
  memory at;
  std::optional<PreparedPrimitive> pack;  ///< before each run

  Weights(const KernelContext& context, const WeightLayouts& layouts, const memory::desc& scratchpad) {
    const void* packed = context.Packed(1);
    if (PacksInRun(context, layouts)) {
      std::byte* copy = context.operands.workspace + ScratchpadBytes(scratchpad);
      pack = PrepareReorder(MemoryAt(layouts.plain, context.Input<void>(1)), MemoryAt(layouts.packed, copy));
      packed = copy;
    }
    at = MemoryAt(layouts.packed, packed != nullptr ? packed : context.Input<void>(1));
  }
  void Pack() {
    if (pack) pack->Run();
  }
};

// Forward.

Convolution ForwardConvolution(const OpContext& context) {
  return {context.InputShape(0), context.InputShape(1), context.OutputShape(0), context.Attributes<Conv2dAttributes>(),
          context.HasInput(2)};
}

Forward::primitive_desc ForwardOf(const OpContext& context) {
  const bool relu = context.Attributes<Conv2dAttributes>().activation == Activation::kRelu;
  return ForwardConvolution(context).ForwardDescription(relu);
}

WeightLayouts ForwardLayouts(const OpContext& context) {
  return {ForwardConvolution(context).plain_weight, ForwardOf(context).weights_desc()};
}

size_t ForwardWorkspace(const OpContext& context) {
  return WorkspaceWithWeights(context, ForwardLayouts(context), ForwardOf(context).scratchpad_desc());
}

size_t ForwardPackedBytes(const OpContext& context, int input, int /*runs*/) {
  return PackedBytesOf(ForwardLayouts(context), input);
}

std::unique_ptr<Kernel> PrepareForwardPack(const OpContext& context, int /*input*/, const void* plain, void* packed) {
  return PreparePackOf(ForwardLayouts(context), plain, packed);
}

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const auto description = ForwardOf(context);
  Weights weights(context, ForwardLayouts(context), description.scratchpad_desc());
  float* y = context.Output(0);
  const int64_t size = context.OutputShape(0).size();
  std::vector<std::pair<int, memory>> arguments = {
      {DNNL_ARG_SRC, MemoryAt(description.src_desc(), context.Input(0))},
      {DNNL_ARG_WEIGHTS, weights.at},
      {DNNL_ARG_DST, MemoryAt(description.dst_desc(), y)},
      {DNNL_ARG_SCRATCHPAD, MemoryAt(description.scratchpad_desc(), context.operands.workspace)}};
  if (context.HasInput(2)) arguments.emplace_back(DNNL_ARG_BIAS, MemoryAt(description.bias_desc(), context.Input(2)));
  PreparedPrimitive primitive(Forward(description), std::move(arguments));
  const Activation activation = context.Attributes<Conv2dAttributes>().activation;
  const Activation rest = activation == Activation::kRelu ? Activation::kNone : activation;
  return MakeKernel([=, threads = context.threads]() mutable {
    weights.Pack();
    primitive.Run();
    if (rest != Activation::kNone) ActivateAll(threads, rest, y, y, size);
  });
}

// Input gradient: dy, weight -> dx.

Convolution InputGradConvolution(const OpContext& context) {
  return {context.OutputShape(0), context.InputShape(1), context.InputShape(0), context.Attributes<Conv2dAttributes>(),
          false};
}

WeightLayouts InputGradLayouts(const OpContext& context) {
  const Convolution convolution = InputGradConvolution(context);
  return {convolution.plain_weight, convolution.InputGradDescription().weights_desc()};
}

size_t InputGradWorkspace(const OpContext& context) {
  if (UsesDepthwiseInputGrad(context)) return DepthwiseInputGradWorkspace(context);
  return WorkspaceWithWeights(context, InputGradLayouts(context),
                              InputGradConvolution(context).InputGradDescription().scratchpad_desc());
}

size_t InputGradPackedBytes(const OpContext& context, int input, int /*runs*/) {
  if (UsesDepthwiseInputGrad(context)) return 0;
  return PackedBytesOf(InputGradLayouts(context), input);
}

std::unique_ptr<Kernel> PrepareInputGradPack(const OpContext& context, int /*input*/, const void* plain, void* packed) {
  return PreparePackOf(InputGradLayouts(context), plain, packed);
}

std::unique_ptr<Kernel> PrepareInputGrad(const KernelContext& context) {
  if (UsesDepthwiseInputGrad(context)) return PrepareDepthwiseInputGrad(context);
  const auto description = InputGradConvolution(context).InputGradDescription();
  Weights weights(context, InputGradLayouts(context), description.scratchpad_desc());
  PreparedPrimitive primitive(
      BackwardData(description),
      {{DNNL_ARG_DIFF_DST, MemoryAt(description.diff_dst_desc(), context.Input(0))},
       {DNNL_ARG_WEIGHTS, weights.at},
       {DNNL_ARG_DIFF_SRC, MemoryAt(description.diff_src_desc(), context.Output(0))},
       {DNNL_ARG_SCRATCHPAD, MemoryAt(description.scratchpad_desc(), context.operands.workspace)}});
  return MakeKernel([=]() mutable {
    weights.Pack();
    primitive.Run();
  });
}

// Weight gradient: dy, x -> dweight, dbias.

/// What the kernel keeps in the workspace, one after the other.
struct WeightGrad {
  Convolution convolution;
  BackwardWeights::primitive_desc description;
  size_t scratchpad_bytes, packed_bytes;

  explicit WeightGrad(const OpContext& context)
      : convolution(context.InputShape(1), WeightShape(context), context.InputShape(0),
                    context.Attributes<Conv2dAttributes>(), context.HasOutput(1)),
        description(convolution.WeightGradDescription()),
        scratchpad_bytes(AlignUp(description.scratchpad_desc().get_size(), kBufferAlignment)),
        packed_bytes(AlignUp(description.diff_weights_desc().get_size(), kBufferAlignment)) {}

  /// dweight itself may be unwanted: frozen, with a bias that is not.
  static const Shape& WeightShape(const OpContext& context) {
    return context.HasOutput(0) ? context.OutputShape(0) : context.Attributes<Conv2dAttributes>().result;
  }
  bool packed() const { return description.diff_weights_desc() != convolution.plain_weight; }
};

size_t WeightGradWorkspace(const OpContext& context) {
  if (UsesColumnWeightGrad(context)) return ColumnWeightGradWorkspace(context);
  if (UsesDepthwiseWeightGrad(context)) return DepthwiseWeightGradWorkspace(context);
  const WeightGrad grad(context);
  return grad.scratchpad_bytes + grad.packed_bytes;
}

std::unique_ptr<Kernel> PrepareWeightGrad(const KernelContext& context) {
  if (UsesColumnWeightGrad(context)) return PrepareColumnWeightGrad(context);
  if (UsesDepthwiseWeightGrad(context)) return PrepareDepthwiseWeightGrad(context);
  const WeightGrad grad(context);
  std::byte* scratchpad = context.operands.workspace;
  std::byte* scratch_weights = scratchpad + grad.scratchpad_bytes;
  void* dweight = context.Output<void>(0);
  const bool direct = dweight != nullptr && !grad.packed();
  const memory packed =
      MemoryAt(grad.description.diff_weights_desc(), direct ? dweight : static_cast<void*>(scratch_weights));
  std::vector<std::pair<int, memory>> arguments = {
      {DNNL_ARG_SRC, MemoryAt(grad.description.src_desc(), context.Input(1))},
      {DNNL_ARG_DIFF_DST, MemoryAt(grad.description.diff_dst_desc(), context.Input(0))},
      {DNNL_ARG_DIFF_WEIGHTS, packed},
      {DNNL_ARG_SCRATCHPAD, MemoryAt(grad.description.scratchpad_desc(), scratchpad)}};
  if (context.HasOutput(1)) {
    arguments.emplace_back(DNNL_ARG_DIFF_BIAS, MemoryAt(grad.description.diff_bias_desc(), context.Output(1)));
  }
  PreparedPrimitive primitive(BackwardWeights(grad.description), std::move(arguments));
  if (direct || dweight == nullptr) return MakeKernel([primitive]() mutable { primitive.Run(); });
  auto reorder = PrepareReorder(packed, MemoryAt(grad.convolution.plain_weight, dweight));
  return MakeKernel([primitive, reorder]() mutable {
    primitive.Run();
    reorder.Run();
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kConv2d,
     .prepare = PrepareForward,
     .workspace_bytes = ForwardWorkspace,
     .packed_bytes = ForwardPackedBytes,
     .prepare_pack = PrepareForwardPack},
    {.kind = OpKind::kConv2dInputGrad,
     .prepare = PrepareInputGrad,
     .workspace_bytes = InputGradWorkspace,
     .packed_bytes = InputGradPackedBytes,
     .prepare_pack = PrepareInputGradPack},
    {.kind = OpKind::kConv2dWeightGrad, .prepare = PrepareWeightGrad, .workspace_bytes = WeightGradWorkspace},
};

}  // namespace

std::span<const KernelRow> ConvolutionRows() { return kRows; }

}  // namespace lockstep::onednn
