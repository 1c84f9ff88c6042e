#include "data/pictures/picture_list.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "data/utf8.h"

namespace lockstep::data {
namespace {

/// "cat, dog and 98 others".
std::string Some(const std::vector<std::string>& names) {
  constexpr size_t kNamed = 8;
  if (names.size() <= kNamed) return fmt::format("{}", fmt::join(names, ", "));
  const std::vector<std::string> first(names.begin(), names.begin() + kNamed);
  return fmt::format("{} and {} others", fmt::join(first, ", "), names.size() - kNamed);
}

void RequireText(const std::string& name, const std::string& path) {
  const size_t valid = ValidPrefix(name);
  if (valid == name.size()) return;
  throw Error(ErrorKind::kData,
              fmt::format("the class \"{}\" has {} in its name", name.substr(0, valid), NameCharacter(name, valid)),
              path, "names of classes are UTF-8: rename it");
}

}  // namespace

void Report(const BrokenFunction& on_broken, const Error& error) {
  if (!on_broken) throw error;
  on_broken(error);
}

void NumberClasses(const std::vector<std::string>& class_of_each, PictureList& list) {
  CHECK(class_of_each.size() == list.names.size());
  const std::set<std::string> names(class_of_each.begin(), class_of_each.end());
  list.class_names.assign(names.begin(), names.end());
  list.classes.clear();
  for (const std::string& name : class_of_each) {
    const auto place = std::lower_bound(list.class_names.begin(), list.class_names.end(), name);
    list.classes.push_back(static_cast<int32_t>(place - list.class_names.begin()));
  }
}

void AgreeOnClasses(const std::vector<std::string>& names, const std::string& path, const BrokenFunction& on_broken,
                    PictureList& list) {
  for (const std::string& name : list.class_names) RequireText(name, path);
  if (names.empty()) return;
  std::vector<int32_t> places;  // by the list's own; -1: it is no class
  bool all_known = true;
  for (const std::string& name : list.class_names) {
    const auto place = std::find(names.begin(), names.end(), name);
    places.push_back(place == names.end() ? -1 : static_cast<int32_t>(place - names.begin()));
    if (place != names.end()) continue;
    all_known = false;
    Report(on_broken,
           Error(ErrorKind::kData, fmt::format("there is no class \"{}\"", name), path,
                 fmt::format("classes are {}: rename or remove it, or change data.class_names", Some(names))));
  }
  PictureNames kept;
  std::vector<int32_t> classes;
  for (uint64_t i = 0; i < list.names.size(); ++i) {
    const int32_t place = places[static_cast<size_t>(list.classes[i])];
    if (place < 0) continue;
    if (!all_known) kept.Add(list.names[i]);
    classes.push_back(place);
  }
  if (classes.empty()) throw Error(ErrorKind::kData, "none of its pictures is of a known class", path, Some(names));
  if (!all_known) list.names = std::move(kept);
  list.classes = std::move(classes);
  list.class_names = names;
}

std::string ExtensionOf(std::string_view name) {
  const size_t slash = name.rfind('/'), dot = name.rfind('.');
  if (dot == std::string_view::npos || (slash != std::string_view::npos && dot < slash)) return "";
  std::string extension(name.substr(dot));
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return extension;
}

bool IsPictureName(std::string_view name) {
  static const std::set<std::string> names{".jpg", ".jpeg", ".jpe", ".jfif", ".png"};
  return names.count(ExtensionOf(name)) > 0;
}

bool IsOtherPictureName(std::string_view name) {
  static const std::set<std::string> names{".gif",  ".bmp", ".tif", ".tiff", ".webp", ".heic", ".heif",
                                           ".avif", ".jp2", ".j2k", ".jxl",  ".ppm",  ".pgm",  ".pbm",
                                           ".pnm",  ".tga", ".psd", ".svg",  ".dcm",  ".nef",  ".cr2"};
  return names.count(ExtensionOf(name)) > 0;
}

}  // namespace lockstep::data
