// Where data came from, for errors that name it.
#pragma once

#include <string>

#include "base/error.h"

namespace lockstep::data {

/// Where bytes came from, so that errors can name it: the file, and the recipe's field that points at it
/// ("data.train.idx.images").
struct Origin {
  std::string path;
  std::string field;

  /// What is wrong with the file's content; `place` is added to the path ("17" for line 17).
  Error Bad(std::string message, std::string hint = "", const std::string& place = "") const;
};

}  // namespace lockstep::data
