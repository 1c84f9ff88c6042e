// Losses that a recipe's graph names. Those that have no op of their own are nodes and the mean of their values.
#include <cmath>

#include "trainer/graph/strided.h"
#include "trainer/models/blocks.h"
#include "trainer/models/graph/graph_builder.h"

namespace lockstep::models {

using graph::BinaryFunction;
using graph::Builder;
using graph::kNoValue;
using graph::OpKind;
using graph::UnaryFunction;
using graph::ValueId;

namespace {

class LossBuild {
 public:
  LossBuild(Builder& builder, const GraphLoss& config, std::string name, ValueId values)
      : builder_(builder), config_(config), name_(std::move(name)), x_(values) {}

  void Add() {
    switch (config_.kind_case()) {
      case GraphLoss::kSoftmaxCrossEntropy:
        return CrossEntropy();
      case GraphLoss::kMeanSquaredError:
        return SquaredError();
      case GraphLoss::kMeanAbsoluteError:
        return Mean(Unary(UnaryFunction::kAbs, Difference(), "/absolute"));
      case GraphLoss::kHuber:
        return HuberLoss(config_.huber().has_delta() ? config_.huber().delta() : 1);
      case GraphLoss::kBinaryCrossEntropy:
        return BinaryLoss();
      case GraphLoss::kKlDivergence:
        return KlLoss();
      case GraphLoss::kFocalCrossEntropy:
        return FocalLoss(config_.focal_cross_entropy().has_gamma() ? config_.focal_cross_entropy().gamma() : 2);
      case GraphLoss::kCtc:
        return CtcLoss();
      case GraphLoss::kMeanValue:
        return Mean(x_);
      case GraphLoss::KIND_NOT_SET:
        break;
    }
    Fail("model.graph.loss", fmt::format("\"{}\" does not say what kind it is", name_),
         "add one of softmax_cross_entropy, mean_squared_error, mean_absolute_error, huber, ...");
  }

 private:
  const Shape& shape(ValueId value) const { return builder_.shape(value); }
  float weight() const { return static_cast<float>(config_.has_weight() ? config_.weight() : 1); }

  ValueId Unary(UnaryFunction function, ValueId x, const std::string& suffix) {
    return builder_.Emit(OpKind::kUnary, {x}, graph::UnaryAttributes{.function = function}, name_ + suffix)[0];
  }
  ValueId Binary(BinaryFunction function, ValueId a, ValueId b, const std::string& suffix, double scalar = 0) {
    return builder_.Emit(OpKind::kBinary, {a, b},
                         graph::BinaryAttributes{.function = function, .scalar = static_cast<float>(scalar)},
                         name_ + suffix)[0];
  }
  ValueId SumOverLast(ValueId x, const std::string& suffix) {
    return builder_.Emit(
        OpKind::kReduce, {x},
        graph::ReduceAttributes{.function = graph::ReduceFunction::kSum, .axes = 1u << (shape(x).rank() - 1)},
        name_ + suffix)[0];
  }
  ValueId LogSoftmax() {
    return builder_.Emit(OpKind::kSoftmax, {x_}, graph::SoftmaxAttributes{.log = true}, name_ + "/log_softmax")[0];
  }
  ValueId Mask() { return builder_.Input("mask", {}, DType::kF32); }
  /// Of the values' shape.
  ValueId Target() {
    return builder_.Input(config_.target().empty() ? "target" : config_.target(), Shape(shape(x_).dims().subspan(1)),
                          DType::kF32);
  }
  ValueId Label() {
    const std::span<const int64_t> dims = shape(x_).dims();
    return builder_.Input(config_.target().empty() ? "label" : config_.target(),
                          Shape(dims.subspan(1, dims.size() - 2)), DType::kI32);
  }
  ValueId Difference() { return Binary(BinaryFunction::kSubtract, x_, Target(), "/difference"); }

  void Mean(ValueId values) {
    builder_.AddLoss(OpKind::kMeanLoss, {values, Mask()}, graph::MeanLossAttributes{}, name_, weight());
  }

  void RequireClasses() const {
    if (shape(x_).rank() >= 2) return;
    Fail("model.graph.loss", fmt::format("\"{}\" needs logits [batch, .., classes]", name_));
  }

  void CrossEntropy() {
    RequireClasses();
    const double smoothing = config_.softmax_cross_entropy().label_smoothing();
    RequireProbability("model.graph.loss.softmax_cross_entropy.label_smoothing", smoothing);
    const bool train = builder_.mode() == graph::Mode::kTrain;
    const graph::LossAttributes attributes{.label_smoothing = static_cast<float>(train ? smoothing : 0)};
    const std::vector<ValueId> results =
        builder_.AddLoss(OpKind::kSoftmaxCrossEntropy, {x_, Label()}, attributes, name_, weight());
    builder_.AddCounter("correct", results[2]);
  }

  void SquaredError() {
    const Shape rows{shape(x_).dim(0), shape(x_).size() / shape(x_).dim(0)};
    const ValueId x = shape(x_) == rows ? x_ : builder_.Reshape(x_, rows);
    const ValueId target = Target();
    builder_.AddLoss(OpKind::kMeanSquaredError,
                     {x, shape(target) == rows ? target : builder_.Reshape(target, rows), Mask()},
                     graph::LossAttributes{}, name_, weight());
  }

  /// d^2 / 2 up to delta, delta (|d| - delta / 2) beyond: with m = min(|d|, delta) both are m (|d| - m / 2).
  void HuberLoss(double delta) {
    if (!(delta > 0 && std::isfinite(delta)))
      Fail("model.graph.loss.huber.delta", fmt::format("{} is not a number > 0", delta));
    const ValueId d = Unary(UnaryFunction::kAbs, Difference(), "/absolute");
    const ValueId m = Binary(BinaryFunction::kMinimum, d, kNoValue, "/small", delta);
    const ValueId half = Binary(BinaryFunction::kMultiply, m, kNoValue, "/half", 0.5);
    Mean(Binary(BinaryFunction::kMultiply, m, Binary(BinaryFunction::kSubtract, d, half, "/slope"), "/huber"));
  }

  /// softplus(x) - target x, which is -(target log p + (1 - target) log(1 - p)) of p = sigmoid(x).
  void BinaryLoss() {
    const ValueId product = Binary(BinaryFunction::kMultiply, x_, Target(), "/product");
    Mean(Binary(BinaryFunction::kSubtract, Unary(UnaryFunction::kSoftplus, x_, "/softplus"), product, "/terms"));
  }

  /// The sum over the last dimension; 0 log 0 is 0.
  void KlLoss() {
    RequireClasses();
    const ValueId target = Target();
    const ValueId some = Binary(BinaryFunction::kGreater, target, kNoValue, "/some");
    const ValueId safe =
        builder_.Emit(OpKind::kWhere, {some, target, kNoValue}, graph::WhereAttributes{.b = 1}, name_ + "/safe")[0];
    const ValueId difference =
        Binary(BinaryFunction::kSubtract, Unary(UnaryFunction::kLog, safe, "/log"), LogSoftmax(), "/difference");
    Mean(SumOverLast(Binary(BinaryFunction::kMultiply, target, difference, "/terms"), "/sum"));
  }

  /// Rows of label -1 have no class whose number is theirs, and so add 0.
  void FocalLoss(double gamma) {
    RequireClasses();
    if (!(gamma >= 0 && std::isfinite(gamma)))
      Fail("model.graph.loss.focal_cross_entropy.gamma", fmt::format("{} is not a number >= 0", gamma));
    const ValueId label = Label();
    const int64_t classes = shape(x_).dim(-1);
    const ValueId places =
        builder_.Emit(OpKind::kFill, {}, graph::FillAttributes{.shape = {classes}, .step = 1}, name_ + "/classes")[0];
    const ValueId number =
        builder_.Emit(OpKind::kCast, {label}, graph::CastAttributes{DType::kF32}, name_ + "/number")[0];
    std::vector<int64_t> column(shape(label).dims().begin(), shape(label).dims().end());
    column.push_back(1);
    const ValueId is_label =
        Binary(BinaryFunction::kEqual, builder_.Reshape(number, Shape(column)), places, "/is_label");
    const ValueId log_p = SumOverLast(Binary(BinaryFunction::kMultiply, LogSoftmax(), is_label, "/chosen"), "/log_p");
    const ValueId rest =
        Binary(BinaryFunction::kSubtract, kNoValue, Unary(UnaryFunction::kExp, log_p, "/p"), "/rest", 1);
    const ValueId factor = Binary(BinaryFunction::kPower, rest, kNoValue, "/factor", gamma);
    const ValueId terms = Binary(BinaryFunction::kMultiply, factor, log_p, "/terms");
    Mean(Binary(BinaryFunction::kMultiply, terms, kNoValue, "/focal", -1));
    // Counts what is right as cross entropy does; its sum is read by nobody.
    const std::vector<ValueId> counted =
        builder_.Emit(OpKind::kSoftmaxCrossEntropy, {x_, label}, graph::LossAttributes{}, name_ + "/count");
    builder_.AddCounter("correct", counted[2]);
  }

  void CtcLoss() {
    RequireClasses();
    if (shape(x_).rank() != 3) Fail("model.graph.loss.ctc", "needs logits [batch, time, letters]");
    builder_.Ctc(x_, builder_.Input("label", {shape(x_).dim(1)}, DType::kI32),
                 builder_.Input("length", {}, DType::kI32), builder_.Input("label_length", {}, DType::kI32));
  }

  Builder& builder_;
  const GraphLoss& config_;
  const std::string name_;
  const ValueId x_;
};

}  // namespace

void AddGraphLosses(GraphBuilder& nodes, Builder& builder, const GraphModel& config, ValueId first) {
  if (builder.mode() == graph::Mode::kInfer) return;
  for (int i = 0; i < config.loss_size(); ++i) {
    const GraphLoss& loss = config.loss(i);
    if (loss.has_weight() && !(loss.weight() >= 0 && std::isfinite(loss.weight())))
      Fail("model.graph.loss.weight", fmt::format("{} is not a number >= 0", loss.weight()));
    const std::string name = !loss.name().empty() ? loss.name() : i == 0 ? "loss" : fmt::format("loss{}", i + 1);
    ValueId x = loss.node().empty() ? first : nodes.Value(loss.node(), "loss " + name);
    if (config.channels_first() && builder.shape(x).rank() == 4 && loss.has_softmax_cross_entropy())
      x = builder.Emit(OpKind::kStrided, {x}, graph::Transposed(builder.shape(x), std::vector<int>{0, 2, 3, 1}),
                       name + "/classes_last")[0];
    LossBuild(builder, loss, name, x).Add();
  }
}

}  // namespace lockstep::models
