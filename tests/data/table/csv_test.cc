#include "data/table/csv.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <clocale>

#include "base/philox.h"
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
  ExpectBad(ErrorKind::kData, "1,2,0\n,2,0\n", "", {"/d/x.csv:2: column 0 (from 0): '' is missing", "missing: MEAN"});
  ExpectBad(ErrorKind::kData, "width,height,class\n1,2,0\n", "header_lines: 0",
            {"/d/x.csv:1", "'width' is not a number", "data.train.csv.header_lines: 1"});
  ExpectBad(ErrorKind::kData, "day,n,c\n1,2,0\n2024-05-17,2,0\n", "",
            {"/d/x.csv:3: column \"day\" (0 from 0): '2024-05-17' is a date", "data.train.csv.skip: \"day\""});
  ExpectBad(ErrorKind::kData, "1,2,0\n\"0,5\",2,0\n", "", {"'0,5' is not a number", "decimal: \",\""});
  ExpectBad(ErrorKind::kData, "1,2,0\nx,2,0\n1,y,0\n", "", {"/d/x.csv:2", "first of 2 rows that can't be used"});
  for (const char* cell : {"inf", "-inf", "1e39", "1e400", "0x10", "1 2", "+-1", "+", "-", "1.2.3", "--1"}) {
    ExpectBad(ErrorKind::kData, fmt::format("1,0\n{},0\n", cell), "", {fmt::format("'{}' is not a number", cell)});
  }
}

TEST(Csv, NamesLabelsThatAreNoClasses) {
  for (const char* label : {"0.5", "1048576", "1e9"}) {
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
  ExpectBad(ErrorKind::kData, "\"Doe, J\",1,0\n", "", {"column 0 (from 0): 'Doe, J' is not a number", "categorical"});
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

Records ReadWith(const std::string& text, const std::string& config, const CsvOptions& options) {
  return ReadCsv(std::as_bytes(std::span(text)), Config(config), {"/d/x.csv", "data.train.csv"}, options);
}

TEST(Csv, ColumnsGoByTheirHeading) {
  const std::string text = "id,age,city,weight,sick\n7,30,Ulm,70.5,no\n8,41,\"Bad Ems\",80,yes\n9,,Ulm,60,no\n";
  const std::string config = "label: 'sick' id: 'id' categorical: 'city' missing: MEAN";
  const Records records = Read(text, config);
  EXPECT_EQ(records.size, 3u);
  EXPECT_EQ(records.class_names, (std::vector<std::string>{"no", "yes"}));
  EXPECT_EQ(records.classes, 2);
  EXPECT_EQ(records.names, (std::vector<std::string>{"7", "8", "9"}));
  EXPECT_EQ(Values<float>(records, 0), (std::vector<float>{30, 0, 1, 70.5f, 41, 1, 0, 80, 35.5f, 0, 1, 60}));
  EXPECT_EQ(Values<int32_t>(records, 1), (std::vector<int32_t>{0, 1, 0}));
  ASSERT_NE(records.table, nullptr);
  EXPECT_EQ(records.table->columns_size(), 3);
  EXPECT_EQ(records.table->columns(1).values(0), "Bad Ems");

  EXPECT_EQ(Values<float>(Read(text, "label: 'sick' skip: ['city', '1', 'id']"), 0).size(), 3u);
  EXPECT_EQ(Values<float>(Read(text, "targets: 'weight' features: 'id'"), 0), (std::vector<float>{7, 8, 9}));
  ExpectBad(ErrorKind::kUsage, text, "label: 'sock'",
            {"data.train.csv.label: there is no column sock", "id, age, city"});
}

TEST(Csv, MissingNumbersBecomeWhatTheTrainingRowsSay) {
  const std::string text = "a,b\n1,0\nNA,1\n3,0\n100,1\n?,0\n";
  const auto column = [&](const std::string& missing, CsvOptions options = {}) {
    return Values<float>(ReadWith(text, "missing: " + missing, options), 0);
  };
  EXPECT_EQ(column("MEDIAN"), (std::vector<float>{1, 3, 3, 100, 3}));
  EXPECT_EQ(column("ZERO_AND_FLAG"), (std::vector<float>{1, 0, 0, 1, 3, 0, 100, 0, 0, 1}));
  CsvOptions options;
  options.trained = [](uint64_t rows, auto, auto) {
    return std::vector<uint8_t>{1, 1, 1, 0, static_cast<uint8_t>(rows - 4)};
  };
  EXPECT_EQ(column("MEAN", options), (std::vector<float>{1, 2, 3, 100, 2}));
  ExpectBad(ErrorKind::kData, "a,b\n,0\n,1\n", "missing: MEAN", {"column \"a\" has no value"});
}

TEST(Csv, AnotherFileIsReadAsTheTrainingRowsWere) {
  const Records train = Read("color,size,kind\nred,1,x\nblue,3,y\n", "label: 'kind' categorical: 'color'");
  const CsvOptions known{.class_names = train.class_names, .table = train.table.get()};
  const Records test = ReadWith("size,kind,color\n5,y,green\n6,x,blue\n", "label: 'kind' categorical: 'color'", known);
  EXPECT_EQ(Values<float>(test, 0), (std::vector<float>{0, 0, 5, 1, 0, 6}));
  EXPECT_EQ(Values<int32_t>(test, 1), (std::vector<int32_t>{1, 0}));
  ExpectError(ErrorKind::kData, {"'z' is not a class: those are x, y"},
              [&] { ReadWith("size,kind,color\n5,z,red\n", "label: 'kind'", known); });
  ExpectError(ErrorKind::kUsage, {"there is no column size", "color, kind"},
              [&] { ReadWith("color,kind\nred,x\nred,y\n", "label: 'kind'", known); });
  CsvOptions unlabeled = known;
  unlabeled.unlabeled = true;
  const Records rows = ReadWith("size,color\n5,red\n6,red\n", "label: 'kind'", unlabeled);
  EXPECT_EQ(rows.columns.size(), 1u);
  EXPECT_EQ(Values<float>(rows, 0), (std::vector<float>{0, 1, 5, 0, 1, 6}));
}

TEST(Csv, ClassesHaveTheirNames) {
  EXPECT_EQ(Read("1,-1\n2,1\n3,-1\n").class_names, (std::vector<std::string>{"-1", "1"}));
  EXPECT_EQ(Read("1,10\n2,-2\n3,3\n").class_names, (std::vector<std::string>{"-2", "3", "10"}));
  EXPECT_EQ(Read("1,True\n2,False\n").class_names, (std::vector<std::string>{"False", "True"}));
  EXPECT_EQ(Read("1,None\n2,some\n").class_names, (std::vector<std::string>{"None", "some"}));
  EXPECT_TRUE(Read("1,1\n2,2.0\n").class_names.empty());
  const Records given = ReadWith("1,1\n2,2.0\n", "", {.class_names = {"1", "2"}});
  EXPECT_EQ(Values<int32_t>(given, 1), (std::vector<int32_t>{0, 1}));
  ExpectBad(ErrorKind::kData, "1,0\n2,1\n3,x\n", "", {"/d/x.csv:3", "'x' is not a class label"});
  ExpectBad(ErrorKind::kData, "1,a\n2,\n3,b\n", "", {"/d/x.csv:2", "is missing: it is the label"});
}

TEST(Csv, FindsAHeadingByItsLooks) {
  EXPECT_EQ(Read("a,b,c\n1,2,0\n3,4,1\n").size, 2u);
  EXPECT_EQ(Read(",a,c\n0,2,0\n1,4,1\n").columns[0].field.shape, (Shape{1}));  // pandas' index
  ExpectBad(ErrorKind::kData, "1,x,0\n1,2,0\n3,4,1\n", "", {"/d/x.csv:1", "'x' is not a number"});
  EXPECT_EQ(Read("5.1,3.5,setosa\n4.9,3.0,setosa\n6.2,2.9,virginica\n").size, 3u);
  EXPECT_EQ(Read("a;c\n0,5;0\n1,5;1\n", "separator: ';' decimal: ','").size, 2u);
}

TEST(Csv, QuotesHoldSeparatorsAndLines) {
  const Records records = Read("text,n,c\n\"a, \"\"b\"\"\nc\",1,0\nd,2,1\n", "categorical: 'text' header_lines: 1");
  EXPECT_EQ(records.size, 2u);
  EXPECT_EQ(records.table->columns(0).values(0), "a, \"b\"\nc");
  ExpectBad(ErrorKind::kData, "a,b\n1,0\n\"2,1\n3,0\n", "", {"/d/x.csv:3: a quote opens in this line"});
}

TEST(Csv, WordsOfEmbeddedColumnsAreNumberedThroughAllOfThem) {
  const std::string text = "city,n,color,c\nUlm,1,red,0\nBonn,2,blue,1\n\"Bad, Ems\",3,red,0\n,4,?,1\nUlm,5,red,0\n";
  const std::string config = "embedded: ['color', 'city']";
  const Records records = Read(text, config);
  EXPECT_EQ(Values<float>(records, 0), (std::vector<float>{1, 2, 3, 4, 5}));
  EXPECT_EQ(records.columns[1].field.name, "categories");
  EXPECT_EQ(records.columns[1].field.shape, (Shape{2}));
  // Of cities, in front: Bad Ems, Bonn, Ulm; of colors: blue, red.
  EXPECT_EQ(Values<int32_t>(records, 1), (std::vector<int32_t>{2, 4, 1, 3, 0, 4, -1, -1, 2, 4}));
  EXPECT_EQ(Values<int32_t>(records, 2), (std::vector<int32_t>{0, 1, 0, 1, 0}));
  ASSERT_NE(records.table, nullptr);
  EXPECT_TRUE(records.table->columns(0).embedded());
  EXPECT_FALSE(records.table->columns(1).embedded());

  CsvOptions known{.table = records.table.get(), .unlabeled = true};
  const Records rows = ReadWith("color,n,city\nred,7,Ulm\ngreen,8,Bonn\n", config, known);
  EXPECT_EQ(Values<int32_t>(rows, 1), (std::vector<int32_t>{2, 4, 1, -1}));
  const MemoryDataset dataset(Read(text, config), {});
  Sample sample;
  dataset.Read(0, 1, sample);
  EXPECT_EQ(sample.tensors[1].As<int32_t>()[1], 3);

  ExpectBad(ErrorKind::kUsage, text, "embedded: 'city' categorical: 'city'",
            {"data.train.csv.embedded: column city is named twice"});
  ExpectBad(ErrorKind::kUsage, text, "embedded: ['city', 'color'] skip: 'n'", {"no feature is left", "categorical"});
  ExpectBad(ErrorKind::kUsage, text, "embedded: 'city' skip: 'city'",
            {"data.train.csv.embedded: column city is not among the features"});
}

/// Rows of numbers, words, a group and an id, of more than one block for each of several threads.
std::string LargeText(const std::string& line_end, const std::string& odd_line) {
  std::string text = "id,a,city,b,group,y" + line_end;
  const RandomStream stream{7, 0, 1, 0};
  for (uint32_t i = 0; text.size() < (size_t{5} << 20); ++i) {
    const Philox4 bits = stream.Group(i);
    text += fmt::format("r{},{},{},{:.3e},g{},{}{}", i, bits.x[0] / 1e6, bits.x[1] % 3 == 0 ? "Ulm" : "Bonn",
                        bits.x[2] / 7.0, bits.x[3] % 5, bits.x[3] % 2 == 0 ? "no" : "yes", line_end);
    if (i % 1000 == 999) text += odd_line;
  }
  return text;
}

TEST(Csv, LargeFilesAreReadAsSmallOnes) {
  const std::string config = "label: 'y' id: 'id' categorical: 'city' missing: MEAN";
  const std::string odd_lines[] = {"", "\n# a remark\n", " r0 , 1.50 ,\tUlm,NA,g1,no\r\n", "r1,.5,\"Ulm\",2,g0,yes\n"};
  for (const std::string& odd_line : odd_lines) {
    const TempFolder folder;
    const std::string text = LargeText(odd_line.empty() ? "\r\n" : "\n", odd_line);
    Csv csv = Config(config);
    csv.set_file(folder.Write("x.csv", text));
    CsvOptions options{.group = "group"};
    const Records file = ReadCsvFile(csv, {csv.file(), "data.train.csv"}, options);
    const Records memory = ReadWith(text, config, options);
    options.on_broken = [](const Error& error) { ADD_FAILURE() << error.what(); };  // which are told in order
    const Records in_order = ReadWith(text, config, options);
    for (const Records* records : {&file, &memory}) {
      EXPECT_EQ(records->size, in_order.size);
      EXPECT_EQ(Fingerprint(*records, {}), Fingerprint(in_order, {})) << odd_line;
      EXPECT_TRUE(records->names == in_order.names && records->groups == in_order.groups);
      EXPECT_EQ(records->table->DebugString(), in_order.table->DebugString());
    }
  }
}

TEST(Csv, ErrorsInLargeFilesNameTheLine) {
  const TempFolder folder;
  std::string text = LargeText("\n", "");
  const auto line = std::count(text.begin(), text.end(), '\n') + 1;
  text += "r,1,Ulm,x,g0,no\nr,1,Ulm,y,g0,no";
  Csv csv = Config("label: 'y' id: 'id' categorical: 'city' skip: 'group'");
  csv.set_file(folder.Write("x.csv", text));
  ExpectError(ErrorKind::kData, {fmt::format("x.csv:{}", line), "'x' is not a number", "the first of 2 rows"}, [&] {
    ReadCsvFile(csv, {csv.file(), "data.train.csv"}, {});
  });
  csv.set_file(folder.Path("missing.csv"));
  ExpectError(ErrorKind::kData, {"there is no file", "data.train.csv.file"}, [&] {
    ReadCsvFile(csv, {csv.file(), "data.train.csv"}, {});
  });
}

}  // namespace
}  // namespace lockstep::data
