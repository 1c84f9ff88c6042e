#include "launch/command_line/option_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "launch/recipe/suggestions.h"

namespace lockstep::launch {
namespace {

template <typename Number>
std::optional<Number> Parse(const std::string& text) {
  Number number{};
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(begin, end, number);
  if (failure == std::errc::result_out_of_range && text.find_first_not_of("+-0123456789") == std::string::npos)
    return static_cast<Number>(text.starts_with('-') ? INT64_MIN : INT64_MAX);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace

CLI::Validator WholeNumber(int64_t least, int64_t most) {
  const auto check = [=](std::string& text) -> std::string {
    const std::optional<int64_t> number = Parse<int64_t>(text);
    if (!number) return fmt::format("\"{}\" is not a whole number", text);
    if (*number < least) return fmt::format("{} is less than {}", text, least);
    if (*number > most) return fmt::format("{} is more than {}", text, most);
    return "";
  };
  return {check, least > 0 ? "POSITIVE" : "NONNEGATIVE", "whole number"};
}

CLI::Validator NumberBetween(double least, double most) {
  const auto check = [=](std::string& text) -> std::string {
    const std::optional<double> number = Parse<double>(text);
    if (!number || std::isnan(*number)) return fmt::format("\"{}\" is not a number", text);
    if (*number < least || *number > most) return fmt::format("{} is not between {} and {}", text, least, most);
    return "";
  };
  return {check, fmt::format("{} to {}", least, most), "number"};
}

CLI::Validator PositiveNumber() {
  const auto check = [](std::string& text) -> std::string {
    const std::optional<double> number = Parse<double>(text);
    if (!number || std::isnan(*number)) return fmt::format("\"{}\" is not a number", text);
    return *number > 0 && std::isfinite(*number) ? "" : fmt::format("{} is not a number above 0", text);
  };
  return {check, "POSITIVE", "positive number"};
}

CLI::Validator OneOf(std::vector<std::string> words) {
  const std::string listed = fmt::format("{}", fmt::join(words, ","));
  const auto check = [words = std::move(words)](std::string& text) -> std::string {
    for (const std::string& word : words)
      if (word == text) return "";
    const std::string meant = DidYouMean(Nearest(text, words));
    return fmt::format("\"{}\" is none of {}{}", text, fmt::join(words, ", "), meant.empty() ? "" : ": " + meant);
  };
  return {check, "{" + listed + "}", "word"};
}

}  // namespace lockstep::launch
