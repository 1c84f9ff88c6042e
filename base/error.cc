#include "base/error.h"

#include <utility>

namespace lockstep {

Error::Error(ErrorKind kind, std::string message, std::string where, std::string hint)
    : kind_(kind), message_(std::move(message)), where_(std::move(where)), hint_(std::move(hint)) {
  text_ = where_.empty() ? message_ : where_ + ": " + message_;
  if (!hint_.empty()) text_ += " (" + hint_ + ")";
}

Error Error::At(std::string where) const {
  return Error(kind_, message_, where_.empty() ? std::move(where) : where_, hint_);
}

void CheckFailed(const char* file, int line, const char* condition, const std::string& message) {
  throw Error(ErrorKind::kInternal,
              message.empty() ? fmt::format("check failed: {}", condition)
                              : fmt::format("check failed: {}: {}", condition, message),
              fmt::format("{}:{}", file, line), "this is a bug in Lockstep; please report it");
}

}  // namespace lockstep
