#include "data/formats/csv.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <clocale>

#include "data/open/open_dataset.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

Csv Config(const std::string& text) {
  Csv config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

Records Read(const std::string& text, const std::string& config = "") {
  return ReadCsv(std::as_bytes(std::span(text)), Config(config), {"/d/x.csv", "data.train.csv"});
}

template <typename T>
std::vector<T> Values(const Records& records, size_t column) {
  const auto bytes = records.columns[column].values();
  return {reinterpret_cast<const T*>(bytes.data()), reinterpret_cast<const T*>(bytes.data() + bytes.size())};
}

void ExpectBad(ErrorKind kind, const std::string& text, const std::string& config,
               const std::vector<std::string>& parts) {
  ExpectError(kind, parts, [&] { Read(text, config); });
}

TEST(Csv, ReadsFeaturesAndTheLastColumnAsLabel) {
  const Records records = Read("1,2.5,0\n-3e2,+4,2\n");
  EXPECT_EQ(records.size, 2u);
  EXPECT_EQ(records.classes, 3);
  EXPECT_EQ(records.columns[0].field.name, "features");
  EXPECT_EQ(records.columns[0].field.shape, (Shape{2}));
  EXPECT_EQ(Values<float>(records, 0), (std::vector<float>{1, 2.5f, -300, 4}));
  EXPECT_EQ(records.columns[1].field.name, "label");
  EXPECT_EQ(Values<int32_t>(records, 1), (std::vector<int32_t>{0, 2}));
}

TEST(Csv, IgnoresWhatEditorsAndSpreadsheetsAdd) {
  const std::string plain = "1,2,0\n3,4,1\n";
  const std::vector<float> features = {1, 2, 3, 4};
  for (const std::string& text : {plain, std::string("1,2,0\n3,4,1"), std::string("1,2,0\r\n3,4,1\r\n"),
                                  std::string("\xef\xbb\xbf"
                                              "1,2,0\n\n 3 ,\t4,1.0\n \n"),
                                  std::string("\"1\",2,\"0\"\n3,\"4\",1\n")}) {
    const Records records = Read(text);
    EXPECT_EQ(Values<float>(records, 0), features) << text;
    EXPECT_EQ(Values<int32_t>(records, 1), (std::vector<int32_t>{0, 1})) << text;
    EXPECT_EQ(Fingerprint(records, {}), Fingerprint(Read(plain), {}));
  }
}

TEST(Csv, TakesLabelsTargetsAndImagesFromTheColumnsNamed) {
  const std::string text = "a;b;c;d;e\n1;2;3;4;5\n6;7;8;9;10\n";
  const std::string base = "header_lines: 1 separator: ';' ";
  EXPECT_EQ(Values<int32_t>(Read(text, base + "label_column: 1"), 1), (std::vector<int32_t>{2, 7}));
  EXPECT_EQ(Values<float>(Read(text, base + "label_column: -5"), 0), (std::vector<float>{2, 3, 4, 5, 7, 8, 9, 10}));

  const Records targets = Read(text, base + "target_columns: [-1, 0]");
  EXPECT_EQ(targets.classes, 0);
  EXPECT_EQ(targets.columns[1].field.name, "target");
  EXPECT_EQ(targets.columns[1].field.shape, (Shape{2}));
  EXPECT_EQ(Values<float>(targets, 1), (std::vector<float>{5, 1, 10, 6}));
  EXPECT_EQ(Values<float>(targets, 0), (std::vector<float>{2, 3, 4, 7, 8, 9}));

  const Records image = Read(text, base + "image { height: 2 width: 2 }");
  EXPECT_EQ(image.columns[0].field.name, "image");
  EXPECT_EQ(image.columns[0].field.shape, (Shape{2, 2, 1}));
}

TEST(Csv, ReadsTheSameNumbersInAnyLocale) {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  for (const char* locale : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C.UTF-8"}) std::setlocale(LC_ALL, locale);
  EXPECT_EQ(Values<float>(Read("1.5,0\n"), 0), (std::vector<float>{1.5f}));
  ExpectBad(ErrorKind::kData, "1,5;0\n", "separator: ';'", {"'1,5' is not a number"});
  std::setlocale(LC_ALL, before.c_str());
}

TEST(Csv, NamesTheLineOfAShortOrLongRow) {
  ExpectBad(ErrorKind::kData, "1,2,0\n1,2,0\n1,2\n", "",
            {"/d/x.csv:3: 2 columns where line 1 has 3", "data.train.csv.file"});
  ExpectBad(ErrorKind::kData, "h\n\n1,2,0\n1,2,0,5\n", "header_lines: 1", {"/d/x.csv:4: 4 columns where line 3 has 3"});
}

TEST(Csv, NamesLineAndColumnOfWhatIsNoNumber) {
  ExpectBad(ErrorKind::kData, "1,2,0\n1,x,0\n", "", {"/d/x.csv:2: column 1 (from 0): 'x' is not a number"});
  ExpectBad(ErrorKind::kData, "1,2,0\n,2,0\n", "", {"/d/x.csv:2: column 0 (from 0): '' is not a number"});
  ExpectBad(ErrorKind::kData, "width,height,class\n1,2,0\n", "",
            {"/d/x.csv:1", "'width' is not a number", "data.train.csv.header_lines: 1"});
  for (const char* cell : {"nan", "inf", "-inf", "1e39", "1e400", "0x10", "1 2", "+-1", "+", "-", "1.2.3", "--1"}) {
    ExpectBad(ErrorKind::kData, fmt::format("1,0\n{},0\n", cell), "", {fmt::format("'{}' is not a number", cell)});
  }
}

TEST(Csv, NamesLabelsThatAreNoClasses) {
  for (const char* label : {"-1", "0.5", "1048576", "1e9"}) {
    ExpectBad(ErrorKind::kData, fmt::format("1,0\n1,{}\n", label), "",
              {"/d/x.csv:2: column 1 (from 0)", fmt::format("'{}' is not a class label", label)});
  }
}

TEST(Csv, TakesWhatOtherProgramsWrite) {
  const Records plain = Read("1,2,0\n3,4,1\n");
  for (const char* text : {
           "1,2,0\r3,4,1\r",                             // old Macs
           "1,2,0,\n3,4,1,\n",                           // a separator ends each row
           "# by a tool\n1,2,0\n# in between\n3,4,1\n",  // remarks
       })
    EXPECT_EQ(Fingerprint(Read(text), {}), Fingerprint(plain, {})) << text;
  EXPECT_EQ(Values<float>(Read("1e-400,-1e-999,0\n"), 0), (std::vector<float>{0, 0}));
  ExpectBad(ErrorKind::kData, "\"Doe, J\",1,0\n", "", {"column 0 (from 0): 'Doe, J' is not a number"});
  EXPECT_EQ(Values<float>(Read("\"1\",\"2\",\"0\"\n"), 0), (std::vector<float>{1, 2}));
}

TEST(Csv, AHeadingOfNumbersIsNoSample) {
  ExpectBad(ErrorKind::kData, "0,1,2,3\n0.5,0.25,1,0\n", "",
            {"/d/x.csv:1: 0, 1, 2, ... look like a heading", "data.train.csv.header_lines: 1"});
  EXPECT_EQ(Read("0,1,2,3\n0.5,0.25,1,0\n", "header_lines: 1").size, 1u);
  EXPECT_EQ(Read("0,1,2,3\n0.5,0.25,1,0\n", "header_lines: 0").size, 2u);
}

TEST(Csv, ACallerMayWantAllThatIsBroken) {
  std::vector<std::string> broken;
  const std::string text = "1,2,0\n1,x,0\n3,4\n5,6,1\n7,8,2\n";
  const Records records =
      ReadCsv(std::as_bytes(std::span(text)), Config(""), {"/d/x.csv", "data.train.csv"},
              {.classes = 2, .on_broken = [&](const Error& error) { broken.push_back(error.where()); }});
  EXPECT_EQ(broken, (std::vector<std::string>{"/d/x.csv:2", "/d/x.csv:3", "/d/x.csv:5"}));
  EXPECT_EQ(records.size, 2u);
  EXPECT_EQ(records.classes, 2);
  EXPECT_EQ(Values<float>(records, 0), (std::vector<float>{1, 2, 5, 6}));
}

TEST(Csv, NamesConfigurationsThatDoNotFit) {
  ExpectBad(ErrorKind::kUsage, "1,2,0\n", "label_column: 3",
            {"data.train.csv.label_column: there is no column 3", "0 to 2"});
  ExpectBad(ErrorKind::kUsage, "1,2,0\n", "target_columns: -4",
            {"data.train.csv.target_columns: there is no column -4"});
  ExpectBad(ErrorKind::kUsage, "1,2,0\n", "target_columns: [1, -2]",
            {"column -2 is named twice", "data.train.csv.target_columns"});
  ExpectBad(ErrorKind::kUsage, "1,2,0\n", "target_columns: 1 label_column: 0", {"data.train.csv.label_column"});
  ExpectBad(ErrorKind::kUsage, "1,2,0\n", "image { height: 3 width: 1 }",
            {"data.train.csv.image: 3 x 1 x 1", "2 feature columns"});
  ExpectBad(ErrorKind::kUsage, "1,2,0\n", "separator: ', '", {"data.train.csv.separator"});
  ExpectBad(ErrorKind::kData, "1\n2\n", "", {"no features are left of 1 column", "separator"});
  ExpectBad(ErrorKind::kData, "1,2\n", "header_lines: 1", {"/d/x.csv: there are no rows"});
  ExpectBad(ErrorKind::kData, "", "", {"there are no rows"});
}

}  // namespace
}  // namespace lockstep::data
