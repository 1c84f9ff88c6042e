#include "trainer/onnx/graph_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "trainer/onnx/model_file.h"

namespace lockstep::onnx {
namespace {

/// Two sizes that no model has as dimensions of its own, so that what differs between foldings is the batch's doing,
/// and small enough that foldings are cheap.
constexpr int64_t kBatches[2] = {3, 5};

}  // namespace

GraphView::GraphView(const ModelProto& model, const ViewOptions& options, ReadExternal external)
    : model_(model), options_(options), external_(std::move(external)), provenance_(ProvenanceOf(model)) {
  Index();
  if (options_.has_batch) ChooseBatch();
  for (int which : {0, 1}) {
    const FoldOptions fold{.batch = batches_[which],
                           .batch_symbol = batch_symbol_,
                           .exported_batch = exported_batch_,
                           .dims = options_.dims,
                           .parameters = provenance_.parameters};
    foldings_[which] = Fold(model_, fold, external_);
  }
  FindWhatIsOfWeights();
}

void GraphView::FindWhatIsOfWeights() {
  for (const NodeProto& node : graph().node()) {
    if (node.op_type().starts_with("Random")) continue;
    const bool of_weights = std::all_of(node.input().begin(), node.input().end(), [&](const std::string& input) {
      return input.empty() || of_weights_.contains(input) || IsConstant(input);
    });
    if (of_weights) of_weights_.insert(node.output().begin(), node.output().end());
  }
}

bool GraphView::IsConstant(const std::string& value) const {
  const Known *first = Find(value, 0), *second = Find(value, 1);
  return first != nullptr && second != nullptr && first->constant != nullptr && second->constant != nullptr;
}

void GraphView::Index() {
  for (const TensorProto& tensor : graph().initializer()) {
    initializers_[tensor.name()] = &tensor;
    of_weights_.insert(tensor.name());
  }
  std::set<std::string> there;
  for (const TensorProto& tensor : graph().initializer()) there.insert(tensor.name());
  for (const ValueInfoProto& input : graph().input()) there.insert(input.name());
  for (const NodeProto& node : graph().node()) {
    for (const std::string& input : node.input()) {
      if (input.empty()) continue;
      if (!there.contains(input))
        throw Error(ErrorKind::kData,
                    fmt::format("node \"{}\" reads \"{}\", which no node before it makes", node.name(), input), "",
                    "the file is damaged: ONNX has nodes in the order in which they are computed");
      readers_[input].push_back(&node);
    }
    for (const std::string& output : node.output()) {
      if (output.empty()) continue;
      if (!there.insert(output).second)
        throw Error(ErrorKind::kData,
                    fmt::format("node \"{}\" makes \"{}\", which is there already", node.name(), output), "",
                    "the file is damaged");
      producers_[output] = &node;
    }
  }
  for (const ValueInfoProto& output : graph().output()) outputs_.insert(output.name());
  std::vector<std::string> wanted(outputs_.begin(), outputs_.end());
  while (!wanted.empty()) {
    const NodeProto* node = ProducerOf(wanted.back());
    wanted.pop_back();
    if (node != nullptr && needed_.insert(node).second)
      wanted.insert(wanted.end(), node->input().begin(), node->input().end());
  }
}

/// The batch is the first dimension of the first input; inputs that begin otherwise have none.
void GraphView::ChooseBatch() {
  const std::vector<const ValueInfoProto*> inputs = Inputs();
  if (inputs.empty()) throw Error(ErrorKind::kUsage, "has no inputs", "", "a model to be trained needs some");
  const TensorShapeProto& shape = inputs[0]->type().tensor_type().shape();
  if (shape.dim_size() == 0)
    throw Error(ErrorKind::kUsage,
                fmt::format("input \"{}\" has no dimension that could be the batch", inputs[0]->name()));
  if (shape.dim(0).has_dim_value())
    exported_batch_ = shape.dim(0).dim_value();
  else
    batch_symbol_ = shape.dim(0).dim_param();
  std::copy(std::begin(kBatches), std::end(kBatches), batches_);
}

const Known* GraphView::Find(const std::string& value, int which) const {
  const KnownValues& values = foldings_[which].values;
  const auto found = values.find(value);
  return found == values.end() ? nullptr : &found->second;
}

Step GraphView::StepOf(const NodeProto& node, int which) const {
  std::vector<const Known*> inputs;
  for (const std::string& input : node.input()) inputs.push_back(input.empty() ? nullptr : Find(input, which));
  Step step(node, OpsetOf(model_), std::move(inputs));
  for (const std::string& output : node.output()) {
    const Known* known = Find(output, which);
    step.outputs.push_back(known == nullptr ? Known{} : *known);
  }
  return step;
}

const NodeProto* GraphView::ProducerOf(const std::string& value) const {
  const auto found = producers_.find(value);
  return found == producers_.end() ? nullptr : found->second;
}

const std::vector<const NodeProto*>& GraphView::ReadersOf(const std::string& value) const {
  static const std::vector<const NodeProto*> none;
  const auto found = readers_.find(value);
  return found == readers_.end() ? none : found->second;
}

std::vector<const ValueInfoProto*> GraphView::Inputs() const {
  std::vector<const ValueInfoProto*> inputs;
  for (const ValueInfoProto& input : graph().input())
    if (!initializers_.contains(input.name())) inputs.push_back(&input);
  return inputs;
}

const TensorProto* GraphView::Initializer(const std::string& value) const {
  const auto found = initializers_.find(value);
  return found == initializers_.end() ? nullptr : found->second;
}

}  // namespace lockstep::onnx
