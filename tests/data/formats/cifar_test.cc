#include "data/formats/cifar.h"

#include <gtest/gtest.h>

#include "data/open/open_dataset.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

std::string Record(char label, unsigned start) { return label + Pattern(3072, start); }

TEST(Cifar, InterleavesPlanesAndJoinsFiles) {
  const TempFolder folder;
  Source source;
  source.mutable_cifar()->add_files(folder.Write("a", Record(3, 0) + Record(9, 100)));
  source.mutable_cifar()->add_files(folder.Write("b.gz", Gzip(Record(0, 200))));
  const auto dataset = OpenDataset(source, "data.train", 1);
  ASSERT_EQ(dataset->size(), 3u);
  EXPECT_EQ(dataset->classes(), 10);
  EXPECT_EQ(dataset->fields()[0].shape, (Shape{32, 32, 3}));
  Sample sample;
  for (unsigned id = 0; id < 3; ++id) {
    dataset->Read(0, id, sample);
    EXPECT_EQ(sample.tensors[1].As<int32_t>()[0], std::vector({3, 9, 0})[id]);
    const std::string planes = Pattern(3072, id * 100);
    for (size_t y = 0; y < 32; ++y) {
      for (size_t x = 0; x < 32; ++x) {
        for (size_t c = 0; c < 3; ++c) {
          ASSERT_EQ(sample.tensors[0].As<char>()[(y * 32 + x) * 3 + c], planes[c * 1024 + y * 32 + x]) << y << x << c;
        }
      }
    }
  }
}

TEST(Cifar, NamesFilesThatAreNotWhole) {
  const TempFolder folder;
  const auto refuse = [&](const std::string& bytes, const std::vector<std::string>& parts) {
    Source source;
    source.mutable_cifar()->add_files(folder.Write("good", Record(1, 0)));
    source.mutable_cifar()->add_files(folder.Write("bad", bytes));
    ExpectError(ErrorKind::kData, parts, [&] { OpenDataset(source, "data.test", 1); });
  };
  refuse("", {folder.Path("bad"), "0 bytes are not a whole number of records of 3073", "data.test.cifar.files"});
  refuse(Record(1, 0) + "x", {"3074 bytes are not", "CIFAR-100"});
  refuse(Record(1, 0) + "xyz", {"3076 bytes are not"});
  refuse(Record(1, 0) + Record(10, 0), {"record 1 (from 0): label 10 is not between 0 and 9"});
  ExpectError(ErrorKind::kUsage, {"data.test.cifar.files: no file is named"}, [&] {
    Source source;
    source.mutable_cifar();
    OpenDataset(source, "data.test", 1);
  });
}

TEST(RealData, CifarBatchesAreBalanced) {
  if (RealData().empty()) GTEST_SKIP() << "LOCKSTEP_DATA is not set: real CIFAR-10 is not read";
  Source source;
  source.mutable_cifar()->add_files(RealData() + "/cifar10/test_batch.bin");
  const auto dataset = OpenDataset(source, "data.test", 1);
  ASSERT_EQ(dataset->size(), 10000u);
  std::vector<int> counts(10);
  Sample sample;
  for (uint64_t id = 0; id < dataset->size(); ++id) {
    dataset->Read(0, id, sample);
    ++counts[static_cast<size_t>(sample.tensors[1].As<int32_t>()[0])];
  }
  EXPECT_EQ(counts, std::vector<int>(10, 1000));
}

}  // namespace
}  // namespace lockstep::data
