#include "data/table/read_parts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/philox.h"
#include "data/table/read_table.h"

namespace lockstep::data {
namespace {

std::optional<RawTable> InParts(const std::string& text, const Csv& config) {
  const auto all = std::as_bytes(std::span(text));
  const ReadText read = [&](uint64_t begin, size_t bytes, std::vector<std::byte>&) {
    return all.subspan(begin, bytes);
  };
  return ReadInParts(text.size(), read, config, {"/d/x.csv", "data.train.csv"}, {});
}

/// Lines of three columns, numbers and words, of which few are odd in one of many ways.
std::string RandomText(uint64_t seed) {
  const RandomStream stream{seed, 0, 1, 0};
  const bool windows = seed % 3 == 0;
  std::string text = seed % 5 == 0 ? "\xef\xbb\xbf" : "";
  if (seed % 4 == 0) text += "a,b,c\n";
  const int lines = 80 + static_cast<int>(seed % 300);
  for (int i = 0; i < lines; ++i) {
    const Philox4 bits = stream.Group(static_cast<uint32_t>(i));
    text += fmt::format("{},{}{},{}", bits.x[0] / 1e5, bits.x[1] % 2 ? "-" : "", bits.x[1] % 1000,
                        bits.x[2] % 3 ? "Ulm" : "Bad Ems");
    const std::vector<std::string> odd = {" ", "\t\r", "\n\n", "\n#1,2,x", "\n \t", "\r", ",", ",4", "x", "\n,,"};
    if (bits.x[3] % 64 < odd.size() && seed % 2 == 0) text += odd[bits.x[3] % 64];
    if (i + 1 < lines || seed % 7 > 0) text += windows ? "\r\n" : "\n";
  }
  return text;
}

TEST(ReadParts, TextsAreReadAsInOrderOrNotAtAll) {
  int read = 0;
  for (uint64_t seed = 0; seed < 600; ++seed) {
    const std::string text = RandomText(seed);
    Csv config;
    if (seed % 3 == 1) config.set_missing(Missing::MEAN);
    config.add_categorical("2");
    config.set_label("1");
    const std::optional<RawTable> parts = InParts(text, config);
    if (!parts) continue;
    ++read;
    const RawTable whole = ReadTable(std::as_bytes(std::span(text)), config, {"/d/x.csv", "data.train.csv"}, {});
    ASSERT_EQ(parts->rows, whole.rows) << text;
    ASSERT_EQ(parts->lines, whole.lines) << text;
    ASSERT_EQ(parts->numbers, whole.numbers) << text;
    ASSERT_EQ(parts->features[1].words, whole.features[1].words) << text;
    ASSERT_EQ(parts->features[1].list.words(), whole.features[1].list.words()) << text;
    ASSERT_EQ(parts->label.words, whole.label.words) << text;
    ASSERT_EQ(parts->roles.headings, whole.roles.headings) << text;
  }
  EXPECT_GT(read, 100);  // of more than two parts on many cores, too few lines are in the first
}

TEST(ReadParts, WhatMustBeReadInOrderIsLeft) {
  Csv config;
  std::string rows;
  for (int i = 0; i < 400; ++i) rows += "1,2,0\n";
  EXPECT_EQ(InParts(rows, config)->rows, 400u);
  EXPECT_FALSE(InParts(rows + "\"1\",2,0\n", config));
  EXPECT_FALSE(InParts(rows.substr(0, 240), config));  // too few to find a heading by
  EXPECT_FALSE(InParts(rows + "1,x,0\n", config));
  EXPECT_FALSE(InParts("1,2,0\r3,4,1\r", config));
  EXPECT_FALSE(InParts("", config));
}

}  // namespace
}  // namespace lockstep::data
