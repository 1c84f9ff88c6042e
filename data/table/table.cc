#include "data/table/table.h"

namespace lockstep::data {

int32_t WordList::Add(std::string_view word) {
  if (const auto found = numbers_.find(word); found != numbers_.end()) return found->second;
  const auto number = static_cast<int32_t>(words_.size());
  words_.emplace_back(word);
  numbers_.emplace(words_.back(), number);
  return number;
}

}  // namespace lockstep::data
