#include "data/table/cell.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/philox.h"

namespace lockstep::data {
namespace {

TEST(Cell, NumbersAreTheNearestOnes) {
  const RandomStream stream{7, 0, 1, 0};
  for (uint32_t i = 0; i < 200000; ++i) {
    const Philox4 bits = stream.Group(i);
    const uint64_t whole = (uint64_t{bits.x[0]} << 32 | bits.x[1]) >> (bits.x[2] % 60);
    std::string text = std::to_string(whole);
    text.insert(bits.x[3] % (text.size() + 1), ".");
    if (bits.x[2] & 0x80000000u) text.insert(0, "-");
    const Cell cell = ReadCell(text);
    ASSERT_EQ(cell.kind, Cell::kNumber) << text;
    ASSERT_EQ(cell.number, static_cast<float>(std::strtod(text.c_str(), nullptr))) << text;
  }
}

TEST(Cell, SaysWhatItIs) {
  for (const char* text : {"1", "-1", "+1", "1.", ".5", "-.5", "1e3", "1E-3", "0001", "True", "false"})
    EXPECT_EQ(ReadCell(text).kind, Cell::kNumber) << text;
  for (const char* text : {"", "NA", "NaN", "nan", "null", "None", "?", "#N/A", "-nan"})
    EXPECT_EQ(ReadCell(text).kind, Cell::kMissing) << text;
  for (const char* text : {"-", "+", ".", "-.", "1 2", "1.2.3", "0x10", "inf", "1e999", "1,5", "e5", "na", "yes"})
    EXPECT_EQ(ReadCell(text).kind, Cell::kWord) << text;
  EXPECT_EQ(ReadCell("1,5", ',').number, 1.5f);
  EXPECT_EQ(ReadCell("1.5", ',').kind, Cell::kWord);
  EXPECT_EQ(ReadCell("1e-999").number, 0.0f);
}

TEST(Cell, DatesAreTold) {
  for (const char* text : {"2024-05-17", "17.05.2024", "5/17/24", "2024-05-17T12:00:00", "2024-05-17 12:00"})
    EXPECT_TRUE(LooksLikeDate(text)) << text;
  for (const char* text : {"1.2.3", "2024", "2024-05", "12-ab-2024", "", "10.0.0.1"})
    EXPECT_FALSE(LooksLikeDate(text)) << text;
}

}  // namespace
}  // namespace lockstep::data
