#include "trainer/onnx/model_file.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <filesystem>
#include <limits>

namespace lockstep::onnx {
namespace {

bool IsStandard(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

/// Protobuf ends at 2 GiB.
constexpr int64_t kMostBytes = std::numeric_limits<int>::max();

void CheckModel(const ModelProto& model) {
  const int opset = OpsetOf(model);
  if (opset < kOldestOpset || opset > kNewestOpset)
    throw Error(ErrorKind::kUsage,
                fmt::format("its operators are of version (opset) {}; Lockstep reads {} to {}", opset, kOldestOpset,
                            kNewestOpset),
                "", "export it again: torch.onnx.export(..., opset_version=20)");
  if (model.functions_size() > 0)
    throw Error(ErrorKind::kUsage,
                fmt::format("has {} functions of its own (\"{}\"), which Lockstep doesn't read", model.functions_size(),
                            model.functions(0).name()),
                "", "onnx.inliner.inline_local_functions writes a model without any");
  if (model.graph().sparse_initializer_size() > 0)
    throw Error(ErrorKind::kUsage, "has sparse weights, which Lockstep doesn't read", "", "export them as dense ones");
  for (const NodeProto& node : model.graph().node())
    if (!IsStandard(node.domain()))
      throw Error(ErrorKind::kUsage, fmt::format("node \"{}\" is {}'s {}; Lockstep reads the standard's operators",
                                                 node.name(), node.domain(), node.op_type()));
}

}  // namespace

ModelProto ParseModel(std::span<const std::byte> bytes) {
  ModelProto model;
  if (static_cast<int64_t>(bytes.size()) > kMostBytes)
    throw Error(ErrorKind::kData, "has more than 2 GiB", "", "export it with its weights in a file beside it");
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream input(&stream);
  input.SetTotalBytesLimit(std::numeric_limits<int>::max());
  if (!model.ParseFromCodedStream(&input) || !input.ConsumedEntireMessage() || !model.has_graph())
    throw Error(ErrorKind::kData, "is no ONNX model, or a damaged one");
  CheckModel(model);
  return model;
}

int OpsetOf(const ModelProto& model) {
  for (const OperatorSetIdProto& opset : model.opset_import())
    if (IsStandard(opset.domain()))
      return static_cast<int>(std::clamp<int64_t>(opset.version(), 0, std::numeric_limits<int>::max()));
  return 1;  // so says the standard
}

ReadExternal ExternalFilesOf(FileSystem& files, const std::string& model_path) {
  return [&files, model_path](const std::string& location, uint64_t offset, uint64_t length) {
    const std::filesystem::path inside = std::filesystem::path(location).lexically_normal();
    if (inside.empty() || inside.is_absolute() || *inside.begin() == "..")
      throw Error(ErrorKind::kData, fmt::format("has weights in \"{}\", outside its folder", location), model_path);
    const std::string path = (std::filesystem::path(model_path).parent_path() / inside).string();
    const std::unique_ptr<ReadableFile> file = files.Open(path);
    if (offset > file->size() || length > file->size() - offset)
      throw Error(ErrorKind::kData,
                  fmt::format("bytes {} to {} hold weights of the model, but there are {}", offset, offset + length,
                              file->size()),
                  path, "the file was cut off, or is another export's");
    std::string bytes(length, '\0');
    file->ReadAt(offset, std::as_writable_bytes(std::span(bytes.data(), bytes.size())));
    return bytes;
  };
}

}  // namespace lockstep::onnx
