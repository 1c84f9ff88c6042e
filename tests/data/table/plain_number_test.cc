#include "data/table/plain_number.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include "base/philox.h"

namespace lockstep::data {
namespace {

/// What ReadCell promises, by the library.
float Nearest(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  EXPECT_TRUE(error == std::errc() && end == text.data() + text.size()) << text;
  return static_cast<float>(value);
}

/// The number of all of `text`; nothing where it takes the slower way.
std::optional<float> Read(const std::string& text) {
  float number = 0;
  const char* const end = text.data() + text.size();
  const char* const at = ReadPlainNumber(text.data(), end, number);
  if (at == nullptr) return std::nullopt;
  EXPECT_EQ(at, end) << text;
  return number;
}

/// Of how many of `count` texts the number is read, and is the nearest to the last bit.
template <typename Make>
int CountRead(int count, const Make& make) {
  const RandomStream stream{7, 0, 1, 0};
  int read = 0;
  for (int i = 0; i < count; ++i) {
    const std::string text = make(stream.Group(static_cast<uint32_t>(i)));
    const std::optional<float> number = Read(text);
    if (!number) continue;
    ++read;
    EXPECT_EQ(std::bit_cast<uint32_t>(*number), std::bit_cast<uint32_t>(Nearest(text))) << text;
    if (testing::Test::HasFailure()) break;
  }
  return read;
}

constexpr int kTexts = 300000;

TEST(PlainNumber, ShortestTextsOfDoublesAreReadFast) {
  const int read = CountRead(kTexts, [](const Philox4& bits) {
    const double uniform = static_cast<double>(uint64_t{bits.x[0]} << 21 | bits.x[1] >> 11) / 9007199254740992.0;
    const double scale = std::pow(10, static_cast<double>(bits.x[2] % 9) - 4);
    return fmt::format("{}", (uniform - 0.5) * scale);
  });
  EXPECT_GT(read, kTexts * 99 / 100);
}

TEST(PlainNumber, AnyDoublesAndFloatsAreTheNearest) {
  CountRead(kTexts, [](const Philox4& bits) {
    const auto value = std::bit_cast<double>(uint64_t{bits.x[0]} << 32 | bits.x[1]);
    return std::isfinite(value) ? fmt::format("{:.{}e}", value, bits.x[2] % 18) : std::string("1");
  });
  CountRead(kTexts, [](const Philox4& bits) {
    const auto value = std::bit_cast<float>(bits.x[0]);
    return std::isfinite(value) ? fmt::format("{:.{}e}", value, bits.x[2] % 18) : std::string("1");
  });
}

/// Decimals that lie in the middle of two floats, and the nearest ones to it: there it is told which float they are.
TEST(PlainNumber, TheMiddlesOfFloatsAreRoundedAsDoublesAre) {
  CountRead(kTexts, [](const Philox4& bits) {
    const float below = std::bit_cast<float>((bits.x[0] & 0x807FFFFF) | (100 + bits.x[1] % 50) << 23);
    const float above = std::nextafter(below, 2 * below);
    double middle = (static_cast<double>(below) + above) / 2;
    for (uint32_t i = 0; i < bits.x[2] % 20; ++i) middle = std::nextafter(middle, bits.x[3] & 1 ? -1e30 : 1e30);
    return fmt::format("{:.{}e}", middle, 14 + bits.x[3] % 4);
  });
}

TEST(PlainNumber, DigitsWithAPointAnywhere) {
  const int read = CountRead(kTexts, [](const Philox4& bits) {
    const uint64_t whole = (uint64_t{bits.x[0]} << 32 | bits.x[1]) >> (bits.x[2] % 60);
    std::string text = std::to_string(whole);
    text.insert(bits.x[3] % (text.size() + 1), ".");
    text.insert(0, std::string(bits.x[3] >> 8 & 3, '0'));
    if (bits.x[2] & 0x80000000u) text.insert(0, "-");
    return text;
  });
  EXPECT_GT(read, kTexts * 3 / 4);
}

TEST(PlainNumber, SaysWhereItEnds) {
  for (const char* text : {"1,", "-1.5,2", "1e5;", "0\r\n", "007x", "1.,", ".5 "}) {
    float number = 0;
    const std::string whole = text;
    const char* const end = ReadPlainNumber(whole.data(), whole.data() + whole.size(), number);
    ASSERT_NE(end, nullptr) << text;
    EXPECT_EQ(end - whole.data(), static_cast<ptrdiff_t>(whole.find_first_not_of("-0123456789.e"))) << text;
  }
  for (const char* text : {"", "-", ".", "-.", "e5", "1e", "1e+", "+1", "--1", " 1", "nan", "inf", "1e999", "1e0005",
                           "1234567890123456789", "1e30", "1e-30"})
    EXPECT_FALSE(Read(text)) << text;
  EXPECT_TRUE(std::signbit(*Read("-0")));
}

}  // namespace
}  // namespace lockstep::data
