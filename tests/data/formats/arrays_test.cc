#include "data/formats/arrays.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <utility>

#include "data/formats/load_array.h"
#include "data/open/open_dataset.h"
#include "tests/data/formats/npy_bytes.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

NamedArray Array(const std::string& bytes, const std::string& name = "inputs") {
  const auto all = std::as_bytes(std::span(bytes));
  const Origin origin{"/d/" + name + ".npy", "data.train.arrays." + name};
  return {ReadNpy({all.begin(), all.end()}, origin), origin};
}

Records Read(const std::string& inputs, const ArrayOptions& options = {}) {
  return ReadArrays({.inputs = Array(inputs)}, options);
}
Records ReadLabels(const std::string& inputs, const std::string& labels, const ArrayOptions& options = {}) {
  return ReadArrays({.inputs = Array(inputs), .labels = Array(labels, "labels")}, options);
}
Records ReadTargets(const std::string& inputs, const std::string& targets) {
  return ReadArrays({.inputs = Array(inputs), .targets = Array(targets, "targets")}, {});
}

template <typename T>
std::vector<T> Values(const Records& records, size_t column) {
  const auto bytes = records.columns[column].values();
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

const std::string kTwoRows = Npy("<f4", "2, 3", Elements<float>({1, 2, 3, 4, 5, 6}));

TEST(Arrays, NumbersOfAnyTypeAreFeatures) {
  const std::vector<float> expected = {1, 2, 3, 100, 5, 6};
  const auto values = [](const std::string& descr, const std::string& elements) {
    return Values<float>(Read(Npy(descr, "2, 3", elements)), 0);
  };
  EXPECT_EQ(values("|u1", Elements<uint8_t>({1, 2, 3, 100, 5, 6})), expected);
  EXPECT_EQ(values("|i1", Elements<int8_t>({1, 2, 3, 100, 5, 6})), expected);
  EXPECT_EQ(values("<i2", Elements<int16_t>({1, 2, 3, 100, 5, 6})), expected);
  EXPECT_EQ(values("<u2", Elements<uint16_t>({1, 2, 3, 100, 5, 6})), expected);
  EXPECT_EQ(values("<i4", Elements<int32_t>({1, 2, 3, 100, 5, 6})), expected);
  EXPECT_EQ(values("<u4", Elements<uint32_t>({1, 2, 3, 100, 5, 6})), expected);
  EXPECT_EQ(values("<i8", Elements<int64_t>({1, 2, 3, 100, 5, 6})), expected);
  EXPECT_EQ(values("<u8", Elements<uint64_t>({1, 2, 3, 100, 5, 6})), expected);
  EXPECT_EQ(values("<f4", Elements<float>({1, 2, 3, 100, 5, 6})), expected);
  EXPECT_EQ(values("<f8", Elements<double>({1, 2, 3, 100, 5, 6})), expected);
  // Halves: 1, 2, 3, 100, 5, 6; then the least, the greatest, the least of full precision, and a negative one.
  EXPECT_EQ(values("<f2", Elements<uint16_t>({0x3c00, 0x4000, 0x4200, 0x5640, 0x4500, 0x4600})), expected);
  EXPECT_EQ(values("<f2", Elements<uint16_t>({0x0001, 0x7bff, 0x0400, 0xc500, 0x8000, 0x3555})),
            (std::vector<float>{std::ldexp(1.0f, -24), 65504, std::ldexp(1.0f, -14), -5, 0, 0.333251953125f}));
  EXPECT_EQ(values("|b1", Elements<uint8_t>({1, 0, 1, 0, 0, 1})), (std::vector<float>{1, 0, 1, 0, 0, 1}));
  EXPECT_EQ(values(">i2", std::string("\0\1\0\2\0\3\0\x64\0\5\0\6", 12)), expected);
  EXPECT_EQ(values(">f4", std::string("\x3f\x80\0\0\x40\0\0\0\x40\x40\0\0\x42\xc8\0\0\x40\xa0\0\0\x40\xc0\0\0", 24)),
            expected);
}

TEST(Arrays, FortransOrderIsTurned) {
  EXPECT_EQ(Values<float>(Read(Npy("<f4", "2, 3", Elements<float>({1, 4, 2, 5, 3, 6}), "True")), 0),
            Values<float>(Read(kTwoRows), 0));
  std::vector<int16_t> image(2 * 3 * 4 * 2), turned(image.size());
  size_t at = 0;
  for (size_t l = 0; l < 2; ++l)
    for (size_t k = 0; k < 4; ++k)
      for (size_t j = 0; j < 3; ++j)
        for (size_t i = 0; i < 2; ++i, ++at) {
          const size_t plain = ((i * 3 + j) * 4 + k) * 2 + l;
          image[plain] = static_cast<int16_t>(plain);
          turned[at] = static_cast<int16_t>(plain);
        }
  EXPECT_EQ(Values<float>(Read(Npy("<i2", "2, 3, 4, 2", Elements(turned), "True")), 0),
            Values<float>(Read(Npy("<i2", "2, 3, 4, 2", Elements(image))), 0));
}

TEST(Arrays, BytesOfThreeDimensionsAreImagesOfBytes) {
  const Records grey = Read(Npy("|u1", "2, 3, 4", Pattern(24)));
  EXPECT_EQ(grey.columns[0].field.name, "image");
  EXPECT_EQ(grey.columns[0].field.dtype, DType::kU8);
  EXPECT_EQ(grey.columns[0].field.shape, (Shape{3, 4, 1}));
  EXPECT_EQ(Values<uint8_t>(grey, 0)[23], static_cast<uint8_t>(Pattern(24)[23]));
  const Records color = Read(Npy("<f8", "1, 2, 2, 3", Elements(std::vector<double>(12, 0.5))));
  EXPECT_EQ(color.columns[0].field.dtype, DType::kF32);
  EXPECT_EQ(color.columns[0].field.shape, (Shape{2, 2, 3}));
  EXPECT_EQ(Values<float>(color, 0), std::vector<float>(12, 0.5f));
}

TEST(Arrays, LabelsAreClassesOrTheirNames) {
  const Records numbers = ReadLabels(kTwoRows, Npy("<i8", "2,", Elements<int64_t>({4, 0})));
  EXPECT_EQ(Values<int32_t>(numbers, 1), (std::vector<int32_t>{4, 0}));
  EXPECT_EQ(numbers.classes, 5);
  EXPECT_TRUE(numbers.class_names.empty());
  const Records signs = ReadLabels(kTwoRows, Npy("|i1", "2,", Elements<int8_t>({1, -1})));
  EXPECT_EQ(signs.class_names, (std::vector<std::string>{"-1", "1"}));
  EXPECT_EQ(Values<int32_t>(signs, 1), (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(Values<int32_t>(ReadLabels(kTwoRows, Npy("|b1", "2,", Elements<uint8_t>({1, 0}))), 1),
            (std::vector<int32_t>{1, 0}));

  const Records words = ReadLabels(kTwoRows, Npy("<U3", "2,", Elements<uint32_t>({'c', 'a', 't', 0xe9, 0, 0})));
  EXPECT_EQ(words.class_names, (std::vector<std::string>{"cat", "\xc3\xa9"}));
  EXPECT_EQ(Values<int32_t>(words, 1), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(ReadLabels(kTwoRows, Npy(">U1", "2,", std::string("\0\0\0a\0\0\0b", 8))).class_names,
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ReadLabels(kTwoRows, Npy("|S2", "2,", std::string("ab\0c", 4))).class_names.size(), 2u);
  const Records known = ReadLabels(kTwoRows, Npy("|S1", "2,", "bb"), {.class_names = {"a", "b"}});
  EXPECT_EQ(Values<int32_t>(known, 1), (std::vector<int32_t>{1, 1}));
}

TEST(Arrays, TargetsAreOneOrSeveral) {
  const Records one = ReadTargets(kTwoRows, Npy("<f8", "2,", Elements<double>({0.5, -1})));
  EXPECT_EQ(one.columns[1].field.name, "target");
  EXPECT_EQ(one.columns[1].field.shape, (Shape{1}));
  EXPECT_EQ(Values<float>(one, 1), (std::vector<float>{0.5f, -1}));
  EXPECT_EQ(one.classes, 0);
  EXPECT_EQ(ReadTargets(kTwoRows, Npy("<i4", "2, 2", Elements<int32_t>({1, 2, 3, 4}))).columns[1].field.shape,
            (Shape{2}));
}

TEST(Arrays, NameWhatDoesNotFit) {
  const auto bad = [](const std::string& bytes, const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kData, parts, [&] { Read(bytes); });
  };
  const float nan = std::nanf(""), infinity = INFINITY;
  bad(Npy("<f4", "2, 3", Elements<float>({1, 2, 3, 4, nan, 6})),
      {"/d/inputs.npy", "row 1, column 1 (from 0): nan is no finite", "numpy.nan_to_num"});
  bad(Npy("<f4", "2, 3", Elements<float>({1, infinity, 3, 4, nan, 6})),
      {"row 0, column 1", "first of 2 rows that can't be used"});
  bad(Npy("<f8", "1, 1, 2, 1", Elements<double>({1, 1e39})), {"row 0, at [0, 1, 0]", "1e+39"});
  bad(Npy("<f4", "6,", Elements<float>({1, 2, 3, 4, 5, 6})), {"inputs have shape (6)", "[n, features]"});
  bad(Npy("<f4", "0, 3", ""), {"there is nothing in it"});
  bad(Npy("<f4", "2, 3", Elements<float>({1, 2, 3, 4, 5})), {"20 bytes follow", "promises 24"});
  bad(Npy("<f4", "4294967296, 4294967296", ""), {"impossible"});
  bad(Npy("<U1", "1, 1", Elements<uint32_t>({'a'})), {"words"});
  for (const char* type : {"|O", "<c8", "<M8[ns]", "<f16", "f4", "<f", "|V4"})
    bad(Npy(type, "2, 3", ""), {"of a type that is not read", type, "astype"});
  bad("something else altogether", {"no NumPy array"});
  bad(kTwoRows.substr(0, 50), {"header is cut off"});
  std::string broken = kTwoRows;
  for (const auto& [from, to] : {std::pair{"'descr'", "'dscr_'"}, {"False", "false"}, {"(2, 3)", "(2; 3)"}}) {
    std::string text = kTwoRows;
    bad(text.replace(text.find(from), std::string(from).size(), to), {"header can't be read"});
  }
  std::string records = kTwoRows;
  bad(records.replace(records.find("'<f4'"), 5, "[('a"), {"array of records"});

  const auto bad_labels = [](const std::string& labels, const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kData, parts, [&] { ReadLabels(kTwoRows, labels); });
  };
  bad_labels(Npy("<i8", "3,", Elements<int64_t>({0, 1, 2})),
             {"/d/labels.npy", "3 labels for 2 samples of /d/inputs.npy"});
  bad_labels(Npy("<f4", "2,", Elements<float>({0, 1})), {"labels are floats", "astype(numpy.int64)", "targets"});
  bad_labels(Npy("<i8", "2, 1", Elements<int64_t>({0, 1})), {"labels have shape (2, 1)"});
  bad_labels(Npy("<U1", "2,", Elements<uint32_t>({'a', 0})), {"label 1 (from 0) is an empty word"});
  bad_labels(Npy("<U1", "2,", Elements<uint32_t>({'a', 0x110000})), {"label 1 (from 0) is no text"});
  bad_labels(Npy("|S1", "2,", "a\xff"), {"label 1 (from 0) is no text"});
  bad_labels(Npy("<i8", "2,", Elements<int64_t>({0, 2000000})), {"row 1 (from 0): '2000000' is not a class label"});
  ExpectError(ErrorKind::kData, {"row 0 (from 0): 'c' is not a class", "data.class_names"}, [&] {
    ReadLabels(kTwoRows, Npy("|S1", "2,", "ca"), {.class_names = {"a", "b"}});
  });
}

TEST(Arrays, ACallerMayWantAllThatIsBroken) {
  std::vector<std::string> broken;
  const ArrayOptions options{.classes = 2, .on_broken = [&](const Error& error) { broken.push_back(error.message()); }};
  const float nan = std::nanf("");
  const Records records = ReadLabels(Npy("<f4", "4, 1", Elements<float>({1, nan, 3, 4})),
                                     Npy("|u1", "4,", Elements<uint8_t>({0, 1, 7, 1})), options);
  EXPECT_EQ(broken.size(), 2u);
  EXPECT_EQ(Values<float>(records, 0), (std::vector<float>{1, 4}));
  EXPECT_EQ(Values<int32_t>(records, 1), (std::vector<int32_t>{0, 1}));
}

/// A zip archive, as numpy.savez writes it.
std::string Zip(const std::vector<std::pair<std::string, std::string>>& members, bool packed) {
  std::string bytes(1 << 20, '\0');
  size_t used = 0;
  archive* const writer = archive_write_new();
  archive_write_set_format_zip(writer);
  archive_write_set_options(writer, packed ? "zip:compression=deflate" : "zip:compression=store");
  archive_write_open_memory(writer, bytes.data(), bytes.size(), &used);
  for (const auto& [name, content] : members) {
    archive_entry* const entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_write_header(writer, entry);
    archive_write_data(writer, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  bytes.resize(used);
  return bytes;
}

TEST(Arrays, FilesOfSeveralArraysNameThem) {
  const TempFolder folder;
  const std::string labels = Npy("<i8", "2,", Elements<int64_t>({1, 0}));
  folder.Write("x.npy", kTwoRows);
  folder.Write("y.npy.gz", Gzip(labels));
  for (const bool packed : {false, true}) {
    folder.Write("data.npz", Zip({{"x.npy", kTwoRows}, {"y.npy", labels}}, packed));
    const auto open = [&](const std::string& inputs, const std::string& classes) {
      Source source;
      source.mutable_arrays()->set_inputs(folder.Path(inputs));
      source.mutable_arrays()->set_labels(folder.Path(classes));
      return OpenDataset(source, "data.train", 0, Verify::AUTO, {.training = true});
    };
    const auto dataset = open("data.npz:x", "data.npz:y");
    EXPECT_EQ(dataset->size(), 2u);
    EXPECT_EQ(dataset->classes(), 2);
    EXPECT_EQ(dataset->fingerprint(), open("x.npy", "y.npy.gz")->fingerprint());
    ExpectError(ErrorKind::kData,
                {
                    "data.npz",
                    "there is no array \"z\"",
                    "it has x, y",
                },
                [&] { open("data.npz:x", "data.npz:z"); });
    ExpectError(ErrorKind::kData, {"none of them is named", "FILE.npz:NAME", "x, y"},
                [&] { open("data.npz", "data.npz:y"); });
    ExpectError(ErrorKind::kData, {"there is no file", "data.train.arrays.inputs"}, [&] { open("z.npy", "x.npy"); });
  }
  Source both;
  both.mutable_arrays()->set_inputs(folder.Path("x.npy"));
  both.mutable_arrays()->set_labels("y");
  both.mutable_arrays()->set_targets("y");
  ExpectError(ErrorKind::kUsage, {"there are targets as well"}, [&] { OpenDataset(both, "data.train", 0); });
}

}  // namespace
}  // namespace lockstep::data
