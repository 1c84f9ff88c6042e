#include "trainer/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "tests/trainer/checkpoint/memory_file_system.h"
#include "tests/trainer/checkpoint/small_run.h"

namespace lockstep::checkpoint {
namespace {

using testing::HasSubstr;

void Put(MemoryFileSystem& files, const std::string& path, const std::string& bytes) {
  files.CreateFolders(".");
  files.Create(path);
  files.Bytes(path) = bytes;
}

/// A file of `header` and `data`, as another program would write it.
std::string Assemble(const std::string& header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(uint64_t{header.size()} >> (8 * i)));
  return bytes + header + data;
}

template <typename T>
std::string BytesOf(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(std::data(values)), values.size() * sizeof(T)};
}

TEST(WriteSafetensors, WritesTheBytesThatTheFormatAsksFor) {
  const std::vector<float> bias = {1.5f, -2.0f}, weight = {1, 2, 3, 4, 5, 6};
  const NamedTensor tensors[] = {{"weight", Shape{2, 3}, weight}, {"bias", Shape{2}, bias}};
  MemoryFileSystem files;
  files.CreateFolders(".");
  WriteSafetensors(files, "m.safetensors", tensors, {{"format", "pt"}});
  std::string header = R"({"__metadata__":{"format":"pt"},"bias":{"data_offsets":[0,8],"dtype":"F32","shape":[2]},)"
                       R"("weight":{"data_offsets":[8,32],"dtype":"F32","shape":[2,3]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(files.Bytes("m.safetensors"),
            Assemble(header, BytesOf({1.5f, -2.0f}) + BytesOf<float>({1, 2, 3, 4, 5, 6})));
}

TEST(SafetensorsFile, ReadsBackWhatWasWritten) {
  const std::vector<float> scalar = {7}, weight = {1, 2, 3, 4, 5, 6}, empty;
  const NamedTensor tensors[] = {{"w", Shape{1, 2, 3}, weight}, {"s", Shape{}, scalar}, {"none", Shape{0, 4}, empty}};
  MemoryFileSystem files;
  files.CreateFolders(".");
  WriteSafetensors(files, "m", tensors, {});
  const SafetensorsFile file(files, "m");
  ASSERT_EQ(file.entries().size(), 3u);
  EXPECT_EQ(file.Find("x"), nullptr);
  for (const NamedTensor& tensor : tensors) {
    const SafetensorsFile::Entry* entry = file.Find(tensor.name);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->shape, tensor.shape);
    std::vector<float> values(tensor.data.size());
    file.Read(*entry, values);
    EXPECT_TRUE(std::equal(values.begin(), values.end(), tensor.data.begin()));
  }
}

TEST(SafetensorsFile, GivesTheMetadata) {
  MemoryFileSystem files;
  files.CreateFolders(".");
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"step", "12"}};
  WriteSafetensors(files, "m", {}, metadata);
  EXPECT_EQ(SafetensorsFile(files, "m").metadata(), metadata);
  WriteSafetensors(files, "none", {}, {});
  EXPECT_TRUE(SafetensorsFile(files, "none").metadata().empty());
  Put(files, "odd", Assemble(R"({"__metadata__":{"a":1,"b":"c"}})", ""));
  EXPECT_THAT(SafetensorsFile(files, "odd").metadata(), testing::ElementsAre(testing::Pair("b", "c")));
}

TEST(SafetensorsFile, ConvertsHalfBFloat16AndDouble) {
  MemoryFileSystem files;
  // IEEE 754 binary16: 1, -2, the largest, the least normal, the least and the largest subnormal, infinity, NaN, -0.
  const std::initializer_list<uint16_t> halves = {0x3C00, 0xC000, 0x7BFF, 0x0400, 0x0001,
                                                  0x03FF, 0x7C00, 0x7E00, 0x8000};
  const std::string data = BytesOf(halves) + BytesOf<uint16_t>({0x3F80, 0xC2F7}) + BytesOf({1.0 / 3, -1e300});
  Put(files, "m",
      Assemble(R"({"h":{"dtype":"F16","shape":[9],"data_offsets":[0,18]},)"
               R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[18,22]},)"
               R"("d":{"dtype":"F64","shape":[2],"data_offsets":[22,38]}})",
               data));
  const SafetensorsFile file(files, "m");
  std::vector<float> h(9), b(2), d(2);
  file.Read(*file.Find("h"), h);
  file.Read(*file.Find("b"), b);
  file.Read(*file.Find("d"), d);
  EXPECT_THAT(std::span(h).first(7), testing::ElementsAre(1, -2, 65504, 0x1p-14f, 0x1p-24f, 1023 * 0x1p-24f,
                                                          std::numeric_limits<float>::infinity()));
  EXPECT_TRUE(std::isnan(h[7]));
  EXPECT_EQ(std::bit_cast<uint32_t>(h[8]), 0x80000000u);
  EXPECT_THAT(b, testing::ElementsAre(1, -123.5f));
  EXPECT_THAT(d, testing::ElementsAre(1.0f / 3, -std::numeric_limits<float>::infinity()));
}

TEST(SafetensorsFile, RefusesToReadWhatIsNoFloat) {
  MemoryFileSystem files;
  Put(files, "m", Assemble(R"({"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", std::string(8, '\0')));
  const SafetensorsFile file(files, "m");
  float value;
  EXPECT_THAT(CheckpointErrorOf([&] { file.Read(*file.Find("i"), std::span(&value, 1)); }), HasSubstr("of type I64"));
}

TEST(SafetensorsFile, RefusesDamagedFiles) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string data(8, '\0');
  const struct {
    std::string bytes;
    const char* message;
  } damaged[] = {
      {"", "only 0 bytes"},
      {"1234567", "only 7 bytes"},
      {std::string(8, '\xff'), "header would have"},
      {Assemble(good, data).substr(0, 20), "header would have"},
      {Assemble(good, data.substr(1)), "outside the file"},
      {Assemble(good, data + "x"), "1 bytes are left"},
      {Assemble("", ""), "does not begin with"},
      {Assemble(" {}", ""), "does not begin with"},
      {Assemble("{", ""), "no JSON object"},
      {Assemble("{\"a\":1}", ""), "lacks dtype"},
      {Assemble(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", data), "lacks dtype"},
      {Assemble(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", data), "lacks dtype"},
      {Assemble(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", data), "not the 12 of its shape [3]"},
      {Assemble(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", data), "outside the file"},
      {Assemble(R"({"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,8]}})",
                data),
       "a dimension of"},
      {Assemble(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,2],"data_offsets":[0,8]}})", data), "7 dimensions"},
      {Assemble(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", data), "a hole"},
      {Assemble(
           R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
           data),
       "overlap"},
      {Assemble(
           R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
           data),
       "'a' is there twice"},
  };
  for (const auto& [bytes, message] : damaged) {
    MemoryFileSystem files;
    Put(files, "m", bytes);
    EXPECT_THAT(CheckpointErrorOf([&] { SafetensorsFile(files, "m"); }), HasSubstr(message)) << bytes;
  }
}

/// $LOCKSTEP_PYTHON or python3.
std::string Python() {
  const char* python = std::getenv("LOCKSTEP_PYTHON");
  return python ? python : "python3";
}

TEST(WriteSafetensors, IsReadByThePythonPackage) {
  if (std::system((Python() + " -c 'import safetensors.numpy' 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << "SKIPPED: " << Python()
                 << " has no module safetensors.numpy; install safetensors and numpy, or set LOCKSTEP_PYTHON";
  const std::string root = ScratchFolder("safetensors");
  std::filesystem::create_directories(root);
  const std::vector<float> bias = {1.5f, -2.0f}, weight = {1, 2, 3, 4, 5, 0.1f};
  const NamedTensor tensors[] = {{"fc.weight", Shape{2, 3}, weight}, {"fc.bias", Shape{2}, bias}};
  WriteSafetensors(FileSystem::Real(), root + "/m.safetensors", tensors, {{"format", "pt"}, {"step", "12"}});
  std::ofstream(root + "/check.py") << R"(
import sys, numpy, safetensors, safetensors.numpy
t = safetensors.numpy.load_file(sys.argv[1])
assert sorted(t) == ["fc.bias", "fc.weight"], t
assert t["fc.weight"].dtype == numpy.float32
assert t["fc.weight"].tolist() == numpy.array([[1, 2, 3], [4, 5, 0.1]], numpy.float32).tolist()
assert t["fc.bias"].tolist() == [1.5, -2.0]
assert safetensors.safe_open(sys.argv[1], "np").metadata() == {"format": "pt", "step": "12"}
safetensors.numpy.save_file({"h": numpy.array([[0.5, -3.0]], numpy.float16), "d": numpy.array([2.5])}, sys.argv[2])
)";
  ASSERT_EQ(std::system(
                fmt::format("{} {}/check.py {}/m.safetensors {}/back.safetensors", Python(), root, root, root).c_str()),
            0);
  const SafetensorsFile back(FileSystem::Real(), root + "/back.safetensors");
  std::vector<float> h(2), d(1);
  ASSERT_NE(back.Find("h"), nullptr);
  EXPECT_EQ(back.Find("h")->shape, (Shape{1, 2}));
  back.Read(*back.Find("h"), h);
  back.Read(*back.Find("d"), d);
  EXPECT_THAT(h, testing::ElementsAre(0.5f, -3.0f));
  EXPECT_THAT(d, testing::ElementsAre(2.5f));
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace lockstep::checkpoint
