#include "data/formats/field_arrays.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "data/open/make_transform.h"
#include "data/open/open_dataset.h"
#include "data/open/open_splits.h"
#include "data/open/settle_data.h"
#include "tests/data/formats/npy_bytes.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

/// A folder of arrays of two samples, and data configurations that name them.
class FieldArrays : public testing::Test {
 protected:
  void SetUp() override {
    folder_.Write("pixels.npy", Npy("|u1", "2, 2, 2, 1", std::string("\0\1\2\3\4\5\6\xff", 8)));
    folder_.Write("meta.npy", Npy("<f8", "2, 3", Elements<double>({1, 2, 3, 4, 5, 6})));
    folder_.Write("one.npy", Npy("<i2", "2,", Elements<int16_t>({7, -8})));
    folder_.Write("ids.npy", Npy("<i8", "2, 2", Elements<int64_t>({4, 0, -1, 2})));
    folder_.Write("volume.npy", Npy("|u1", "2, 1, 2, 1, 2, 1", std::string("\0\1\2\3\4\5\6\xff", 8)));
    folder_.Write("classes.npy", Npy("<i4", "2,", Elements<int32_t>({1, 0})));
    folder_.Write("species.npy", Npy("|u1", "2,", std::string("\2\1", 2)));
    folder_.Write("boxes.npy", Npy("<f4", "2, 2, 1", Elements<float>({1, 2, 3, 4})));
  }

  DataConfig Config(std::string arrays, const std::string& rest = "") const {
    for (size_t at = 0; (at = arrays.find('@', at)) != arrays.npos;) arrays.replace(at, 1, folder_.Path(""));
    DataConfig config;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString("train { arrays { " + arrays + " } } " + rest, &config));
    return config;
  }
  std::shared_ptr<const Dataset> Open(const std::string& arrays) const {
    return OpenDataset(Config(arrays).train(), "data.train", 0, Verify::AUTO, {.training = true});
  }
  void Refuse(ErrorKind kind, const std::string& arrays, const std::vector<std::string>& parts) const {
    ExpectError(kind, parts, [&] { Open(arrays); });
  }

  const TempFolder folder_;
};

/// What the transform makes of sample `id`, by field.
std::vector<std::vector<std::byte>> Rows(const Dataset& dataset, const Transform& transform, uint64_t id) {
  std::vector<std::vector<std::byte>> rows;
  std::vector<std::byte*> pointers;
  for (const Field& field : transform.fields())
    rows.emplace_back(static_cast<size_t>(field.shape.size() * SizeOf(field.dtype)));
  for (std::vector<std::byte>& row : rows) pointers.push_back(row.data());
  Sample sample;
  dataset.Read(0, id, sample);
  transform.Apply(sample, 0, id, /*augment=*/true, 0, pointers);
  return rows;
}

template <typename T>
std::vector<T> As(const std::vector<std::byte>& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::string Text(std::span<const Field> fields) {
  std::string text;
  for (const Field& field : fields)
    text += fmt::format("{} {} {}{}; ", field.name, Name(field.dtype), field.shape.ToString(),
                        field.classes > 0 ? fmt::format(" of {}", field.classes) : "");
  return text;
}

constexpr char kAll[] = R"(
  target { name: "boxes" file: "@boxes.npy" scale: 2 }
  label { name: "species" file: "@species.npy" }
  field { name: "meta" file: "@meta.npy" scale: 0.5 }
  field { name: "words" file: "@ids.npy" ids: true }
  field { name: "volume" file: "@volume.npy" }
  field { name: "image" file: "@pixels.npy" }
  field { name: "one" file: "@one.npy" }
  labels: "@classes.npy")";

TEST_F(FieldArrays, AreInputsAndAnswersOfTheirNames) {
  const auto dataset = Open(kAll);
  EXPECT_EQ(
      Text(dataset->fields()),
      "image u8 [2, 2, 1]; meta f32 [3]; words i32 [2] of 5; volume u8 [1, 2, 1, 2, 1]; one f32 [1]; label i32 []; "
      "boxes f32 [2, 1]; species i32 [] of 3; ");
  EXPECT_EQ(dataset->classes(), 2);
  const auto transform = MakeTransform(dataset->fields(), {}, 0);
  EXPECT_EQ(Text(transform->fields()),
            "image f32 [2, 2, 1]; meta f32 [3]; words i32 [2] of 5; volume f32 [1, 2, 1, 2, 1]; one f32 [1]; "
            "label i32 []; boxes f32 [2, 1]; species i32 [] of 3; ");
  const auto rows = Rows(*dataset, *transform, 1);
  EXPECT_EQ(As<float>(rows[0])[3], 1);  // 255 / 255
  EXPECT_EQ(As<float>(rows[1]), (std::vector<float>{2, 2.5f, 3}));
  EXPECT_EQ(As<int32_t>(rows[2]), (std::vector<int32_t>{-1, 2}));
  EXPECT_EQ(As<float>(rows[3]), (std::vector<float>{4, 5, 6, 255}));
  EXPECT_EQ(As<float>(rows[4]), (std::vector<float>{-8}));
  EXPECT_EQ(As<int32_t>(rows[5]), (std::vector<int32_t>{0}));
  EXPECT_EQ(As<float>(rows[6]), (std::vector<float>{6, 8}));
  EXPECT_EQ(As<int32_t>(rows[7]), (std::vector<int32_t>{1}));
  // A row that stands for no sample has no class.
  EXPECT_EQ(transform->fields()[7].padding, -1);
  EXPECT_EQ(transform->fields()[6].padding, 0);
}

TEST_F(FieldArrays, OfInputsNamesAreTheirs) {
  EXPECT_EQ(Open("inputs: \"@pixels.npy\" labels: \"@classes.npy\"")->fingerprint(),
            Open("field { name: \"image\" file: \"@pixels.npy\" } labels: \"@classes.npy\"")->fingerprint());
  EXPECT_EQ(Text(Open("field { name: \"features\" file: \"@meta.npy\" }")->fields()), "features f32 [3]; ");
}

TEST_F(FieldArrays, AloneAreNeitherNormalisedNorChanged) {
  const std::string alone = R"(field { name: "volume" file: "@volume.npy" scale: 0.5 }
                               target { name: "boxes" file: "@boxes.npy" })";
  const auto dataset = Open(alone);
  const auto transform = MakeTransform(dataset->fields(), {}, 0);
  EXPECT_EQ(As<float>(Rows(*dataset, *transform, 1)[0]), (std::vector<float>{2, 2.5f, 3, 127.5f}));
  ExpectError(ErrorKind::kUsage, {"data.normalize", "called \"image\" or \"features\""},
              [&] { MakeTransform(dataset->fields(), Config(alone, "normalize { deviation: 2 }"), 0); });
  const auto pictures = Open(kAll);
  ExpectError(ErrorKind::kUsage, {"data.augment", "\"meta\" can't be blended"},
              [&] { MakeTransform(pictures->fields(), Config(kAll, "augment { mixup {} }"), 0); });
}

TEST_F(FieldArrays, FormIsWrittenIntoTheRecipe) {
  DataConfig config = Config(kAll);
  SettleData(Open(kAll), 0, config);
  EXPECT_EQ(config.sample().input(), "image");
  ASSERT_EQ(config.sample().fields_size(), 6);
  EXPECT_EQ(config.sample().fields(1).ShortDebugString(), R"(name: "words" shape: 2 integers: true classes: 5)");
  EXPECT_EQ(config.sample().fields(4).ShortDebugString(), R"(name: "boxes" shape: 2 shape: 1 answer: true)");
  const std::string alone = "field { name: \"meta\" file: \"@meta.npy\" }";
  config = Config(alone);
  SettleData(Open(alone), 0, config);
  EXPECT_EQ(config.sample().ShortDebugString(), R"(input: "meta" shape: 3 fields { name: "meta" shape: 3 })");
}

TEST_F(FieldArrays, OtherSplitsHaveTheSame) {
  const auto open = [&](const std::string& validation) {
    DataConfig config = Config(R"(inputs: "@meta.npy" label { name: "species" file: "@classes.npy" })");
    *config.mutable_validation() = Config(validation).train();
    OpenSplits(config, 0, OptionsOf(config));
  };
  open(R"(inputs: "@meta.npy" label { name: "species" file: "@classes.npy" })");
  ExpectError(ErrorKind::kData, {"data.validation", "\"species\" goes up to 2", "that of data.train up to 1"},
              [&] { open(R"(inputs: "@meta.npy" label { name: "species" file: "@species.npy" })"); });
  ExpectError(ErrorKind::kData, {"data.validation", "species i32 []", "all splits must look alike"},
              [&] { open(R"(inputs: "@meta.npy")"); });
}

TEST_F(FieldArrays, NameWhatDoesNotFit) {
  folder_.Write("three.npy", Npy("<f4", "3,", Elements<float>({1, 2, 3})));
  folder_.Write("words.npy", Npy("<U1", "2,", Elements<uint32_t>({'a', 'b'})));
  folder_.Write("negative.npy", Npy("<i4", "2,", Elements<int32_t>({0, -2})));
  folder_.Write("nan.npy", Npy("<f4", "2,", Elements<float>({0, std::nanf("")})));
  folder_.Write("number.npy", Npy("<f4", "", Elements<float>({0})));
  const auto bad = [&](const std::string& field, const std::vector<std::string>& parts) {
    Refuse(ErrorKind::kData, "inputs: \"@meta.npy\" " + field, parts);
  };
  const auto misused = [&](const std::string& arrays, const std::vector<std::string>& parts) {
    Refuse(ErrorKind::kUsage, arrays, parts);
  };
  bad(R"(field { name: "a" file: "@three.npy" })", {"three.npy", "3 rows for 2 samples of", "meta.npy"});
  bad(R"(field { name: "a" file: "@words.npy" })", {"words.npy", "words, and no numbers"});
  bad(R"(field { name: "a" file: "@meta.npy" ids: true })", {"ids are floats (<f8)"});
  bad(R"(label { name: "a" file: "@boxes.npy" })", {"labels are floats (<f4)"});
  bad(R"(label { name: "a" file: "@negative.npy" })", {"row 1 (from 0): -2 is not in -1 to"});
  bad(R"(label { name: "a" file: "@species.npy" classes: 2 })", {"row 0 (from 0): 2 is not in -1 to 1"});
  bad(R"(target { name: "a" file: "@nan.npy" })", {"row 1 (from 0): nan is no finite"});
  bad(R"(field { name: "a" file: "@number.npy" })", {"it has shape ()"});
  bad(R"(field { name: "a" file: "@none.npy" })", {"none.npy", "data.train.arrays.field[0].file"});
  Refuse(ErrorKind::kData, R"(field { name: "image" file: "@meta.npy" })",
         {"\"image\" has shape (2, 3)", "other arrays need another name"});
  misused("labels: \"@classes.npy\"", {"data.train.arrays.inputs", "the file is not named"});
  misused(R"(inputs: "@meta.npy" field { name: "image" file: "@pixels.npy" })", {"there is an input beside it"});
  misused(R"(field { name: "image" file: "@pixels.npy" scale: 2 })", {"normalised", "data.normalize"});
  misused(R"(field { name: "a" file: "@meta.npy" } target { name: "a" file: "@meta.npy" })", {"\"a\" is there twice"});
  misused(R"(field { name: "label" file: "@meta.npy" })", {"name of something else"});
  misused(R"(field { name: "a b" file: "@meta.npy" })", {"field[0].name", "\"a b\" is no name"});
  misused(R"(field { name: "a" file: "@ids.npy" ids: true scale: 2 })", {"ids are looked up"});
  misused(R"(field { name: "a" file: "@ids.npy" classes: 2 })", {"these are numbers"});
  misused(R"(field { name: "a" file: "@meta.npy" array: "x" })", {"is no .npz"});
  misused(R"(field { name: "a" file: "@meta.npy" scale: 0 })", {"field[0].scale"});
}

}  // namespace
}  // namespace lockstep::data
