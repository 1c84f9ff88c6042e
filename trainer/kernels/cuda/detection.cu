// Losses of object detection: a thread takes some elements, or boxes, anywhere in the batch; blocks add what theirs
// found in double, and a second kernel adds the blocks.
#include "trainer/kernels/detection.h"

#include "trainer/graph/step_block.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/blocks/row_teams.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

constexpr int kSumThreads = 256, kSumEach = 4;
constexpr int64_t BlocksOfSum(int64_t count) { return BlocksFor(count, kSumThreads, kSumEach); }

/// block_sums[b] = the sum of term(i) over the elements of block b.
template <typename Term>
struct SumTerms {
  static constexpr int kThreads = kSumThreads;
  struct Shared {
    double sums[kThreads];
  };

  Term term;
  double* block_sums;

  int64_t blocks() const { return BlocksOfSum(term.count); }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      double sum = 0;
      LOCKSTEP_UNROLL
      for (int k = 0; k < kSumEach; ++k) {
        const int64_t i = (block.index() * kSumEach + k) * kThreads + t;
        if (i < term.count) sum += term(i);
      }
      shared.sums[t] = sum;
    });
    TreeSum<kThreads>(block, shared.sums);
    block.ForEachThread([&](int t) {
      if (t == 0) block_sums[block.index()] = shared.sums[0];
    });
  }
};

/// A kernel that adds up `term` of all elements. Its workspace holds the blocks' sums.
template <typename Term>
std::unique_ptr<Kernel> PreparedSum(const KernelContext& context, const Term& term) {
  const SumTerms<Term> kernel{term, reinterpret_cast<double*>(context.operands.workspace)};
  return MakeKernel([kernel, sum = context.Output<double>(0), stream = &context.stream] {
    Launch(*stream, kernel.blocks(), kernel);
    Launch(*stream, 1, AddUp<double>{kernel.block_sums, kernel.blocks(), sum});
  });
}

/// Runs map(i) for each element by a thread of its own.
template <typename Map>
struct ForEachElement {
  static constexpr int kThreads = 256;

  Map map;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i < map.count) map(i);
    });
  }
};

template <typename Map>
std::unique_ptr<Kernel> PreparedMap(const KernelContext& context, const Map& map) {
  const ForEachElement<Map> kernel{map};
  return MakeKernel(
      [kernel, stream = &context.stream] { Launch(*stream, BlocksFor(kernel.map.count, kernel.kThreads, 1), kernel); });
}

/// What elements [n, .., classes] of a focal loss are trained towards: numbers, or the label of each cell.
struct FocalTargets {
  const float* targets;   ///< absent: nullptr
  const int32_t* labels;  ///< absent: nullptr
  const float* mask;      ///< by row
  int64_t classes, row_size;

  explicit FocalTargets(const KernelContext& context)
      : targets(context.InputType(1) == DType::kI32 ? nullptr : context.Input(1)),
        labels(context.InputType(1) == DType::kI32 ? context.Input<int32_t>(1) : nullptr),
        mask(context.Input(2)),
        classes(context.InputShape(0).dim(-1)),
        row_size(context.InputShape(0).size() / context.InputShape(0).dim(0)) {}

  /// Labels that no class has make it not-a-number, and so the loss, which stops the run.
  LOCKSTEP_HD float Of(int64_t i) const {
    if (targets != nullptr) return targets[i];
    const Quotient at = Divide(i, classes);
    const int32_t label = labels[at.quotient];
    if (label >= classes) return __builtin_nanf("");
    return label == at.remainder ? 1.0f : 0.0f;
  }
  LOCKSTEP_HD float Mask(int64_t i) const { return mask[Divide(i, row_size).quotient]; }
};

template <typename T>
struct FocalTerm {
  int64_t count;
  const T* logits;
  FocalTargets targets;
  kernels::FocalLoss loss;

  LOCKSTEP_HD double operator()(int64_t i) const {
    const float mask = targets.Mask(i);
    if (mask == 0.0f) return 0.0;
    return static_cast<double>(mask) * static_cast<double>(loss.Term(ToFloat(logits[i]), targets.Of(i)));
  }
};

/// dlogits may lie over logits.
template <typename T>
struct FocalGradient {
  int64_t count;
  const T* logits;
  T* dlogits;
  FocalTargets targets;
  kernels::FocalLoss loss;
  const graph::StepBlock* step_block;
  int index;

  LOCKSTEP_HD void operator()(int64_t i) const {
    const float mask = targets.Mask(i), scale = mask * step_block->loss_scale[index];
    const float gradient = mask == 0.0f ? 0.0f : loss.Gradient(ToFloat(logits[i]), targets.Of(i), scale);
    dlogits[i] = FromFloat<T>(gradient);
  }
};

std::unique_ptr<Kernel> PrepareFocalLoss(const KernelContext& context) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return PreparedSum(context, FocalTerm<T>{.count = context.InputShape(0).size(),
                                             .logits = context.Input<T>(0),
                                             .targets = FocalTargets(context),
                                             .loss = kernels::FocalLoss(context.Attributes<graph::FocalAttributes>())});
  });
}

std::unique_ptr<Kernel> PrepareFocalLossGrad(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::FocalAttributes>();
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return PreparedMap(context, FocalGradient<T>{.count = context.InputShape(0).size(),
                                                 .logits = context.Input<T>(0),
                                                 .dlogits = context.Output<T>(0),
                                                 .targets = FocalTargets(context),
                                                 .loss = kernels::FocalLoss(attributes),
                                                 .step_block = context.Input<graph::StepBlock>(3),
                                                 .index = attributes.loss});
  });
}

template <typename T>
struct CrossEntropyTerm {
  int64_t count;
  const T* logits;
  const float *targets, *weights;

  LOCKSTEP_HD double operator()(int64_t i) const {
    if (weights[i] == 0.0f) return 0.0;
    return static_cast<double>(weights[i]) *
           static_cast<double>(kernels::SigmoidCrossEntropy(ToFloat(logits[i]), targets[i]));
  }
};

/// dlogits may lie over logits.
template <typename T>
struct CrossEntropyGradient {
  int64_t count;
  const T* logits;
  T* dlogits;
  const float *targets, *weights;
  const graph::StepBlock* step_block;
  int loss;

  LOCKSTEP_HD void operator()(int64_t i) const {
    const float weight = weights[i], scale = step_block->loss_scale[loss] * weight;
    const float gradient = kernels::SigmoidCrossEntropyGradient(ToFloat(logits[i]), targets[i], scale);
    dlogits[i] = FromFloat<T>(weight == 0.0f ? 0.0f : gradient);
  }
};

std::unique_ptr<Kernel> PrepareCrossEntropy(const KernelContext& context) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return PreparedSum(context, CrossEntropyTerm<T>{.count = context.InputShape(0).size(),
                                                    .logits = context.Input<T>(0),
                                                    .targets = context.Input(1),
                                                    .weights = context.Input(2)});
  });
}

std::unique_ptr<Kernel> PrepareCrossEntropyGrad(const KernelContext& context) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return PreparedMap(context, CrossEntropyGradient<T>{.count = context.InputShape(0).size(),
                                                        .logits = context.Input<T>(0),
                                                        .dlogits = context.Output<T>(0),
                                                        .targets = context.Input(1),
                                                        .weights = context.Input(2),
                                                        .step_block = context.Input<graph::StepBlock>(3),
                                                        .loss = context.Attributes<graph::LossAttributes>().loss});
  });
}

/// Cells of a box loss.
template <typename T>
struct BoxCells {
  const T* sides;
  const float *targets, *weights;
  bool exponential;

  explicit BoxCells(const KernelContext& context)
      : sides(context.Input<T>(0)),
        targets(context.Input(1)),
        weights(context.Input(2)),
        exponential(context.Attributes<graph::BoxLossAttributes>().exponential) {}

  /// The cell's sides go to `x`.
  LOCKSTEP_HD kernels::BoxPair At(int64_t cell, float (&x)[4]) const {
    float target[4];
    LoadPack<4>(sides + 4 * cell, x);
    LoadPack<4>(targets + 4 * cell, target);
    return kernels::BoxPair(x, target, exponential);
  }
};

template <typename T>
struct BoxTerm {
  int64_t count;
  BoxCells<T> cells;
  double factor;

  LOCKSTEP_HD double operator()(int64_t cell) const {
    const float weight = cells.weights[cell];
    if (weight == 0.0f) return 0.0;
    float x[4];
    return factor * static_cast<double>(weight) * static_cast<double>(cells.At(cell, x).Loss());
  }
};

template <typename T>
struct BoxGradient {
  int64_t count;
  BoxCells<T> cells;
  T* dsides;
  const graph::StepBlock* step_block;
  int loss;
  float factor;

  LOCKSTEP_HD void operator()(int64_t cell) const {
    const float weight = cells.weights[cell];
    float gradient[4] = {};
    if (weight != 0.0f) {
      float x[4];
      const kernels::BoxPair boxes = cells.At(cell, x);
      const float scale = factor * step_block->loss_scale[loss] * weight;
      LOCKSTEP_UNROLL
      for (int k = 0; k < 4; ++k) gradient[k] = boxes.Gradient(x, k, cells.exponential, scale);
    }
    StorePack<4>(gradient, dsides + 4 * cell);
  }
};

std::unique_ptr<Kernel> PrepareBoxLoss(const KernelContext& context) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return PreparedSum(
        context, BoxTerm<T>{.count = context.InputShape(2).size(),
                            .cells = BoxCells<T>(context),
                            .factor = static_cast<double>(context.Attributes<graph::BoxLossAttributes>().factor)});
  });
}

std::unique_ptr<Kernel> PrepareBoxLossGrad(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::BoxLossAttributes>();
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return PreparedMap(context, BoxGradient<T>{.count = context.InputShape(2).size(),
                                               .cells = BoxCells<T>(context),
                                               .dsides = context.Output<T>(0),
                                               .step_block = context.Input<graph::StepBlock>(3),
                                               .loss = attributes.loss,
                                               .factor = attributes.factor});
  });
}

/// For the sums of the blocks, of elements or of cells, whatever their type.
template <int kOperand>
size_t BlockSumsBytes(const OpContext& context) {
  return static_cast<size_t>(BlocksOfSum(context.InputShape(kOperand).size())) * sizeof(double);
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kSigmoidCrossEntropy, .prepare = PrepareCrossEntropy, .workspace_bytes = BlockSumsBytes<0>},
    {.kind = OpKind::kSigmoidCrossEntropyGrad, .prepare = PrepareCrossEntropyGrad},
    {.kind = OpKind::kFocalLoss, .prepare = PrepareFocalLoss, .workspace_bytes = BlockSumsBytes<0>},
    {.kind = OpKind::kFocalLossGrad, .prepare = PrepareFocalLossGrad},
    {.kind = OpKind::kBoxLoss, .prepare = PrepareBoxLoss, .workspace_bytes = BlockSumsBytes<2>},
    {.kind = OpKind::kBoxLossGrad, .prepare = PrepareBoxLossGrad},
};

}  // namespace

std::span<const KernelRow> DetectionRows() { return kRows; }

}  // namespace lockstep::cuda
