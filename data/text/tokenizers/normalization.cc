#include "data/text/tokenizers/normalization.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/error.h"

namespace lockstep::data {
namespace {

int OptionsOf(Normalization form) {
  switch (form) {
    case Normalization::kNfc:
      return UTF8PROC_COMPOSE;
    case Normalization::kNfd:
      return UTF8PROC_DECOMPOSE;
    case Normalization::kNfkc:
      return UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    case Normalization::kNfkd:
      return UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
  }
  CHECK(false);
}

std::string NormalizeOnce(std::string_view text, Normalization form) {
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t bytes =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &result, static_cast<utf8proc_option_t>(OptionsOf(form) | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  if (bytes < 0) throw Error(ErrorKind::kData, "a text can't be normalized: " + std::string(utf8proc_errmsg(bytes)));
  return {reinterpret_cast<const char*>(result), static_cast<size_t>(bytes)};
}

}  // namespace

std::string NormalizeText(std::string_view text, const std::vector<Normalization>& forms) {
  std::string normalized(text);
  for (Normalization form : forms) normalized = NormalizeOnce(normalized, form);
  return normalized;
}

bool IsNormalized(std::string_view text, const std::vector<Normalization>& forms) {
  if (forms.empty()) return true;
  // Below U+0300 no character combines with another: all is NFC. 0xCC begins U+0300. ASCII is in every form.
  const bool composed =
      std::all_of(forms.begin(), forms.end(), [](Normalization form) { return form == Normalization::kNfc; });
  const uint8_t limit = composed ? 0xCC : 0x80;
  return std::none_of(text.begin(), text.end(), [&](char c) { return static_cast<uint8_t>(c) >= limit; });
}

}  // namespace lockstep::data
