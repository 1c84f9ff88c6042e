// What `lockstep new` writes: recipes that can be read, and say what the data are.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>

#include "launch/draft/draft_data.h"
#include "launch/draft/draft_table.h"
#include "launch/recipe/recipe.h"
#include "tests/data/test_files.h"

namespace lockstep::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DraftTest : public testing::Test {
 protected:
  /// The recipe for a file of that content, read back.
  Recipe Make(const std::string& name, const std::string& content, DraftOptions options = {}) {
    const std::string path = folder_.Write(name, content);
    options.folder = folder_.Path("");
    options.name = "x";
    draft_ = DraftData({path}, options);
    Recipe recipe;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(draft_.recipe, &recipe)) << draft_.recipe;
    EXPECT_EQ(recipe.name(), "x");
    EXPECT_TRUE(recipe.has_model());
    EXPECT_GT(recipe.optimizer().learning_rate(), 0);
    return recipe;
  }

  data::TempFolder folder_;
  Draft draft_;
};

std::string Rows(const std::string& heading, int rows, const std::function<std::string(int)>& row) {
  std::string text = heading;
  for (int i = 0; i < rows; ++i) text += row(i) + "\n";
  return text;
}

TEST_F(DraftTest, ATableOfPandas) {
  const Recipe recipe =
      Make("cancer.csv", Rows(",size,day,color,remark,target\n", 100, [](int i) {
             return fmt::format("{},{},2024-01-0{},{},note {},{}", i, i == 3 ? "" : std::to_string(i * i), i % 9 + 1,
                                i % 3 ? "red" : "blue", i * 7, i % 2 ? "sick" : "well");
           }));
  const data::Csv& csv = recipe.data().train().csv();
  EXPECT_EQ(csv.file(), "cancer.csv");
  EXPECT_EQ(csv.header_lines(), 1u);
  EXPECT_EQ(csv.label(), "target");
  EXPECT_THAT(csv.skip(), ElementsAre("day", "remark"));
  EXPECT_THAT(csv.categorical(), ElementsAre("color"));
  EXPECT_EQ(csv.missing(), data::Missing::MEDIAN);
  EXPECT_EQ(recipe.data().split().test(), 0.2);
  EXPECT_TRUE(recipe.data().normalize().has_auto_());
  EXPECT_THAT(draft_.recipe, HasSubstr("2 classes: sick (50 rows), well (50 rows)"));
}

TEST_F(DraftTest, ColumnsOfManyWordsAreEmbedded) {
  const auto rows = [](int i) { return fmt::format("{},town {},{}", i % 77, i % 150, i % 2 ? "yes" : "no"); };
  const Recipe recipe = Make("towns.csv", Rows("age,town,y\n", 900, rows));
  EXPECT_THAT(recipe.data().train().csv().embedded(), ElementsAre("town"));
  EXPECT_THAT(recipe.data().train().csv().categorical(), ElementsAre());
  const auto words_alone = [](int i) { return fmt::format("town {},{}", i % 150, i % 2 ? "yes" : "no"); };
  EXPECT_THAT(Make("alone.csv", Rows("town,y\n", 900, words_alone)).data().train().csv().categorical(),
              ElementsAre("town"));
}

/// A .npy of version 1.
std::string Npy(const std::string& descr, const std::string& shape, size_t bytes) {
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  header.resize(117, ' ');
  return std::string("\x93NUMPY\x01\0\x76\0", 10) + header + "\n" + std::string(bytes, '\1');
}

/// A tar is read where a zip is, and needs no library to write.
std::string Tar(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string bytes;
  for (const auto& [name, content] : members) {
    std::string header = name;
    header.resize(512);
    header.replace(100, 7, "0000644");
    header.replace(124, 12, fmt::format("{:011o}", content.size()) + std::string(1, '\0'));
    header.replace(156, 1, "0");
    header.replace(257, 8,
                   std::string("ustar\0"
                               "00",
                               8));
    header.replace(148, 8, "        ");
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    header.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    bytes += header + content + std::string((512 - content.size() % 512) % 512, '\0');
  }
  return bytes + std::string(1024, '\0');
}

TEST_F(DraftTest, ArraysAreToldByTheirNames) {
  const Recipe plain = Make("plain.npz", Tar({{"X.npy", Npy("<f4", "50, 3", 600)}, {"y.npy", Npy("<f8", "50,", 400)}}));
  EXPECT_EQ(plain.data().train().arrays().inputs(), "plain.npz:X");
  EXPECT_EQ(plain.data().train().arrays().targets(), "plain.npz:y");
  EXPECT_EQ(plain.data().split().test(), 0.2);
  EXPECT_TRUE(plain.model().has_mlp());
  EXPECT_THAT(draft_.recipe, HasSubstr("50 x 3 of <f4"));

  const Recipe keras = Make("mnist.npz", Tar({{"x_train.npy", Npy("|u1", "6, 8, 8", 384)},
                                              {"y_train.npy", Npy("|u1", "6,", 6)},
                                              {"x_test.npy", Npy("|u1", "2, 8, 8", 128)},
                                              {"y_test.npy", Npy("|u1", "2,", 2)}}));
  EXPECT_EQ(keras.data().train().arrays().labels(), "mnist.npz:y_train");
  EXPECT_EQ(keras.data().test().arrays().inputs(), "mnist.npz:x_test");
  EXPECT_FALSE(keras.data().has_split());
  EXPECT_TRUE(keras.model().has_resnet());
  EXPECT_THAT(draft_.answer, HasSubstr("mnist.npz:x_test"));

  data::ExpectError(ErrorKind::kUsage, {"no array in it is called as labels are", "call them x and y; it has a, x"},
                    [&] {
                      Make("bad.npz", Tar({{"x.npy", Npy("<f4", "1, 1", 4)}, {"a.npy", Npy("<f4", "1,", 4)}}));
                    });
}

TEST_F(DraftTest, ValuesAreFoundAndAskedFor) {
  const auto rows = [](int i) { return fmt::format("{};{},5;{}", 10 + i, i, i * 13 % 97); };
  const Recipe found = Make("houses.csv", Rows("id;area;price\n", 200, rows));
  EXPECT_THAT(found.data().train().csv().targets(), ElementsAre("price"));
  EXPECT_EQ(found.data().train().csv().id(), "id");
  EXPECT_EQ(found.data().train().csv().separator(), ";");
  EXPECT_EQ(found.data().train().csv().decimal(), ",");
  EXPECT_FALSE(found.data().train().csv().has_label_column());
  const Recipe asked = Make("houses.csv", Rows("id;area;price\n", 200, rows), {.targets = {"area"}});
  EXPECT_THAT(asked.data().train().csv().targets(), ElementsAre("area"));
}

TEST_F(DraftTest, WhatCannotBeLearnedIsNamed) {
  const std::string text = Rows("a,b,c\n", 50, [](int i) { return fmt::format("{},{},name{}", i, 5, i); });
  const auto refuse = [&](DraftOptions options, const std::vector<std::string>& parts) {
    data::ExpectError(ErrorKind::kUsage, parts, [&] { Make("t.csv", text, options); });
  };
  refuse({.label = "x"}, {"--label", "no column \"x\"", "a, b, c"});
  refuse({.targets = {"c"}}, {"--target", "holds words"});
  refuse({.label = "b"}, {"--label", "the same in all rows"});
  std::string many = text;
  for (int i = 0; i < 200; ++i) many += fmt::format("{},{},other{}\n", i, 5, i);
  data::ExpectError(ErrorKind::kUsage, {"--label", "too many for classes"},
                    [&] { Make("m.csv", many, {.label = "c"}); });
}

TEST_F(DraftTest, TextsTokensAndRecordings) {
  const Recipe text =
      Make("poem.txt",
           Rows("", 40, [](int i) { return fmt::format("The {} line{} is here", i, i % 3 ? ", of many," : ""); }));
  EXPECT_EQ(text.data().train().text().end(), 0.9);
  std::string ids;
  for (int i = 0; i < 3000; ++i) ids += std::string{static_cast<char>(i * 7), static_cast<char>(i % 100)};
  ids += "\xff\x63";
  EXPECT_EQ(Make("t.bin", ids).data().train().tokens().vocabulary(), 99u * 256 + 256);
  const Recipe speech = Make("list.csv", Rows("path,sentence,client_id\n", 30, [](int i) {
                               return fmt::format("{}.wav,\"Hello, you\",s{}", i, i % 15);
                             }));
  EXPECT_EQ(speech.data().train().speech().manifest(), "list.csv");
  EXPECT_EQ(speech.data().split().group(), "speaker");
  data::ExpectError(ErrorKind::kUsage, {"is no table"}, [&] { Make("poem.txt", "Roses are red,\n", {.label = "x"}); });
}

}  // namespace
}  // namespace lockstep::launch
