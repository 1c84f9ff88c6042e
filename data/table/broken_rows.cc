#include "data/table/broken_rows.h"

#include <fmt/format.h>

namespace lockstep::data {

void BrokenRows::Tell(const Error& error) {
  if (told_) return told_(error);
  ++count_;
  if (!first_) first_ = error;
}

void BrokenRows::ThrowIfAny() const {
  if (!first_) return;
  if (count_ == 1) throw *first_;
  throw Error(first_->kind(),
              fmt::format("{} (the first of {} rows that can't be used: lockstep data check lists them)",
                          first_->message(), count_),
              first_->where(), first_->hint());
}

}  // namespace lockstep::data
