// Arrays by their names: FILE.npy, or FILE.npz:NAME.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/formats/archive.h"
#include "data/formats/arrays.h"

namespace lockstep::data {

/// Where an array's name begins in "data.npz:x"; npos where the path names no .npz and array.
size_t ArrayNameBegin(const std::string& path);

/// Opens each .npz once. Not thread-safe.
class ArrayLoader {
 public:
  /// The array that `origin.path` names. Throws Error(kData) as LoadSourceFile and ReadNpy, and where the .npz has no
  /// such array.
  NamedArray Load(const Origin& origin);
  /// Of the arrays of the .npz `origin.path`, sorted.
  std::vector<std::string> Names(const Origin& origin);

 private:
  const Archive& Open(const std::string& path, const std::string& field);

  std::map<std::string, std::unique_ptr<const Archive>> archives_;
};

}  // namespace lockstep::data
