#include "trainer/models/head.h"

#include <algorithm>
#include <vector>

namespace lockstep::models {
namespace {

using graph::Op;
using graph::ValueId;

class HeadFinder {
 public:
  explicit HeadFinder(const graph::Graph& graph) : graph_(graph), maker_(graph.values.size(), nullptr) {
    for (const Op& op : graph.ops)
      for (const ValueId output : op.outputs)
        if (output != graph::kNoValue) maker_[static_cast<size_t>(output)] = &op;
  }

  Head Find() {
    for (const graph::Loss& loss : graph_.losses) {
      const Op* const op = MakerOf(loss.sum);
      if (op == nullptr || !Walk(op->inputs.front())) return {};
    }
    for (const ValueId parameter : found_) head_.shared |= Readers(parameter) > 1;
    return std::move(head_);
  }

 private:
  const Op* MakerOf(ValueId value) const {
    return value == graph::kNoValue ? nullptr : maker_[static_cast<size_t>(value)];
  }
  bool IsParameter(ValueId value) const {
    return value != graph::kNoValue && graph_.value(value).role == graph::Role::kParameter;
  }
  long Readers(ValueId parameter) const {
    return std::ranges::count_if(
        graph_.ops, [&](const Op& op) { return std::ranges::find(op.inputs, parameter) != op.inputs.end(); });
  }

  void Add(const Op& op) {
    for (const ValueId input : op.inputs)
      if (IsParameter(input)) {
        head_.parameters.insert(graph_.value(input).name);
        found_.insert(input);
      }
    for (const graph::StatisticUpdate& update : graph_.statistic_updates)
      if (MakerOf(update.lane_value) == &op) head_.parameters.insert(graph_.value(update.statistic).name);
  }

  /// From what `value` is made of back to a matrix; false where there is none, or two ways lead on.
  bool Walk(ValueId value) {
    while (const Op* const op = MakerOf(value)) {
      Add(*op);
      std::vector<ValueId> made;
      for (const ValueId input : op->inputs) {
        if (IsParameter(input) && graph_.value(input).shape.rank() >= 2) return true;
        if (MakerOf(input) != nullptr) made.push_back(input);
      }
      if (made.size() != 1) return false;
      value = made.front();
    }
    return false;
  }

  const graph::Graph& graph_;
  std::vector<const Op*> maker_;  ///< by value; null: none
  Head head_;
  std::set<ValueId> found_;
};

}  // namespace

Head FindHead(const graph::Graph& training) { return HeadFinder(training).Find(); }

}  // namespace lockstep::models
