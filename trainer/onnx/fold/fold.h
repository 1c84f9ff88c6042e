// Shape inference and constant folding, in one pass over the graph at one size of the batch: what exporters write to
// work out shapes (Shape, Gather, Concat, ...) becomes constants, and every other value's type and shape is exact.
//
// Parameters are not constants: training changes them. Batches are told apart from other dimensions by folding twice,
// with different sizes (trainer/onnx/graph_view.h).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "trainer/onnx/fold/step.h"

namespace lockstep::onnx {

struct FoldOptions {
  int64_t batch = 0;              ///< the size of the batch; 0: no dimension is one
  std::string batch_symbol = {};  ///< what the file calls it; empty: the inputs' first dimension, whatever it says
  int64_t exported_batch = 0;     ///< its size in the file, where it is written out
  std::map<std::string, int64_t> dims;  ///< sizes of other dimensions that the file has names for
  std::set<std::string> parameters;     ///< initializers that training changes
};

/// A node that no rule knows or that a rule refuses.
struct Refusal {
  const NodeProto* node;
  std::string reason;
};

struct Folding {
  KnownValues values;             ///< all but results of refused nodes and what depends on them
  std::vector<Refusal> refusals;  ///< in the order of nodes
};

/// Throws Error(kUsage) where the file has a name for a dimension, and options have no size for it.
Folding Fold(const ModelProto& model, const FoldOptions& options, const ReadExternal& external);

/// What a rule does: fills in types and dims of step.outputs, and constants where it is the only one to know them.
/// Throws Unsupported.
using InferRule = void (*)(Step& step);
/// Fills in `result`'s values; its type and dims are inferred, and all inputs are constants.
using EvaluateRule = void (*)(const Step& step, Tensor& result);
struct OpRule {
  InferRule infer = nullptr;
  EvaluateRule evaluate = nullptr;
};
using OpRules = std::map<std::string, OpRule>;

/// By family; each in a file of its own.
OpRules ElementwiseRules();
OpRules MovementRules();
OpRules IndexRules();
OpRules ReductionRules();
OpRules LayerRules();
/// Of all families.
const OpRule* RuleOf(const std::string& op);

}  // namespace lockstep::onnx
