#include "launch/import/import_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "launch/draft/draft_data.h"
#include "launch/import/import_text.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/onnx/import.h"

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

void RequireFree(const ImportModelOptions& options, const std::string& folder) {
  FileSystem& files = FileSystem::Real();
  for (const char* name : {"recipe.textproto", "weights.safetensors"})
    if (!options.force && files.Exists(folder + "/" + name))
      throw Error(ErrorKind::kUsage, "there is such a file already", folder + "/" + name,
                  "give --out another folder, or --force to replace it");
}

/// The section data of the recipe that `lockstep new` would write.
std::string DataSection(const ImportModelOptions& options, const std::string& folder) {
  if (options.data.empty()) return "";
  DraftOptions draft;
  draft.folder = folder;
  draft.name = "imported";
  const std::string recipe = DraftData(options.data, draft).recipe;
  const size_t begin = recipe.find("\ndata {");
  if (begin == std::string::npos) return "";
  const size_t end = recipe.find("\n}\n", begin);
  return recipe.substr(begin + 1, end + 2 - begin);
}

void WriteWeights(const std::string& path, const onnx::ImportResult& result) {
  std::vector<checkpoint::NamedTensor> tensors;
  for (const onnx::ImportedTensor& tensor : result.tensors)
    tensors.push_back({tensor.name, Shape(tensor.dims), tensor.values});
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  checkpoint::WriteSafetensors(FileSystem::Real(), path, tensors, {{"format", "pt"}});
}

onnx::ImportResult Read(const ImportModelOptions& options, ImportedFile& file) {
  FileSystem& files = FileSystem::Real();
  try {
    const std::string bytes = ReadWholeFile(files, options.path);
    const onnx::ModelProto model = onnx::ParseModel(std::as_bytes(std::span(bytes.data(), bytes.size())));
    file.producer = fmt::format("{} {}", model.producer_name(), model.producer_version());
    file.opset = onnx::OpsetOf(model);
    return onnx::Import(model, {.dims = options.dims}, onnx::ExternalFilesOf(files, options.path));
  } catch (const Error& error) {
    throw error.At(options.path);
  }
}

}  // namespace

ImportedFolder ImportModel(const ImportModelOptions& options) {
  ImportedFile file{.path = options.path, .name = fs::path(options.path).stem().string(), .producer = {}, .opset = 0};
  const std::string folder = options.out.empty() ? file.name : options.out;
  RequireFree(options, folder);
  const onnx::ImportResult result = Read(options, file);
  FileSystem& files = FileSystem::Real();
  files.CreateFolders(folder);
  WriteWeights(folder + "/weights.safetensors", result);
  const std::string report = ImportReport(file, result);
  WriteFileAtomically(files, folder + "/import.txt", report);
  WriteFileAtomically(files, folder + "/recipe.textproto", ImportedRecipe(file, result, DataSection(options, folder)));
  return {folder, report};
}

}  // namespace lockstep::launch
