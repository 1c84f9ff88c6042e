// An ONNX model as conversion sees it: who makes and reads each value, what is known of it at two sizes of the batch,
// which initializers are parameters, and how the file was made.
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "trainer/onnx/fold/fold.h"
#include "trainer/onnx/provenance.h"

namespace lockstep::onnx {

struct ViewOptions {
  std::map<std::string, int64_t> dims = {};  ///< sizes of dimensions other than the batch, by the file's names
  bool has_batch = true;                     ///< else all dimensions are what the file says
};

class GraphView {
 public:
  /// Throws what Fold throws, and Error(kUsage) where no first dimension of an input can be the batch. `model` outlives
  /// it.
  GraphView(const ModelProto& model, const ViewOptions& options, ReadExternal external);

  const ModelProto& model() const { return model_; }
  const GraphProto& graph() const { return model_.graph(); }
  const Provenance& provenance() const { return provenance_; }
  const ReadExternal& external() const { return external_; }

  bool has_batch() const { return options_.has_batch; }
  /// Whether the batch was written out in the file.
  bool fixed_batch() const { return exported_batch_ > 0; }
  int64_t batch(int which) const { return which == 0 ? batches_[0] : batches_[1]; }
  /// Of folding 0 or 1; nullptr where a rule refused the node, or one before it.
  const Known* Find(const std::string& value, int which) const;
  const std::vector<Refusal>& refusals() const { return foldings_[0].refusals; }
  /// Follows from the file, though it may depend on the size of the batch.
  bool IsConstant(const std::string& value) const;
  /// The node with what is known of its inputs and results.
  Step StepOf(const NodeProto& node, int which) const;

  const NodeProto* ProducerOf(const std::string& value) const;
  const std::vector<const NodeProto*>& ReadersOf(const std::string& value) const;
  bool IsOutput(const std::string& value) const { return outputs_.contains(value); }
  /// Inputs of the model that are no initializers.
  std::vector<const ValueInfoProto*> Inputs() const;
  /// nullptr: it is none.
  const TensorProto* Initializer(const std::string& value) const;
  bool IsParameter(const std::string& value) const { return provenance_.parameters.contains(value); }
  /// Depends on parameters and constants alone.
  bool IsOfWeights(const std::string& value) const { return of_weights_.contains(value); }
  /// Something that is wanted depends on it.
  bool IsNeeded(const NodeProto& node) const { return needed_.contains(&node); }

 private:
  void Index();
  void ChooseBatch();
  void FindWhatIsOfWeights();

  const ModelProto& model_;
  ViewOptions options_;
  ReadExternal external_;
  Provenance provenance_;
  int64_t exported_batch_ = 0;
  std::string batch_symbol_;
  int64_t batches_[2] = {0, 0};
  Folding foldings_[2];
  std::unordered_map<std::string, const NodeProto*> producers_;
  std::unordered_map<std::string, std::vector<const NodeProto*>> readers_;
  std::unordered_map<std::string, const TensorProto*> initializers_;
  std::set<std::string> outputs_, of_weights_;
  std::set<const NodeProto*> needed_;
};

}  // namespace lockstep::onnx
