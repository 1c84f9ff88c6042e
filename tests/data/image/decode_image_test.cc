#include "data/image/decode_image.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/data/image/expected_images.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

const Origin kOrigin{"/folder/cat.jpg", "data.train.folder.path"};

Image Decode(std::span<const std::byte> bytes, const DecodeOptions& options = {}) {
  Image image;
  DecodeImage(bytes, options, kOrigin, image);
  return image;
}

std::vector<std::byte> FileNamed(const std::string& name) {
  for (const auto& entry : ExpectedImages()["files"])
    if (entry["name"] == name) return FromHex<std::byte>(entry["file"]);
  ADD_FAILURE() << "no file " << name;
  return {};
}

TEST(DecodeImage, HasThePixelsOfPillow) {
  int files = 0;
  for (const auto& entry : ExpectedImages()["files"]) {
    const auto bytes = FromHex<std::byte>(entry["file"]);
    const ImageHeader header = ReadImageHeader(bytes, kOrigin);
    EXPECT_EQ(header.height, entry["height"]) << entry["name"];
    EXPECT_EQ(header.width, entry["width"]) << entry["name"];
    const Image colours = Decode(bytes), grey = Decode(bytes, {.channels = 1});
    EXPECT_EQ(colours.channels, 3);
    EXPECT_EQ(colours.pixels, FromHex(entry["rgb"])) << entry["name"];
    EXPECT_EQ(grey.channels, 1);
    EXPECT_EQ(grey.pixels, FromHex(entry["grey"])) << entry["name"];
    ++files;
  }
  EXPECT_GT(files, 20);
}

TEST(DecodeImage, DecodesPartsAsTheyAreInTheWhole) {
  for (const auto& entry : ExpectedImages()["files"]) {
    const auto bytes = FromHex<std::byte>(entry["file"]);
    for (const int reduction : {1, 2, 4}) {
      if (reduction > 1 && !ReadImageHeader(bytes, kOrigin).reducible) continue;
      const Image whole = Decode(bytes, {.reduction = reduction});
      for (int64_t top = 0; top < whole.height; top += 3) {
        for (int64_t left = 0; left < whole.width; left += 5) {
          const ImageRegion region{top, left, std::min<int64_t>(4, whole.height - top),
                                   std::min<int64_t>(6, whole.width - left)};
          const Image part = Decode(bytes, {.reduction = reduction, .region = region});
          ASSERT_EQ(part.height, region.height);
          for (int64_t y = 0; y < region.height; ++y) {
            ASSERT_TRUE(std::equal(part.row(y), part.row(y) + part.row_bytes(), whole.row(top + y) + left * 3))
                << entry["name"] << " reduced by " << reduction << ", " << top << ", " << left;
          }
        }
      }
    }
  }
}

TEST(DecodeImage, ReducesRoundingSizesUp) {
  const Image half = Decode(FileNamed("jpeg 420"), {.reduction = 2});
  EXPECT_EQ(half.height, 12);  // of 23
  EXPECT_EQ(half.width, 19);   // of 37
  const Image eighth = Decode(FileNamed("jpeg 444"), {.reduction = 8});
  EXPECT_EQ(eighth.height, 3);
  EXPECT_EQ(eighth.width, 5);
}

TEST(DecodeImage, NamesFilesThatAreCutOff) {
  for (const char* name : {"jpeg 420", "jpeg progressive", "png RGB", "png P"}) {
    const auto bytes = FileNamed(name);
    for (const size_t size : {bytes.size() / 2, bytes.size() * 3 / 4, size_t{40}}) {
      ExpectError(ErrorKind::kData, {"/folder/cat.jpg", "damaged or cut off"},
                  [&] { Decode(std::span(bytes).first(size)); });
    }
  }
}

TEST(DecodeImage, NamesDamage) {
  auto png = FileNamed("png RGB");
  png[png.size() - 30] ^= std::byte{1};  // in the pixels: the chunk's checksum
  ExpectError(ErrorKind::kData, {"/folder/cat.jpg", "the PNG is damaged"}, [&] { Decode(png); });
  auto jpeg = FileNamed("jpeg 444");
  std::fill(jpeg.end() - 200, jpeg.end(), std::byte{0xFF});
  ExpectError(ErrorKind::kData, {"/folder/cat.jpg", "the JPEG is damaged"}, [&] { Decode(jpeg); });
}

TEST(DecodeImage, SaysWhatIsNoPicture) {
  const auto refuse = [&](const std::string& bytes, const std::string& part) {
    ExpectError(ErrorKind::kData, {"/folder/cat.jpg", part}, [&] { Decode(std::as_bytes(std::span(bytes))); });
    ExpectError(ErrorKind::kData, {part}, [&] { ReadImageHeader(std::as_bytes(std::span(bytes)), kOrigin); });
  };
  refuse("", "the file is empty");
  refuse("GIF89a....", "this is a GIF");
  refuse("RIFF....WEBPVP8 ", "this is a WebP");
  refuse(std::string("MM\0*....", 8), "this is a TIFF");
  refuse("hello, this is a text and no picture at all, whatever it is called, or is it", "neither JPEG nor PNG");
}

TEST(DecodeImage, RefusesBombsBeforeTheyTakeMemory) {
  const auto jpeg = FileNamed("jpeg 444");
  ExpectError(ErrorKind::kData, {"37 x 23 pixels; more than 850 are not read"},
              [&] { Decode(jpeg, {.most_pixels = 850}); });
  EXPECT_EQ(Decode(jpeg, {.most_pixels = 851}).height, 23);
  // A PNG of a few bytes that says that it is 16,000 x 16,000.
  auto png = FileNamed("png RGB");
  const auto put = [&](size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) png[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
  };
  put(16, 16'000);
  put(20, 16'000);
  put(29, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(png.data()) + 12, 17)));
  ExpectError(ErrorKind::kData, {"can't hold 16000 x 16000 pixels"}, [&] { Decode(png); });
}

}  // namespace
}  // namespace lockstep::data
