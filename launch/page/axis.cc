#include "launch/page/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lockstep::launch {
namespace {

constexpr double kNear = 0.25;

/// "1e-05" is "1e-5".
std::string ShortExponent(std::string text) {
  const size_t e = text.find('e');
  if (e == std::string::npos) return text;
  size_t digits = e + 1;
  if (text[digits] == '+')
    text.erase(digits, 1);
  else if (text[digits] == '-')
    ++digits;
  while (digits + 1 < text.size() && text[digits] == '0') text.erase(digits, 1);
  return text;
}

/// "2e-4"
std::string WithExponent(double value) {
  const double exponent = std::floor(std::log10(std::abs(value)) + 1e-9);
  return fmt::format("{:.3g}e{:.0f}", value / std::pow(10, exponent), exponent);
}

/// 1, 2 or 5 times a power of ten, at least `least`.
double RoundStep(double least) {
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1, 2, 5})
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

std::vector<double> LinearTicks(double low, double high, int wanted, bool whole) {
  double step = RoundStep((high - low) / std::max(1, wanted));
  if (whole) step = std::max(step, 1.0);
  std::vector<double> ticks;
  const double slack = 1e-9 * (high - low);
  for (double i = std::ceil((low - slack) / step); i * step <= high + slack; ++i) ticks.push_back(i * step + 0.0);
  return ticks;
}

std::vector<double> LogTicks(double low, double high, int wanted) {
  const double first = std::floor(std::log10(low)), last = std::ceil(std::log10(high));
  const double every = std::max(1.0, std::ceil((last - first) / std::max(1, wanted)));
  const auto within = [&](const std::vector<double>& factors) {
    std::vector<double> ticks;
    for (double decade = first; decade <= last; decade += every)
      for (const double factor : factors)
        if (const double tick = factor * std::pow(10, decade); tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9))
          ticks.push_back(tick);
    return ticks;
  };
  std::vector<double> ticks = within({1});
  if (ticks.size() < 3 && every == 1) ticks = within({1, 2, 5});
  return ticks.size() < 2 ? LinearTicks(low, high, wanted, false) : ticks;
}

/// The number of decimals that `value` needs, at most six.
int DecimalsOf(double value) {
  int decimals = 0;
  for (double scaled = std::abs(value); decimals < 6 && std::abs(scaled - std::round(scaled)) > 1e-6 * scaled;
       scaled *= 10)
    ++decimals;
  return decimals;
}

std::string WithThousands(int64_t value) {
  std::string digits = std::to_string(value);
  const size_t sign = value < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > sign + 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

}  // namespace

void Extent::Add(double value) {
  if (!std::isfinite(value)) return;
  low_ = std::min(low_, value);
  high_ = std::max(high_, value);
  if (value > 0) least_positive_ = std::min(least_positive_, value);
}

double Axis::At(double value) const {
  const double share = log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return begin + share * (end - begin);
}

Axis MakeAxis(const Extent& extent, AxisOptions options, double begin, double end) {
  if (extent.empty()) return {0, 1, false, begin, end};
  double low = extent.low(), high = extent.high();
  if (options.log && high > 0) {
    low = extent.least_positive();
    const double room = low < high ? std::pow(high / low, options.margin) : 2;
    return {low / room, high * room, true, begin, end};
  }
  if (low > 0 && (options.from_zero || (options.near_zero && low < kNear * high))) low = 0;
  if (low == high) {
    const double room = low == 0 ? 0.5 : std::abs(low) / 2;
    return {low - room, high + room, false, begin, end};
  }
  const double room = options.margin * (high - low);
  const bool at_zero = (options.from_zero || options.near_zero) && low == 0;
  return {at_zero ? 0 : low - room, high + room, false, begin, end};
}

std::vector<double> TicksOf(const Axis& axis, int wanted, bool whole) {
  return axis.log ? LogTicks(axis.low, axis.high, wanted) : LinearTicks(axis.low, axis.high, wanted, whole);
}

std::vector<std::string> TickTexts(const std::vector<double>& ticks) {
  double largest = 0, least = std::numeric_limits<double>::infinity();
  for (const double tick : ticks) {
    largest = std::max(largest, std::abs(tick));
    if (tick != 0) least = std::min(least, std::abs(tick));
  }
  std::vector<std::string> texts;
  const bool exponents = largest > 0 && (largest < 1e-3 || largest >= 1e12 || largest / least >= 1e6);
  const double unit = largest >= 1e9 ? 1e9 : largest >= 1e6 ? 1e6 : largest >= 1e4 ? 1e3 : 1;
  const char* const suffix = unit == 1e9 ? "G" : unit == 1e6 ? "M" : unit == 1e3 ? "k" : "";
  int decimals = 0;
  for (const double tick : ticks) decimals = std::max(decimals, DecimalsOf(tick / unit));
  for (const double tick : ticks) {
    if (tick == 0)
      texts.emplace_back("0");
    else if (exponents)
      texts.push_back(WithExponent(tick));
    else if (largest / least >= 100 && unit == 1)  // decades: each with the digits that it needs
      texts.push_back(ShortExponent(fmt::format("{:g}", tick)));
    else
      texts.push_back(fmt::format("{:.{}f}{}", tick / unit, decimals, suffix));
  }
  return texts;
}

std::string NumberText(double value) {
  if (!std::isfinite(value)) return "-";
  if (std::abs(value) < 1e15 && value == std::round(value)) return WithThousands(static_cast<int64_t>(value));
  if (std::abs(value) >= 1000 && std::abs(value) < 1e15) return WithThousands(std::llround(value));
  return ShortExponent(fmt::format("{:.4g}", value));
}

}  // namespace lockstep::launch
