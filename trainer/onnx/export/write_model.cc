#include "trainer/onnx/export/write_model.h"

#include <fmt/format.h>

#include <span>

#include "base/error.h"
#include "base/files/atomic_write.h"

namespace lockstep::onnx {
namespace {

/// Shapes and the like stay in the model, where loaders look for them.
constexpr size_t kSmall = 1024;
/// Where tensors begin in the second file: whole pages, which loaders may map.
constexpr uint64_t kPage = 4096;

int64_t TensorBytes(const ModelProto& model) {
  int64_t bytes = 0;
  for (const TensorProto& tensor : model.graph().initializer()) bytes += static_cast<int64_t>(tensor.raw_data().size());
  return bytes;
}

void AddEntry(TensorProto& tensor, const std::string& key, const std::string& value) {
  StringStringEntryProto& entry = *tensor.add_external_data();
  entry.set_key(key);
  entry.set_value(value);
}

/// Moves tensors' bytes into the second file.
class DataFile {
 public:
  DataFile(WritableFile& file, std::string location) : file_(file), location_(std::move(location)) {}

  void Take(TensorProto& tensor) {
    Append(std::string(static_cast<size_t>((kPage - offset_ % kPage) % kPage), '\0'));
    const std::string& bytes = tensor.raw_data();
    tensor.set_data_location(TensorProto::EXTERNAL);
    AddEntry(tensor, "location", location_);
    AddEntry(tensor, "offset", fmt::format("{}", offset_));
    AddEntry(tensor, "length", fmt::format("{}", bytes.size()));
    Append(bytes);
    tensor.clear_raw_data();
  }

 private:
  void Append(const std::string& bytes) {
    file_.Append(std::as_bytes(std::span(bytes)));
    offset_ += bytes.size();
  }

  WritableFile& file_;
  const std::string location_;
  uint64_t offset_ = 0;
};

std::string NameIn(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::string WriteModel(FileSystem& files, const std::string& path, ModelProto model, int64_t most) {
  std::string second;
  if (TensorBytes(model) > most) {
    second = path + ".data";
    WriteAtomically(files, second, Durability::kMachine, [&](WritableFile& file) {
      DataFile data(file, NameIn(second));
      for (TensorProto& tensor : *model.mutable_graph()->mutable_initializer())
        if (tensor.raw_data().size() > kSmall) data.Take(tensor);
    });
  }
  std::string bytes;
  CHECK(model.SerializeToString(&bytes));
  WriteFileAtomically(files, path, bytes);
  return second;
}

}  // namespace lockstep::onnx
