#include "launch/job/read_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files/file.h"
#include "base/log.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/models/hugging_face.h"

namespace lockstep::launch {
namespace {

using checkpoint::SafetensorsFile;
using nlohmann::json;

constexpr char kOneFile[] = "model.safetensors", kIndex[] = "model.safetensors.index.json";

NamedWeightsOfPath ReadCheckpoint(const std::string& path) {
  NamedWeightsOfPath weights;
  const auto reader = checkpoint::OpenPath(FileSystem::Real(), path);
  const int array = reader->EvaluatedArray();
  for (const checkpoint::Tensor& entry : reader->manifest().tensors()) {
    NamedWeights& tensor = weights.tensors[entry.name()];
    tensor.shape = checkpoint::ShapeOf(entry);
    tensor.data.resize(static_cast<size_t>(tensor.shape.size()));
    reader->Read(array, entry.offset(), tensor.data);
  }
  return weights;
}

/// One model, in one file or several.
class SafetensorsFiles {
 public:
  explicit SafetensorsFiles(const std::string& path) {
    if (path.ends_with(".safetensors")) {
      files_.emplace_back(FileSystem::Real(), path);
      folder_ = std::filesystem::path(path).parent_path();
    } else if (folder_ = path; FileSystem::Real().Exists(folder_ / kOneFile)) {
      files_.emplace_back(FileSystem::Real(), folder_ / kOneFile);
    } else {
      OpenIndex(folder_ / kIndex);
    }
  }

  /// Calls `visit(file, entry)` on every tensor.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const SafetensorsFile& file : files_)
      for (const SafetensorsFile::Entry& entry : file.entries()) visit(file, entry);
  }
  /// What all names begin with that DistributedDataParallel ("module.") and torch.compile ("_orig_mod.") put in front
  /// of them; empty: nothing.
  std::string WrapperPrefix() const {
    std::string prefix;
    for (bool found = true; found;) {
      found = false;
      for (const char* wrapper : {"module.", "_orig_mod."})
        if (!found && AllBeginWith(prefix + wrapper)) {
          prefix += wrapper;
          found = true;
        }
    }
    return prefix;
  }
  bool is_ours() const { return files_.front().metadata().contains("lockstep_version"); }
  std::string config() const { return folder_ / "config.json"; }

 private:
  bool AllBeginWith(const std::string& prefix) const {
    bool all = true, any = false;
    ForEach([&](const SafetensorsFile&, const SafetensorsFile::Entry& entry) {
      all = all && entry.name.starts_with(prefix);
      any = true;
    });
    return all && any;
  }

  void OpenIndex(const std::string& path) {
    const auto damaged = [&](const std::string& message) {
      return Error(ErrorKind::kCheckpoint, message, path, "get the folder's files anew");
    };
    const json index = json::parse(ReadWholeFile(FileSystem::Real(), path), nullptr, /*allow_exceptions=*/false);
    const json map = index.is_object() ? index.value("weight_map", json()) : json();
    if (!map.is_object() || map.empty()) throw damaged("there is no weight_map that names tensors' files");
    std::set<std::string> names;
    for (const auto& [tensor, name] : map.items()) {
      if (!name.is_string() || name.get_ref<const std::string&>().find('/') != std::string::npos)
        throw damaged(fmt::format("the file of tensor \"{}\" is no file's name", tensor));
      names.insert(name.get<std::string>());
    }
    for (const std::string& name : names) files_.emplace_back(FileSystem::Real(), folder_ / name);
    std::set<std::string> tensors;
    ForEach([&](const auto&, const auto& entry) {
      if (!tensors.insert(entry.name).second) throw damaged(fmt::format("two files have tensor \"{}\"", entry.name));
    });
    for (const auto& [tensor, name] : map.items())
      if (!tensors.contains(tensor)) throw damaged(fmt::format("no file has tensor \"{}\"", tensor));
  }

  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
};

void ReadAsTheyAre(const SafetensorsFiles& files, size_t prefix, NamedWeightsOfPath& weights) {
  files.ForEach([&](const SafetensorsFile& file, const SafetensorsFile::Entry& entry) {
    const std::string name = entry.name.substr(prefix);
    if (!SafetensorsFile::IsReadable(entry)) {
      weights.others[name] = entry.dtype;
      return;
    }
    NamedWeights& tensor = weights.tensors[name];
    tensor.shape = entry.shape;
    tensor.data.resize(static_cast<size_t>(entry.shape.size()));
    file.Read(entry, tensor.data);
  });
}

/// Whether the files hold the layout of Conv1D, as GPT-2's own do. Some programs (nanoGPT) keep that of nn.Linear under
/// the same names.
bool IsConv1d(const SafetensorsFiles& files, size_t prefix) {
  bool conv1d = true;
  files.ForEach([&](const SafetensorsFile&, const SafetensorsFile::Entry& entry) {
    const auto name = models::NameFromHuggingFace(std::string_view(entry.name).substr(prefix));
    if (name) conv1d = models::IsConv1dLayout(*name, entry.shape).value_or(conv1d);
  });
  return conv1d;
}

void ReadHuggingFacesGpt(const SafetensorsFiles& files, const std::string& path, size_t prefix,
                         NamedWeightsOfPath& weights) {
  const bool conv1d = IsConv1d(files, prefix);
  files.ForEach([&](const SafetensorsFile& file, const SafetensorsFile::Entry& entry) {
    const auto name = models::NameFromHuggingFace(std::string_view(entry.name).substr(prefix));
    if (!name) return;
    if (!SafetensorsFile::IsReadable(entry)) {
      weights.others[*name] = entry.dtype;
      return;
    }
    NamedWeights& tensor = weights.tensors[*name];
    if (!tensor.data.empty())
      throw Error(ErrorKind::kCheckpoint, fmt::format("tensor \"{}\" is there with and without a prefix", *name), path);
    tensor.shape = entry.shape;
    tensor.data.resize(static_cast<size_t>(entry.shape.size()));
    file.Read(entry, tensor.data);
    if (!conv1d || !models::IsConv1dWeight(*name) || entry.shape.rank() != 2) return;
    std::vector<float> transposed(tensor.data.size());
    models::Transpose(tensor.data, entry.shape.dim(0), entry.shape.dim(1), transposed);
    tensor.shape = {entry.shape.dim(1), entry.shape.dim(0)};
    tensor.data = std::move(transposed);
  });
}

bool IsModelFolder(const std::string& path) {
  FileSystem& files = FileSystem::Real();
  if (files.Exists(path + "/" + kOneFile) || files.Exists(path + "/" + kIndex)) return true;
  for (const char* name : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (!files.Exists(path + "/" + name)) continue;
    throw Error(ErrorKind::kUsage, fmt::format("{} is PyTorch's own format, which is not read", name),
                "train.init_from: " + path, "let transformers write it anew: model.save_pretrained(FOLDER)");
  }
  return false;
}

}  // namespace

NamedWeightsOfPath ReadWeights(const std::string& path, const models::ModelConfig& model) {
  if (!path.ends_with(".safetensors") && !IsModelFolder(path)) return ReadCheckpoint(path);
  const SafetensorsFiles files(path);
  NamedWeightsOfPath weights;
  weights.foreign_gpt = model.has_gpt() && !files.is_ours();
  const std::string prefix = files.is_ours() ? "" : files.WrapperPrefix();
  if (!prefix.empty()) LogNote("{}: all names begin with \"{}\", which is taken off", path, prefix);
  if (!weights.foreign_gpt) {
    ReadAsTheyAre(files, prefix.size(), weights);
    return weights;
  }
  if (const std::string config = files.config(); FileSystem::Real().Exists(config))
    models::CheckHuggingFaceConfig(model.gpt(), ReadWholeFile(FileSystem::Real(), config), config);
  ReadHuggingFacesGpt(files, path, prefix.size(), weights);
  return weights;
}

}  // namespace lockstep::launch
