#include "trainer/onnx/import.h"

#include <fmt/format.h>

#include "base/error.h"
#include "trainer/onnx/convert/conversion.h"

namespace lockstep::onnx {
namespace {

constexpr char kBetterExport[] =
    "torch.onnx.export(model.train(), args, path, dynamo=True, optimize=False, dynamic_shapes=...)";

/// What a file for inference lacks: it can be trained all the same, but is not what its author trained.
void Warn(const GraphView& view, ImportResult& result) {
  const ImportCounts& counts = result.counts;
  int folded = 0;
  for (const TensorProto& tensor : view.graph().initializer())
    if (tensor.name().ends_with("weight_bias")) ++folded;
  if (folded > 0)
    result.warnings.push_back(
        fmt::format("{} batch norms are folded into their convolutions, whose weights keep their names "
                    "and have other values",
                    folded));
  if (counts.renamed > 0)
    result.warnings.push_back(
        fmt::format("{} parameters have lost their names; they are called after their modules ({} lie "
                    "transposed in the file)",
                    counts.renamed, counts.transposed));
  if (counts.separated > 0)
    result.warnings.push_back(
        fmt::format("{} parameters were merged with others of the same values, and are apart again", counts.separated));
  if (IsForInference(result.exporter))
    result.warnings.push_back(fmt::format(
        "the file was made for inference: dropout may be missing, batch norm folded, tied weights apart; for training, "
        "write it with {}",
        kBetterExport));
  if (view.fixed_batch())
    result.warnings.push_back(
        fmt::format("the batch's size is written out in the file, and was taken for any: say dynamic_shapes={{\"{}\": "
                    "{{0: \"batch\"}}}} "
                    "in torch.onnx.export",
                    view.Inputs()[0]->name()));
}

}  // namespace

ImportResult Import(const ModelProto& model, const ImportOptions& options, const ReadExternal& external) {
  const GraphView view(model, {.dims = options.dims, .has_batch = options.has_batch}, external);
  ImportResult result = Conversion(view).Run();
  Warn(view, result);
  return result;
}

}  // namespace lockstep::onnx
