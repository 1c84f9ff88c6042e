// The Error that something throws, for tests that look at its parts.
#pragma once

#include <gtest/gtest.h>

#include "base/error.h"

namespace lockstep {

template <typename Action>
Error ErrorOf(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::kInternal, "");
}

}  // namespace lockstep
