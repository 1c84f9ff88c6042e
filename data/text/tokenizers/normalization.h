// Unicode's normalization forms (UAX #15), through utf8proc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::data {

enum class Normalization { kNfc, kNfd, kNfkc, kNfkd };

/// The text in the forms, one after the other. REQUIRES: `text` is UTF-8.
std::string NormalizeText(std::string_view text, const std::vector<Normalization>& forms);

/// True where NormalizeText would surely change nothing, which is quick to see for most texts.
bool IsNormalized(std::string_view text, const std::vector<Normalization>& forms);

}  // namespace lockstep::data
