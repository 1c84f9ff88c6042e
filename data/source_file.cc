#include "data/source_file.h"

#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "base/files/file.h"
#include "data/file_kind.h"
#include "data/unpack.h"

namespace lockstep::data {
namespace {

std::string MissingFileHint(const Origin& origin) {
  const bool packed = origin.path.ends_with(".gz");
  const std::string other = packed ? origin.path.substr(0, origin.path.size() - 3) : origin.path + ".gz";
  if (FileSystem::Real().Exists(other)) return fmt::format("there is {}: use that name", other);
  // Manifests and command lines name files too.
  if (!origin.field.starts_with("data.")) return "get the file, or name another";
  return fmt::format("get the file, or name another with --set {}=FILE", origin.field);
}

}  // namespace

std::string ResolveDataPath(const std::string& path, const std::string& folder, const std::string& where) {
  constexpr std::string_view kVariable = "$LOCKSTEP_DATA";
  if (path.starts_with(kVariable) && (path.size() == kVariable.size() || path[kVariable.size()] == '/')) {
    const char* data = std::getenv("LOCKSTEP_DATA");
    if (data == nullptr || *data == '\0') {
      throw Error(ErrorKind::kUsage,
                  fmt::format("{} needs the environment variable LOCKSTEP_DATA, which is not set", path), where,
                  "export LOCKSTEP_DATA=FOLDER, the folder that holds the data sets (mpirun: -x LOCKSTEP_DATA)");
    }
    return std::filesystem::absolute(data).lexically_normal().string() + path.substr(kVariable.size());
  }
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::absolute(folder.empty() ? "." : folder) / path).lexically_normal().string();
}

std::vector<std::byte> LoadSourceFile(const Origin& origin, Kinds kinds) {
  if (!FileSystem::Real().Exists(origin.path)) {
    throw Error(ErrorKind::kData, fmt::format("there is no file {}", origin.path), origin.field,
                MissingFileHint(origin));
  }
  std::vector<std::byte> bytes;
  try {
    const auto file = FileSystem::Real().Open(origin.path);
    bytes.resize(file->size());
    file->ReadAt(0, bytes);
  } catch (const Error& error) {
    throw origin.Bad(error.message(), error.hint());
  }
  if (IsPacked(bytes)) bytes = UnpackFile(bytes, origin);
  if (const FileKind* kind = kinds == Kinds::kOwn ? KindOf(bytes) : nullptr) throw WrongKind(*kind, origin.path);
  return bytes;
}

}  // namespace lockstep::data
