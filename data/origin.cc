#include "data/origin.h"

#include <utility>

namespace lockstep::data {

Error Origin::Bad(std::string message, std::string hint, const std::string& place) const {
  if (hint.empty()) hint = fmt::format("the file is named by {}", field);
  return Error(ErrorKind::kData, std::move(message), place.empty() ? path : fmt::format("{}:{}", path, place),
               std::move(hint));
}

}  // namespace lockstep::data
