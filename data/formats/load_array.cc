#include "data/formats/load_array.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>
#include <utility>
#include <vector>

#include "data/source_file.h"

namespace lockstep::data {
namespace {

constexpr std::string_view kNpz = ".npz", kNpy = ".npy";

/// As numpy.load calls them: members without their ending.
std::vector<std::string> ArrayNames(const Archive& archive) {
  std::vector<std::string> names;
  for (std::string& name : archive.Names())
    if (name.ends_with(kNpy)) names.push_back(name.substr(0, name.size() - kNpy.size()));
  return names;
}

}  // namespace

size_t ArrayNameBegin(const std::string& path) {
  const size_t end = path.find(fmt::format("{}:", kNpz));
  return end == path.npos ? path.npos : end + kNpz.size() + 1;
}

const Archive& ArrayLoader::Open(const std::string& path, const std::string& field) {
  std::unique_ptr<const Archive>& archive = archives_[path];
  if (archive == nullptr) {
    const Origin origin{path, field};
    archive = std::make_unique<const Archive>(LoadSourceFile(origin, Kinds::kAny), origin);
  }
  return *archive;
}

std::vector<std::string> ArrayLoader::Names(const Origin& origin) {
  return ArrayNames(Open(origin.path, origin.field));
}

NamedArray ArrayLoader::Load(const Origin& origin) {
  const size_t begin = ArrayNameBegin(origin.path);
  if (begin != origin.path.npos) {
    const std::string path = origin.path.substr(0, begin - 1), name = origin.path.substr(begin);
    const Archive& archive = Open(path, origin.field);
    const auto member = archive.Find(name + std::string(kNpy));
    if (!member)
      throw Origin{path, origin.field}.Bad(fmt::format("there is no array \"{}\" in it", name),
                                           fmt::format("it has {}", fmt::join(ArrayNames(archive), ", ")));
    return {ReadNpy({member->begin(), member->end()}, origin), origin};
  }
  if (origin.path.ends_with(kNpz))
    throw origin.Bad(
        "holds several arrays, and none of them is named",
        fmt::format("FILE.npz:NAME; it has {}", fmt::join(ArrayNames(Open(origin.path, origin.field)), ", ")));
  return {ReadNpy(LoadSourceFile(origin, Kinds::kAny), origin), origin};
}

}  // namespace lockstep::data
