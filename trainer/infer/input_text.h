// Text that somebody gives a model to answer.
#pragma once

#include <string_view>

namespace lockstep::infer {

/// Throws Error(kData), without a place, naming the first byte of `text` that is no UTF-8.
void RequireUtf8(std::string_view text);

}  // namespace lockstep::infer
