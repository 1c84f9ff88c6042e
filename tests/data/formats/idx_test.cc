#include "data/formats/idx.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "data/open/open_dataset.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

class IdxTest : public testing::Test {
 protected:
  std::unique_ptr<Dataset> Open(const std::string& images, const std::string& labels) {
    Source source;
    source.mutable_idx()->set_images(images);
    source.mutable_idx()->set_labels(labels);
    return OpenDataset(source, "data.train", 1);
  }
  void ExpectBad(const std::string& images, const std::string& labels, const std::vector<std::string>& parts) {
    const std::string image_path = folder_.Write("images", images), label_path = folder_.Write("labels", labels);
    ExpectError(ErrorKind::kData, parts, [&] { Open(image_path, label_path); });
  }

  TempFolder folder_;
  const std::string pixels_ = Pattern(4 * 3 * 2);
  const std::string images_ = IdxHeaderBytes({4, 3, 2}) + pixels_;
  const std::string labels_ = IdxHeaderBytes({4}) + std::string("\2\0\6\1", 4);
};

TEST_F(IdxTest, ReadsPlainAndGzippedFilesAlike) {
  const auto plain = Open(folder_.Write("i", images_), folder_.Write("l", labels_));
  // Two members and padding, as `cat a.gz b.gz` and tapes leave them.
  const std::string two_members = Gzip(images_.substr(0, 20)) + Gzip(images_.substr(20)) + std::string(512, '\0');
  const auto packed = Open(folder_.Write("i.gz", two_members), folder_.Write("l.gz", Gzip(labels_)));
  EXPECT_EQ(plain->fingerprint(), packed->fingerprint());
  for (const Dataset* dataset : {plain.get(), packed.get()}) {
    ASSERT_EQ(dataset->size(), 4u);
    EXPECT_EQ(dataset->classes(), 7);
    ASSERT_EQ(dataset->fields().size(), 2u);
    EXPECT_EQ(dataset->fields()[0].name, "image");
    EXPECT_EQ(dataset->fields()[0].dtype, DType::kU8);
    EXPECT_EQ(dataset->fields()[0].shape, (Shape{3, 2, 1}));
    EXPECT_EQ(dataset->fields()[1].name, "label");
    Sample sample;
    for (uint64_t id = 0; id < 4; ++id) {
      dataset->Read(0, id, sample);
      const auto image = sample.tensors[0].As<char>();
      EXPECT_EQ(std::string(image.begin(), image.end()), pixels_.substr(id * 6, 6));
      EXPECT_EQ(sample.tensors[1].As<int32_t>()[0], labels_[8 + id]);
    }
  }
}

TEST_F(IdxTest, ReadsChannels) {
  const auto dataset = Open(folder_.Write("i", IdxHeaderBytes({4, 1, 2, 3}) + pixels_), folder_.Write("l", labels_));
  EXPECT_EQ(dataset->fields()[0].shape, (Shape{1, 2, 3}));
}

TEST_F(IdxTest, FingerprintSeesEveryByteAndTheShape) {
  const std::string labels = folder_.Write("l", labels_);
  const uint64_t original = Open(folder_.Write("i", images_), labels)->fingerprint();
  std::string other = images_;
  other.back() ^= 1;
  EXPECT_NE(original, Open(folder_.Write("i2", other), labels)->fingerprint());
  EXPECT_NE(original, Open(folder_.Write("i3", IdxHeaderBytes({4, 2, 3}) + pixels_), labels)->fingerprint());
  std::string other_labels = labels_;
  other_labels[9] = 1;
  EXPECT_NE(original, Open(folder_.Path("i"), folder_.Write("l2", other_labels))->fingerprint());
}

TEST_F(IdxTest, NamesTheFieldOfAMissingFile) {
  const std::string labels = folder_.Write("l", labels_);
  ExpectError(ErrorKind::kData,
              {"data.train.idx.images: there is no file " + folder_.Path("none"), "--set data.train.idx.images=FILE"},
              [&] { Open(folder_.Path("none"), labels); });
  ExpectError(ErrorKind::kData, {"data.train.idx.labels: there is no file", folder_.Path("l") + ": use that name"},
              [&] { Open(folder_.Write("i", images_), folder_.Path("l.gz")); });
  ExpectError(ErrorKind::kUsage, {"data.train.idx.labels: the file is not named"},
              [&] { Open(folder_.Path("i"), ""); });
}

TEST_F(IdxTest, RefusesAFolder) {
  const std::string labels = folder_.Write("l", labels_);
  ExpectError(ErrorKind::kData, {folder_.Path("")}, [&] { Open(folder_.Path(""), labels); });
}

TEST_F(IdxTest, RefusesAPipeWhoseSizeSaysNothing) {
  const std::string labels = folder_.Write("l", labels_), pipe = folder_.Path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  ExpectError(ErrorKind::kData, {pipe + ": is a pipe or a device", "write it to a file first"},
              [&] { Open(pipe, labels); });
}

TEST_F(IdxTest, NamesTruncatedAndDamagedGzip) {
  const std::string packed = Gzip(images_);
  for (size_t length : {size_t{3}, size_t{12}, packed.size() / 2, packed.size() - 8, packed.size() - 1}) {
    ExpectBad(packed.substr(0, length), labels_,
              {folder_.Path("images"), "the gzip data is cut off", "data.train.idx.images"});
  }
  std::string damaged = packed;
  damaged[damaged.size() - 6] ^= 1;  // in the checksum
  ExpectBad(damaged, labels_, {folder_.Path("images"), "damaged (incorrect data check)"});
  ExpectBad(packed + "abc", labels_, {"3 bytes follow the end of the gzip data"});
}

TEST_F(IdxTest, NamesAWrongMagicNumber) {
  ExpectBad("\x89PNG\r\n", labels_, {folder_.Path("images"), "not an IDX file", "0x89504e47", "data.train.idx.images"});
  ExpectBad(IdxHeaderBytes({4, 3, 2}, 0x0d) + pixels_, labels_,
            {"0x00000d03", "elements of type 0x0d", "only unsigned bytes"});
  ExpectBad(labels_, images_,
            {folder_.Path("images"), "0x00000801", "1 dimension,", "3 or 4 dimensions", "exchanged?"});
  ExpectBad(images_, images_, {folder_.Path("labels"), "0x00000803", "3 dimensions, but labels have 1 dimension"});
}

TEST_F(IdxTest, NamesCountsThatDoNotMatch) {
  ExpectBad(images_, IdxHeaderBytes({3}) + "abc",
            {folder_.Path("labels"), "3 labels for the 4 images of " + folder_.Path("images")});
  ExpectBad(images_.substr(0, images_.size() - 1), labels_, {"too short: 39 bytes where its header promises 40"});
  ExpectBad(images_ + "x", labels_, {"1 bytes follow the 24 elements"});
  ExpectBad("", labels_, {"too short: 0 bytes"});
  ExpectBad(images_.substr(0, 9), labels_, {"too short: 9 bytes where its header promises 16"});
}

TEST_F(IdxTest, NamesImpossibleDimensions) {
  const uint32_t huge = 0xffffffffu;
  ExpectBad(IdxHeaderBytes({huge, huge, huge}) + pixels_, labels_,
            {"the dimensions [4294967295, 4294967295, 4294967295]", "impossible"});
  ExpectBad(IdxHeaderBytes({1u << 31, 1u << 31, 4}), labels_, {"impossible"});  // 2^64: 0 where it wraps
  ExpectBad(IdxHeaderBytes({4, 0, 2}), labels_, {"nothing in the file"});
  ExpectBad(IdxHeaderBytes({huge, 1, 1}) + "abc", labels_,
            {"too short: 19 bytes where its header promises 4294967311"});
}

TEST(RealData, MnistIsWhatItIsKnownToBe) {
  if (RealData().empty()) GTEST_SKIP() << "LOCKSTEP_DATA is not set: real MNIST is not read";
  Source source;
  source.mutable_idx()->set_images(RealData() + "/mnist/train-images-idx3-ubyte.gz");
  source.mutable_idx()->set_labels(RealData() + "/mnist/train-labels-idx1-ubyte.gz");
  const auto dataset = OpenDataset(source, "data.train", 1);
  EXPECT_EQ(dataset->size(), 60000u);
  EXPECT_EQ(dataset->classes(), 10);
  EXPECT_EQ(dataset->fields()[0].shape, (Shape{28, 28, 1}));
  Sample sample;
  double sum = 0;
  for (uint64_t id = 0; id < 60000; ++id) {
    dataset->Read(0, id, sample);
    if (id < 5) {
      EXPECT_EQ(sample.tensors[1].As<int32_t>()[0], std::vector({5, 0, 4, 1, 9})[id]);
    }
    for (uint8_t pixel : sample.tensors[0].As<uint8_t>()) sum += pixel;
  }
  EXPECT_NEAR(sum / (60000.0 * 784 * 255), 0.1307, 0.00005);  // the mean that everybody normalises by
}

}  // namespace
}  // namespace lockstep::data
