#include "launch/export/export_hugging_face.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "launch/export/export_tokenizer.h"
#include "trainer/checkpoint/durable_write.h"
#include "trainer/models/hugging_face.h"

namespace lockstep::launch {
namespace {

using checkpoint::NamedTensor;

/// The tensors as GPT2LMHeadModel has them, and the memory they lie in.
class HuggingFaceTensors {
 public:
  explicit HuggingFaceTensors(std::span<const NamedTensor> ours) {
    for (const NamedTensor& tensor : ours) Add(tensor);
    for (const NamedTensor& tensor : ours) {
      const auto bias = models::BiasOf(tensor.name);
      const auto is_bias = [&](const NamedTensor& other) { return other.name == bias; };
      if (!bias || std::any_of(ours.begin(), ours.end(), is_bias)) continue;
      const std::vector<float>& zeros = memory_.emplace_back(static_cast<size_t>(tensor.shape.dim(0)), 0.0f);
      Add({*bias, {tensor.shape.dim(0)}, zeros});
    }
  }

  const std::vector<NamedTensor>& tensors() const { return tensors_; }

 private:
  void Add(const NamedTensor& tensor) {
    NamedTensor& theirs = tensors_.emplace_back(tensor);
    theirs.name = models::NameForHuggingFace(tensor.name);
    if (!models::IsConv1dWeight(tensor.name)) return;
    const int64_t rows = tensor.shape.dim(0), columns = tensor.shape.dim(1);
    std::vector<float>& transposed = memory_.emplace_back(tensor.data.size());
    models::Transpose(tensor.data, rows, columns, transposed);
    theirs.shape = {columns, rows};
    theirs.data = transposed;
  }

  std::vector<NamedTensor> tensors_;
  std::deque<std::vector<float>> memory_;  ///< stays where it is
};

int64_t RowsOf(std::span<const NamedTensor> tensors, const std::string& name) {
  for (const NamedTensor& tensor : tensors)
    if (tensor.name == name) return tensor.shape.dim(0);
  throw Error(ErrorKind::kCheckpoint, fmt::format("there is no tensor \"{}\"", name), "",
              "is the checkpoint of another run than the recipe.textproto above it?");
}

std::string WithoutSlash(std::string folder) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  return folder;
}

/// Gives the new folder its name; returns where an older one went.
std::string MoveInPlace(FileSystem& files, const std::string& from, const std::string& to) {
  std::string aside;
  if (!files.List(to).empty()) {
    aside = to + ".old";
    for (int n = 2; files.Exists(aside); ++n) aside = fmt::format("{}.old-{}", to, n);
    files.Rename(to, aside);
  }
  files.Rename(from, to);
  files.SyncFolder(ParentFolder(to));
  return aside;
}

}  // namespace

void CheckHuggingFaceExport(const Recipe& recipe, const std::string& folder, bool force) {
  if (!recipe.model().has_gpt()) {
    throw Error(ErrorKind::kUsage, "only models of the family gpt can be a folder for Hugging Face's transformers",
                folder, "export FILE.safetensors");
  }
  models::RequireGpt2(recipe.model().gpt());
  if (std::filesystem::exists(folder) && !std::filesystem::is_directory(folder))
    throw Error(ErrorKind::kUsage, "is a file, and a folder is to be written", folder,
                "give another name; that of a file of weights ends in .safetensors");
  if (!force && !FileSystem::Real().List(folder).empty())
    throw Error(ErrorKind::kUsage, "is there and is not empty", folder,
                "give another name, or --force to move it aside");
}

std::string WriteHuggingFaceFolder(const Recipe& recipe, std::span<const NamedTensor> tensors,
                                   const std::map<std::string, std::string>& metadata, const std::string& folder,
                                   bool force) {
  const std::string target = WithoutSlash(folder);
  CheckHuggingFaceExport(recipe, target, force);
  models::HuggingFaceEnds ends;
  ends.vocabulary = RowsOf(tensors, "wte.weight");
  ends.context = RowsOf(tensors, "wpe.weight");
  const ExportedTokenizer tokenizer = ExportTokenizer(recipe.data(), ends.context);
  if (!tokenizer.files.empty() && tokenizer.size != ends.vocabulary) {
    throw Error(ErrorKind::kData,
                fmt::format("the tokenizer has {} tokens, the model {}", tokenizer.size, ends.vocabulary),
                "data.tokenizer", "its files have changed since the run; restore them, or export FILE.safetensors");
  }
  ends.begin = tokenizer.begin;
  ends.end = tokenizer.end;

  FileSystem& files = FileSystem::Real();
  const std::string unfinished = target + std::string(kTemporarySuffix);
  try {
    files.RemoveAll(unfinished);
    files.CreateFolders(unfinished);
    checkpoint::WriteSafetensors(files, unfinished + "/model.safetensors", HuggingFaceTensors(tensors).tensors(),
                                 metadata);
    WriteFileAtomically(files, unfinished + "/config.json", models::HuggingFaceConfig(recipe.model().gpt(), ends));
    for (const auto& [name, bytes] : tokenizer.files) WriteFileAtomically(files, unfinished + "/" + name, bytes);
    return MoveInPlace(files, unfinished, target);
  } catch (const Error&) {
    try {
      files.RemoveAll(unfinished);
    } catch (const Error&) {
      // The first failure is the one to report.
    }
    throw;
  }
}

}  // namespace lockstep::launch
