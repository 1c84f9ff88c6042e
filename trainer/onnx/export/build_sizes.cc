#include "trainer/onnx/export/build_sizes.h"

#include <algorithm>

namespace lockstep::onnx {
namespace {

// Larger than 1, which dimensions that don't vary often are, and unlike each other.
constexpr int64_t kBatch = 2, kOtherBatch = 3;
constexpr int64_t kTime = 16, kOtherTime = 20;

struct Lengths {
  int64_t rows = kBatch, source = kTime, target = kTime;
};

class SizedModel {
 public:
  SizedModel(const models::ModelConfig& model, const models::DataShape& data) : model_(model), data_(data) {
    if (model_.has_gpt() && model_.gpt().context() == 0)
      model_.mutable_gpt()->set_context(static_cast<uint32_t>(data.sample.dim(0)));
  }

  graph::Graph Build(Lengths lengths) const {
    models::DataShape data = data_;
    if (model_.has_gpt()) data.sample = {std::min(lengths.source, data_.sample.dim(0))};
    if (data.pairs()) data.target_positions = lengths.target;
    return models::Build(model_, data, graph::Mode::kInfer, lengths.rows, lengths.source).graph;
  }

  bool LengthVaries() const {
    if (model_.has_gpt()) return data_.sample.dim(0) > kTime;
    return std::ranges::any_of(data_.sample.dims(), [](int64_t size) { return size < 0; });
  }

 private:
  models::ModelConfig model_;
  const models::DataShape& data_;
};

}  // namespace

ModelSizes BuildSizes(const models::ModelConfig& model, const models::DataShape& data) {
  const SizedModel sized(model, data);
  ModelSizes sizes{sized.Build({}), {}};
  sizes.variations.push_back({"batch", sized.Build({.rows = kOtherBatch})});
  if (!sized.LengthVaries()) return sizes;
  sizes.variations.push_back({data.pairs() ? "source_time" : "time", sized.Build({.source = kOtherTime})});
  if (data.pairs()) sizes.variations.push_back({"time", sized.Build({.target = kOtherTime})});
  return sizes;
}

}  // namespace lockstep::onnx
