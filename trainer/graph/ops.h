// The vocabulary of graphs. What an op is stands here once: what it computes (OpKind), what it must know beyond its
// operands' shapes (its attributes). How models ask for it: op_calls.h.
//
// Layout conventions, the same for all backends:
//   images       [batch, height, width, channels]      (NHWC)
//   sequences    [batch, time, channels]
//   linear       weight [out, in], y = x weight^T + bias
//   convolution  weight [out channels, in channels / groups, kernel height, kernel width], as PyTorch stores it
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/shape.h"
#include "trainer/graph/tensor_attributes.h"
#include "trainer/graph/tensor_functions.h"

namespace lockstep::graph {

/// Of a value of the graph.
using ValueId = int32_t;
inline constexpr ValueId kNoValue = -1;

/// What there is to compute. Operands in order; [..] shapes; `?` marks operands that may be absent (kNoValue).
/// n: rows of the batch, t: time steps or positions of a sequence; losses and counters are scalars.
enum class OpKind : uint8_t {
  // Forward.
  kLinear,  ///< x [.., in], weight [out, in], bias? [out] -> y [.., out] = act(x weight^T + bias)
  /// x [n, h, w, c], weight [o, c / groups, kh, kw], bias? [o] -> y [n, h', w', o] = act(conv + bias)
  kConv2d,
  /// x [n, h, w, c] -> y [n, h', w', c], index? u8: y's cell in its window, row-major, the first of equals
  kMaxPool2d,
  kAveragePool2d,      ///< x [n, h, w, c] -> y [n, h', w', c]: the mean over the window's cells that lie in the image
  kGlobalAveragePool,  ///< x [n, h, w, c] -> y [n, c]
  /// x [.., c], weight [c], bias [c] -> y, mean [c], variance [c] (unbiased), inv_std [c] (of the biased one)
  kBatchNormTrain,
  kBatchNormInfer,  ///< x [.., c], weight [c], bias [c], running_mean [c], running_var [c] -> y
  kLayerNorm,       ///< x [.., c], weight [c], bias? [c] -> y, mean? [..], inv_std? [..]
  /// x [.., c], weight [c] -> y = x inv_rms weight, inv_rms? [..] = 1 / sqrt(mean(x^2) + epsilon) (Zhang and Sennrich
  /// 2019)
  kRmsNorm,
  /// x [n, h, w, c], weight [c], bias [c] -> y, mean? [n, groups], inv_std? [n, groups]: each image's channels are cut
  /// into groups of c / groups neighbours, and normalised over height, width and the group, with the biased variance
  /// (Wu
  /// and He 2018)
  kGroupNorm,
  kActivation,  ///< x -> y
  /// x [n, ..], step_block -> y: row r keeps element e where RandomStream{seed, step, layer key, first_sample +
  /// r}.Uniform(e) >= probability, and divides it by 1 - probability
  kDropout,
  kAdd,  ///< a, b -> y = act(a + b), same shapes
  // Elementwise tensor ops: functions, scalars for absent operands and kinks stand in tensor_functions.h. Floats of
  // either type; a result is bf16 where an operand is (of kWhere, a or b).
  kUnary,    ///< x -> y = f(x)
  kBinary,   ///< a?, b? -> y = f(a, b), with broadcasting; at most one of both is absent
  kWhere,    ///< condition, a?, b? -> y = a where the condition is not 0, else b, with broadcasting
  kCast,     ///< x -> y: x as a number of another type, f32, bf16 or i32 (towards zero)
  kReshape,  ///< x -> y, the same bytes
  kFlatten,  ///< x [n, h, w, c] -> y [n, c * h * w], channels first
  /// x [n, h, w, c] -> y [n, ceil(h / stride), ceil(w / stride), channels]: every stride-th cell, new channels 0
  kPadChannels,
  /// x [n, h, w, c] -> y [n, h', w', c]: y[n, i, j] = x[n, floor(i h / h'), floor(j w / w')] in whole numbers
  /// (PyTorch's
  /// interpolate, mode nearest)
  kResizeNearest,
  /// x [n, h, w, c] -> y [n, h', w', c]: the weighted mean of the four cells of x around the place that y's cell comes
  /// from, by their distance from it along either side. Along a side, cell i of h' comes from (i + 1/2) h / h' - 1/2,
  /// at least 0, or with align_corners from i (h - 1) / (h' - 1), 0 where h' is 1; behind the last cell lies the last
  /// (PyTorch's interpolate, mode bilinear)
  kResizeLinear,
  kConcat,  ///< x... -> y: any number of tensors along one dimension, the first in front
  kFill,    ///< -> y: everywhere `value`, and `step` more at each next element of the last dimension
  /// id i32 [.., t], table [v, c], position? [p >= t, c], first? i32 [n] -> y [.., t, c] = scale table[id] (zeros for
  /// id -1) + position[its position], or + sinusoids of the position where the attributes say so. Row n's positions
  /// count from first[n], 0 where that is absent; a position past the last is the last
  kEmbedding,
  /// x [.., t, c], first? i32 [n] -> y: the first `heads` heads of c are turned by their position (Su et al. 2021),
  /// dimension i with i + head_size / 2 by position base^(-2 i / head_size); what is behind them stays. Positions as
  /// kEmbedding's
  kRotary,
  /// cache [n, s, c], x [n, t, p], first i32 [n] -> y, which is the cache, in its place: channels [begin, end) of x (c
  /// of them) are written to positions first[n].. of it, those past its end left out
  kCacheAppend,
  /// query, memory?, length? i32 [n] -> y [n, t, heads d], lse? [n, heads, t] (log of the sum of exponentials of the
  /// scores): softmax(q k^T / sqrt(d)) v by head. Without memory, query [n, t, (heads + 2 kv_heads) d] holds q, k and v
  /// side by side; with it query is q [n, t, heads d], and memory [n, s, 2 kv_heads d] k and v. Head h reads k and v of
  /// head h kv_heads / heads. Keys from length[n] on are left out, and with `causal` those behind the query's position
  /// (with memory, whose last t keys of length[n] are the queries' own: inference alone); what attends to no key is 0,
  /// and its lse too
  kAttention,
  kSwiGlu,  ///< x [.., 2 k] -> y [.., k] = silu(first half) * second half (Shazeer 2020)
  /// x [n, t, c] -> y [n, t', c kernel], t' = (t + 2 padding - kernel) / stride + 1: y[.., p, ch kernel + j] = x[.., p
  /// stride + j - padding, ch], 0 outside, so that a kLinear of weight [o, c kernel] is PyTorch's conv1d of weight [o,
  /// c, kernel]
  kWindows,
  /// gates [n, t, 4 h] (x W_ih^T + b_ih in PyTorch's order i, f, g, o), weight [4 h, h], bias? [4 h], length? i32 [n],
  /// hidden? [n, h], cell? [n, h] -> y [n, t, h], saved? f32 [n, t, 5 h] (i, f, g, o behind their activations, and the
  /// cell), last_hidden? f32 [n, h], last_cell? f32 [n, h]. Step by step, with z = gates + weight h + bias: cell =
  /// sigmoid(f) cell + sigmoid(i) tanh(g), y = h = sigmoid(o) tanh(cell) (Gers et al. 2000). Time steps from length[n]
  /// on touch nothing, and y and saved are 0 there; `reverse` starts at time step length[n] - 1. States are zeros at
  /// first
  /// where absent; last_*: behind the last time step gone through
  kLstm,
  /// gates [n, t, 3 h] (x W_ih^T + b_ih in PyTorch's order r, z, n), weight [3 h, h], bias? [3 h], length? i32 [n],
  /// hidden? [n, h] -> y [n, t, h], saved? f32 [n, t, 4 h] (r, z, n behind their activations, and q), last_hidden? f32
  /// [n, h], all as kLstm; q = (weight h + bias)_n, n = tanh(gates_n + r q), h = (1 - z) n + z h (Cho et al. 2014, with
  /// the reset behind the product)
  kGru,
  /// logits [.., c], label i32 [..], weight? f32 [..], other_label? i32 [..], other_weight? f32 [..] -> sum f64 [], lse
  /// [..] (log of the sum of exponentials), correct i64 [] (rows whose first largest logit is the label's). A row
  /// counts `weight` times (1 where absent) with its label, and, where
  /// there is another label, other_weight times with that; each target is 1 - s on the label plus s / c everywhere.
  /// Rows of label -1 add nothing. Both weights are at least 0; other_label and other_weight come together, with weight
  kSoftmaxCrossEntropy,
  kMeanSquaredError,  ///< prediction [n, k], target [n, k], mask [n] -> sum f64 [] of mask * mean over k of squares
  /// values [n, ..], mask [n] -> sum f64 [] of the means over rows, times mask, of rows whose mask is not 0: of losses
  /// that
  /// other ops compute
  kMeanLoss,
  /// logits [n, t, c], label i32 [n, u], length i32 [n], label_length i32 [n] -> sum f64 [] of -log p, dlogits? f32 [n,
  /// t, c] (softmax - posterior: unscaled; 0 from length[n] on), impossible? i64 []: connectionist temporal
  /// classification (Graves et al. 2006), class 0 the blank. label_length -1 is padding, 0 the empty transcript. A
  /// sample whose label, a time step more for each repetition, is longer than length[n], or is longer than u, has no
  /// alignment: it counts as impossible, adds nothing and has no gradient
  kCtc,
  /// logits [n, .., c], target f32 [n, .., c] (or label i32 [n, ..]: the class whose target is 1, -1: none; the others'
  /// targets are 0), mask f32 [n] -> sum f64 [] over the elements of rows whose mask is not 0, times mask. With p =
  /// sigmoid(x) kept in [clamp, 1 - clamp], an element adds -positive (1 - p)^2 log p where its target is 1, and
  /// elsewhere -negative (1 - target)^4 p^2 log(1 - p): the penalty-reduced focal loss of CornerNet and CenterNet (Law
  /// and Deng 2018, Zhou et al. 2019). Of targets 0 and 1, with positive 0.25 and negative 0.75, it is RetinaNet's
  /// focal
  /// loss with gamma 2 (Lin et al. 2017)
  kFocalLoss,
  /// sides [n, .., 4], target f32 [n, .., 4], weight f32 [n, ..] -> sum f64 [] of factor weight (1 - GIoU) over the
  /// cells whose weight is not 0 (Rezatofighi et al. 2019). Both boxes lie around one point, and are given by their
  /// distances from it to left, top, right and bottom: d = exp(min(x, 4)) or relu(x) of sides x, and target as it is,
  /// whose area must be above 0. A box's area is (l + r)(t + b); shared is the area of the distances' minima, hull that
  /// of their maxima, union = area + area - shared, and GIoU = shared / union - (hull - union) / hull. Nothing reads
  /// targets of cells of weight 0
  kBoxLoss,
  /// logits [n, ..], target f32 [n, ..] in [0, 1], weight f32 [n, ..] -> sum f64 [] of -weight (target log p + (1 -
  /// target) log(1 - p)), p = sigmoid(logits), over the elements whose weight is not 0
  kSigmoidCrossEntropy,
  kArgMax,  ///< x [.., c] -> y i32 [..]: the index of the first largest
  /// x u8 [n, h, w, c], inside i32 [n, 4] -> y [n, h, w, c] = (x scale - mean[c]) / deviation[c], each of the three
  /// operations rounded to f32, in rows [inside 0, inside 2) and columns [inside 1, inside 3) of the image; 0 elsewhere
  kPixels,
  /// x -> y: the sum, mean, maximum, minimum or product over some dimensions, which stay with size 1 or go. A
  /// not-a-number makes its result one
  kReduce,
  /// x -> y, y[i0, i1, ..] = x[offset + i0 stride0 + i1 stride1 + ..], an index into x's elements in row-major order.
  /// Strides that are not 0 read no element twice
  kStrided,
  kMatMul,   ///< a [.., m, k], b [.., k, n] -> y [.., m, n] = scale a b; dimensions before are broadcast as numpy does
  kSoftmax,  ///< x [.., c] -> y = e^x / sum over c of e^x, or its logarithm; a row of -infinity is not-a-number
  kPad,      ///< x -> y: `before` and `after` new elements along each dimension, or fewer where they are negative
  kGather,   ///< x [.., k, ..] -> y [.., index size, ..]: y's place i along the axis is x's place index[i]
  // Gradients. dy has y's shape; results have the shape of what they are the gradient of.
  kLinearInputGrad,        ///< dy, weight -> dx
  kLinearWeightGrad,       ///< dy, x -> dweight, dbias?
  kConv2dInputGrad,        ///< dy, weight -> dx; in forward graphs the transposed convolution of dy
  kConv2dWeightGrad,       ///< dy, x -> dweight, dbias?
  kMaxPool2dGrad,          ///< dy, index -> dx
  kAveragePool2dGrad,      ///< dy -> dx
  kGlobalAveragePoolGrad,  ///< dy -> dx
  /// dy, x, weight, mean, inv_std, y?, bias? (one of these two where an activation is fused) -> dx, dweight, dbias
  kBatchNormGrad,
  kLayerNormGrad,       ///< dy, x, weight, mean, inv_std -> dx, dweight, dbias?
  kBatchNormInferGrad,  ///< dy, weight, running_var -> dx: of x alone, whose norm is frozen
  kGroupNormGrad,       ///< dy, x, weight, mean, inv_std -> dx, dweight, dbias
  kRmsNormGrad,         ///< dy, x, weight, inv_rms -> dx, dweight
  kEmbeddingGrad,       ///< dy, id -> dtable, dposition?; rows of one id are added in the order of positions
  kAttentionGrad,       ///< dy, query, memory?, length?, y, lse -> dquery, dmemory?
  kSwiGluGrad,          ///< dy, x -> dx
  kWindowsGrad,         ///< dy -> dx
  kLstmGrad,            ///< dy, y, saved, weight, length?, hidden?, cell? -> dgates, dweight?, dbias?
  kGruGrad,             ///< dy, y, saved, weight, length?, hidden? -> dgates, dweight?, dbias?
  kActivationGrad,      ///< dy, v -> dx; v is y for relu, tanh and sigmoid, x for the others
  kUnaryGrad,           ///< dy, x -> dx = dy f'(x)
  /// dy, a?, b? -> d = dy times the derivative of f(a, b) by `operand`: in y's shape, of that operand's type
  kBinaryGrad,
  kDropoutGrad,        ///< dy, step_block -> dx
  kFlattenGrad,        ///< dy -> dx
  kPadChannelsGrad,    ///< dy -> dx
  kResizeNearestGrad,  ///< dy -> dx: each cell the sum of its copies, in row-major order of y; 0 where it has none
  kResizeLinearGrad,   ///< dy -> dx: each cell the sum of dy times its weights, in row-major order of y
  /// dy, x?, y? -> dx; x of max, min and product, y of max and min, where ties have equal shares. A product's slope is
  /// the product of the other elements
  kReduceGrad,
  kStridedGrad,  ///< dy -> dx: 0 where y has no element of x. No stride is 0: what is repeated is summed before
  kSoftmaxGrad,  ///< dy, y -> dx = y (dy - sum of dy y), or of the logarithm dy - e^y sum of dy
  kGatherGrad,   ///< dy -> dx: each place the sum of its readers in the order of the index, 0 where it has none
  kSlice,        ///< x [.., c] -> y [.., end - begin]: elements [begin, end) of the last dimension
  /// logits, label, lse, step_block, weight?, other_label?, other_weight? -> dlogits = (softmax - target) * (weight +
  /// other_weight) * loss_scale[loss], with the mean of both targets by their weights; 0 for label -1
  kSoftmaxCrossEntropyGrad,
  kMeanSquaredErrorGrad,     ///< prediction, target, mask, step_block -> dprediction
                             ///< = 2 / k (p - t) * mask * loss_scale[loss]
  kMeanLossGrad,             ///< mask, step_block -> dvalues = loss_scale[loss] * mask / elements of a row
  kSigmoidCrossEntropyGrad,  ///< logits, target, weight, step_block -> dlogits = (p - target) * weight *
                             ///< loss_scale[loss]
  kCtcGrad,                  ///< dlogits (kCtc's), step_block -> dlogits * loss_scale[loss]
  /// logits, target (or label), mask, step_block -> dlogits * loss_scale[loss]; 0 where sigmoid(x) lies outside [clamp,
  /// 1
  /// - clamp], and in rows whose mask is 0
  kFocalLossGrad,
  /// sides, target, weight, step_block -> dsides * loss_scale[loss]; 0 in cells of weight 0, and where x is above 4 or,
  /// with relu, at most 0. Where two distances are equal, half of the gradient of their minimum and maximum goes to
  /// each,
  /// as in PyTorch
  kBoxLossGrad,
  // Fused: several of the above in one, for backends that want them (passes::FuseForDevice).
  /// logits, label, step_block, weight?, other_label?, other_weight? -> dlogits, sum f64 [], correct i64 []: those of
  /// kSoftmaxCrossEntropy and kSoftmaxCrossEntropyGrad, whose log of the sum of exponentials is not rounded in between
  kSoftmaxCrossEntropyTrain,
  /// a, b [.., c], weight [c], bias? [c] -> sum = a + b, y, mean? [..], inv_std? [..]: kLayerNorm of the sum as it is
  /// before it is stored
  kAddLayerNorm,
  kAddRmsNorm,  ///< a, b [.., c], weight [c] -> sum = a + b, y, inv_rms? [..]: likewise, kRmsNorm
  /// dsum, dy, x, weight, mean, inv_std -> dx = dsum + kLayerNormGrad's dx, dweight, dbias?
  kAddLayerNormGrad,
  kAddRmsNormGrad,  ///< dsum, dy, x, weight, inv_rms -> dx = dsum + kRmsNormGrad's dx, dweight
  /// in0, in1?, .. in7? -> y: a small program of elementwise functions (FusedAttributes), whose steps round to f32
  /// alone
  kFusedElementwise,
  /// x [.., c], addend [.., c], weight [c], bias [c] -> y, mean [c], variance [c], inv_std [c]: kBatchNormTrain whose
  /// result, before it is stored, is added to: y = act((x - mean) inv_std weight + bias + addend)
  kBatchNormAddTrain,
  /// dy, other_dy?, x, weight, mean, inv_std, y?, bias? -> dx, dweight, dbias, g: kBatchNormGrad's of g, which is dy +
  /// other_dy where the activation let something through (y > 0, or what the bias makes of x) and 0 elsewhere. One of y
  /// and bias where there is an activation; y may be kBatchNormAddTrain's, and g is its addend's gradient then
  kBatchNormAddGrad,
  kCount,
};

enum class Activation : uint8_t {
  kNone,
  kRelu,
  kGelu,  ///< the erf form
  kSilu,
  kTanh,
  kSigmoid,
  kGeluTanh,  ///< GELU's approximation by tanh, GPT-2's (Hendrycks and Gimpel 2016)
};

// What an op needs to know beyond its operands' shapes.

struct NoAttributes {
  bool operator==(const NoAttributes&) const = default;
};  // of ops that need nothing

struct LinearAttributes {  // kLinear and its gradients, and so on: gradient ops carry the forward op's, with kNone
  Activation activation = Activation::kNone;  ///< fused: applied to the result
  bool operator==(const LinearAttributes&) const = default;
};
/// A number for each axis of images; one number serves both.
struct Pair {
  int height = 1, width = 1;

  constexpr Pair() = default;
  // Most windows are square, and are written so. NOLINTNEXTLINE(google-explicit-constructor)
  constexpr Pair(int both) : height(both), width(both) {}
  constexpr Pair(int height, int width) : height(height), width(width) {}
  bool operator==(const Pair&) const = default;
};
struct Conv2dAttributes {
  Pair stride = 1, padding = 0;  ///< padding: as many zeros on both sides
  int groups = 1;
  Activation activation = Activation::kNone;  ///< fused: applied to the result
  Shape result = {};                          ///< kConv2dInputGrad, kConv2dWeightGrad: the shape of x, or of weight
  Pair dilation = 1;                          ///< from one of the kernel's cells to the next
  bool operator==(const Conv2dAttributes&) const = default;
};
struct Pool2dAttributes {
  Pair kernel = 2, stride = 2, padding = 0;  ///< padded cells don't count in averages
  Shape result = {};                         ///< gradient ops: the shape of x
  bool operator==(const Pool2dAttributes&) const = default;
};
struct PadChannelsAttributes {
  int stride = 1;
  int64_t channels = 0;
  Shape result = {};  ///< the gradient op: the shape of x
  bool operator==(const PadChannelsAttributes&) const = default;
};
struct SliceAttributes {       // kSlice, kCacheAppend
  int64_t begin = 0, end = 0;  ///< along the last dimension
  bool operator==(const SliceAttributes&) const = default;
};
struct NormAttributes {
  float epsilon = 1e-5f;
  /// Fused: applied to the result (batch norm; kNone or kRelu). kBatchNormGrad has it too, and undoes it.
  Activation activation = Activation::kNone;
  bool operator==(const NormAttributes&) const = default;
};
struct GroupNormAttributes {
  int groups = 1;
  float epsilon = 1e-5f;
  bool operator==(const GroupNormAttributes&) const = default;
};
struct EmbeddingAttributes {
  float scale = 1;
  bool sinusoids = false;      ///< of the position, added: sin at even, cos at odd dimensions (Vaswani et al. 2017)
  DType result = DType::kF32;  ///< of y
  int64_t positions = 0;       ///< that there are sinusoids for, where `first` is given
  Shape table = {}, position = {};  ///< the gradient op: of what it gives; position of rank 0 where there is none
  bool operator==(const EmbeddingAttributes&) const = default;
};
struct RotaryAttributes {
  int heads = 1;
  int64_t head_size = 0;  ///< even
  float base = 10000;
  bool inverse = false;   ///< turns back: the gradient
  int64_t positions = 0;  ///< that there are turns for, where `first` is given
  bool operator==(const RotaryAttributes&) const = default;
};
struct AttentionAttributes {
  int heads = 1, kv_heads = 1;  ///< heads is a multiple of kv_heads
  bool causal = false;
  bool operator==(const AttentionAttributes&) const = default;
};
struct WindowsAttributes {
  int kernel = 1, stride = 1, padding = 0;
  Shape result = {};  ///< the gradient op: the shape of x
  bool operator==(const WindowsAttributes&) const = default;
};
struct RecurrentAttributes {  // kLstm, kGru and their gradients
  bool reverse = false;       ///< from the last time step to the first
  bool operator==(const RecurrentAttributes&) const = default;
};
struct ActivationAttributes {  // kActivation, kActivationGrad, kAdd (kNone or kRelu)
  Activation activation = Activation::kRelu;
  bool operator==(const ActivationAttributes&) const = default;
};
struct DropoutAttributes {
  float probability = 0;   ///< of a zero
  uint32_t layer_key = 0;  ///< given when the graph is built, before any pass
  bool operator==(const DropoutAttributes&) const = default;
};
struct LossAttributes {
  float label_smoothing = 0;
  int loss = 0;  ///< its index in Graph::losses, and so in StepBlock::loss_scale
  bool operator==(const LossAttributes&) const = default;
};
struct MeanLossAttributes {
  int loss = 0;               ///< its index in Graph::losses, and so in StepBlock::loss_scale
  Shape result = {};          ///< the gradient op: the shape of values
  DType dtype = DType::kF32;  ///< the gradient op: of values
  bool operator==(const MeanLossAttributes&) const = default;
};
struct FillAttributes {
  Shape shape = {};
  float value = 0, step = 0;
  bool operator==(const FillAttributes&) const = default;
};
struct CtcAttributes {
  int loss = 0;                ///< its index in Graph::losses, and so in StepBlock::loss_scale
  DType result = DType::kF32;  ///< the gradient op: of the logits
  bool operator==(const CtcAttributes&) const = default;
};
struct ResizeAttributes {
  int64_t height = 0, width = 0;  ///< of y
  Shape result = {};              ///< the gradient op: the shape of x
  bool align_corners = false;     ///< kResizeLinear: corners come from corners, not borders from borders
  bool operator==(const ResizeAttributes&) const = default;
};
struct FocalAttributes {
  float positive = 1, negative = 1;  ///< factors of elements whose target is 1, and of the others
  float clamp = 0;                   ///< at least 0, below 0.5; 0: no probability is clamped
  int loss = 0;                      ///< its index in Graph::losses, and so in StepBlock::loss_scale
  bool operator==(const FocalAttributes&) const = default;
};
struct BoxLossAttributes {
  bool exponential = true;  ///< distances are exp(min(x, 4)), else relu(x)
  float factor = 1;
  int loss = 0;  ///< its index in Graph::losses, and so in StepBlock::loss_scale
  bool operator==(const BoxLossAttributes&) const = default;
};
struct PixelsAttributes {
  static constexpr int kMaxChannels = 16;  ///< kernels get the numbers with their operands' addresses
  float scale = 1;
  std::array<float, kMaxChannels> mean = {}, deviation = {};  ///< by channel
  DType result = DType::kF32;                                 ///< of y
  bool operator==(const PixelsAttributes&) const = default;
};
struct ReshapeAttributes {  // kReshape, and gradients of global pooling and flatten
  Shape shape;              ///< of the result, batch included
  bool operator==(const ReshapeAttributes&) const = default;
};
using Attributes =
    std::variant<NoAttributes, LinearAttributes, Conv2dAttributes, Pool2dAttributes, NormAttributes,
                 ActivationAttributes, DropoutAttributes, LossAttributes, ReshapeAttributes, PadChannelsAttributes,
                 SliceAttributes, EmbeddingAttributes, RotaryAttributes, AttentionAttributes, WindowsAttributes,
                 RecurrentAttributes, CtcAttributes, ResizeAttributes, FocalAttributes, BoxLossAttributes,
                 GroupNormAttributes, PixelsAttributes, ReduceAttributes, StridedAttributes, MatMulAttributes,
                 ConcatAttributes, SoftmaxAttributes, PadAttributes, GatherAttributes, UnaryAttributes,
                 BinaryAttributes, BinaryGradAttributes, WhereAttributes, CastAttributes, FusedAttributes,
                 MeanLossAttributes, FillAttributes>;

const char* Name(Activation activation);
/// "3", or "3x5" (height by width).
std::string ToString(const Pair& pair);

}  // namespace lockstep::graph
