#include "trainer/infer/input_text.h"

#include "base/error.h"
#include "data/utf8.h"

namespace lockstep::infer {

void RequireUtf8(std::string_view text) {
  const size_t valid = data::ValidPrefix(text);
  if (valid < text.size())
    throw Error(ErrorKind::kData, fmt::format("there is {}", data::NameCharacter(text, valid)), "",
                "write it as UTF-8");
}

}  // namespace lockstep::infer
