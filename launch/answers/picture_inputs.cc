#include "launch/answers/picture_inputs.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "data/pictures/picture_list.h"

namespace lockstep::launch {
namespace {

void AddFolder(const std::string& folder, std::vector<std::string>& paths) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error))
    if (entry.is_regular_file() && data::IsPictureName(entry.path().filename().string()))
      found.push_back(entry.path().string());
  if (error) throw Error(ErrorKind::kData, "can't be listed: " + error.message(), folder, "check the folder");
  if (found.empty())
    throw Error(ErrorKind::kData, "there are no JPEG or PNG files in it", folder, "name another folder");
  std::sort(found.begin(), found.end());
  paths.insert(paths.end(), found.begin(), found.end());
}

}  // namespace

std::vector<std::string> ListPictures(const std::vector<std::string>& inputs) {
  std::vector<std::string> paths;
  for (const std::string& input : inputs) {
    std::error_code ignored;
    if (std::filesystem::is_directory(input, ignored)) {
      AddFolder(input, paths);
    } else {
      paths.push_back(input);
    }
  }
  return paths;
}

}  // namespace lockstep::launch
