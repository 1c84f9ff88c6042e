// Rows that can't be used, told one by one, or kept for one error of them all.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "base/error.h"

namespace lockstep::data {

class BrokenRows {
 public:
  /// `told` is called with each; where it is empty, they are kept for ThrowIfAny.
  explicit BrokenRows(std::function<void(const Error&)> told) : told_(std::move(told)) {}

  void Tell(const Error& error);
  /// Throws the first error that was kept, with the number of all.
  void ThrowIfAny() const;

 private:
  std::function<void(const Error&)> told_;
  std::optional<Error> first_;
  uint64_t count_ = 0;
};

}  // namespace lockstep::data
