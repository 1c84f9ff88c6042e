// How damage of a checkpoint is told.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"

namespace lockstep::checkpoint {

inline constexpr char kDamageHint[] =
    "name another checkpoint, or the run, of which the newest good one is taken; lockstep verify finds all damage";

/// Of a part of a checkpoint that does not hold what was written.
inline Error Damage(std::string message, std::string where) {
  return Error(ErrorKind::kCheckpoint, std::move(message), std::move(where), kDamageHint);
}

/// What is wrong, for those who look for damage and need not be told how to go around it.
inline std::string DamageText(const Error& error) {
  return error.hint() == kDamageHint ? Error(error.kind(), error.message(), error.where()).what() : error.what();
}

}  // namespace lockstep::checkpoint
