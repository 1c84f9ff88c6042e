// Which pictures there are, and what class each is of: what a folder is walked for, or a list is read for.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lockstep::data {

/// Names of pictures, one behind the other in one text: a million take little more memory than their letters.
class PictureNames {
 public:
  uint64_t size() const { return ends_.size(); }
  void Add(std::string_view name) {
    text_ += name;
    ends_.push_back(text_.size());
  }
  std::string_view operator[](uint64_t i) const {
    const uint64_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(text_).substr(begin, ends_[i] - begin);
  }
  std::string_view text() const { return text_; }
  const std::vector<uint64_t>& ends() const { return ends_; }

 private:
  std::string text_;
  std::vector<uint64_t> ends_;
};

struct PictureList {
  PictureNames names;                    ///< as their source has them: paths in a folder, or of an archive's members
  std::vector<int32_t> classes;          ///< of each: its place in class_names
  std::vector<std::string> class_names;  ///< sorted by their bytes, all different
};

/// Who wants to know of all that is wrong, and not of the first alone; may be empty.
using BrokenFunction = std::function<void(const Error&)>;

/// Tells `on_broken` of the error, or throws it.
void Report(const BrokenFunction& on_broken, const Error& error);

/// What has a class by its name becomes what has one by its place: sorts the names that occur, and counts places in
/// them. REQUIRES: a class for each of list.names.
void NumberClasses(const std::vector<std::string>& class_of_each, PictureList& list);

/// Counts classes by their places in `names` instead, where that is not empty: the classes that a model answers with.
/// Throws Error(kData) or tells of each class that is not among them; its pictures are left out. `path`: of the Source
/// ("data.test"). Throws too where nothing is left, or a name is no UTF-8, which recipes are.
void AgreeOnClasses(const std::vector<std::string>& names, const std::string& path, const BrokenFunction& on_broken,
                    PictureList& list);

/// Whether names say that files are pictures which are read: .jpg, .jpeg, .jpe, .jfif, .png, in any case.
bool IsPictureName(std::string_view name);
/// Whether they are pictures of other kinds (.gif, .webp and so on).
bool IsOtherPictureName(std::string_view name);

/// ".jpg" of "a/b.JPG", in lower case; empty where there is none.
std::string ExtensionOf(std::string_view name);

}  // namespace lockstep::data
