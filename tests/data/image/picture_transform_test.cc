#include "data/image/picture_transform.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "data/image/image.h"
#include "data/open/make_transform.h"
#include "tests/data/image/expected_images.h"
#include "tests/data/pictures/picture_test_files.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

const std::vector<Field> kFields{
    {"encoded", DType::kU8, Shape{-1}}, {"name", DType::kU8, Shape{-1}}, {"label", DType::kI32, Shape{}}};

std::unique_ptr<Transform> Make(const std::string& text, const std::vector<Field>& fields = kFields) {
  DataConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return MakeTransform(fields, config, 1);
}

Sample EncodedSample(const std::string& file, const std::string& name = "/folder/cat.png") {
  Sample sample;
  sample.tensors.resize(3);
  sample.tensors[0].Assign(std::span<const char>(file));
  sample.tensors[1].Assign(std::span<const char>(name));
  const int32_t label = 3;
  sample.tensors[2].Assign(std::span(&label, 1));
  return sample;
}

/// The values of the first field.
std::vector<float> Apply(const Transform& transform, const Sample& sample, bool augment, uint64_t id = 0) {
  std::vector<float> values(static_cast<size_t>(transform.fields()[0].shape.size()), -999);
  int32_t label = 0;
  std::byte* const rows[] = {reinterpret_cast<std::byte*>(values.data()), reinterpret_cast<std::byte*>(&label)};
  transform.Apply(sample, 0, id, augment, 0, rows);
  EXPECT_EQ(label, 3);
  return values;
}

std::vector<float> Divided(const std::vector<uint8_t>& bytes) {
  std::vector<float> values;
  for (const uint8_t byte : bytes) values.push_back(static_cast<float>(byte) * static_cast<float>(1.0 / 255));
  return values;
}

TEST(PictureTransform, IsThatOfPicturesInMemoryWhereTheSizeIsTheWantedOne) {
  const Image image = PatternImage(8, 6, 1);
  const std::vector<Field> in_memory{{"image", DType::kU8, Shape{8, 6, 3}}, {"label", DType::kI32, Shape{}}};
  Sample decoded;
  decoded.tensors.resize(2);
  decoded.tensors[0].Assign(std::span<const uint8_t>(image.pixels));
  const int32_t label = 3;
  decoded.tensors[1].Assign(std::span(&label, 1));
  const std::string rest =
      "normalize { mean: 0.4 deviation: 0.2 } augment { shift: 2 flip: true color_jitter { hue: 0.2 brightness: 0.3 } "
      "rand_augment {} }";
  const auto encoded = Make("pictures { height: 8 width: 6 } " + rest);
  const auto memory = Make(rest, in_memory);
  EXPECT_EQ(encoded->fields()[0].shape, (Shape{8, 6, 3}));
  const Sample sample = EncodedSample(Png(image));
  for (uint64_t id = 0; id < 20; ++id) {
    EXPECT_EQ(Apply(*encoded, sample, true, id), Apply(*memory, decoded, true, id));
    EXPECT_EQ(Apply(*encoded, sample, false, id), Apply(*memory, decoded, false, id));
  }
  EXPECT_NE(Apply(*encoded, sample, true, 0), Apply(*encoded, sample, true, 1));
}

TEST(PictureTransform, FitsOtherSizes) {
  Image image;  // left half black, right half white
  image.Resize(10, 20, 1);
  for (int64_t y = 0; y < 10; ++y) std::fill(image.row(y) + 10, image.row(y) + 20, uint8_t{255});
  const Sample sample = EncodedSample(Png(image));
  const auto crop = Apply(*Make("pictures { height: 4 channels: 1 crop_share: 1 }"), sample, false);
  EXPECT_EQ(crop[4 * 0 + 0], 0);
  EXPECT_EQ(crop[4 * 3 + 3], 1);
  const auto stretched = Apply(*Make("pictures { height: 10 width: 2 channels: 1 fit: STRETCH }"), sample, false);
  EXPECT_NEAR(stretched[0], 1.25 / 8.75, 0.003);  // a triangle that reaches to the middle of the other half
  const auto padded = Apply(*Make("pictures { height: 20 channels: 1 fit: PAD }"), sample, false);
  for (int64_t y = 0; y < 20; ++y) EXPECT_EQ(padded[static_cast<size_t>(y * 20 + 19)], y >= 5 && y < 15 ? 1 : 0) << y;
}

TEST(PictureTransform, MakesGreyOfColoursAndColoursOfGrey) {
  const Image grey = PatternImage(5, 5, 1, 1);
  const auto colours = Apply(*Make("pictures { height: 5 }"), EncodedSample(Png(grey)), false);
  for (size_t i = 0; i < grey.pixels.size(); ++i)
    for (size_t c = 0; c < 3; ++c) EXPECT_EQ(colours[i * 3 + c], Divided(grey.pixels)[i]);
}

TEST(PictureTransform, CutsAtRandomInTrainingAlone) {
  const Sample sample = EncodedSample(Png(PatternImage(40, 60, 1)));
  const auto cutting = Make("pictures { height: 16 } augment { random_resized_crop {} }");
  const auto plain = Make("pictures { height: 16 }");
  EXPECT_EQ(Apply(*cutting, sample, false), Apply(*plain, sample, true));
  EXPECT_NE(Apply(*cutting, sample, true, 0), Apply(*cutting, sample, true, 1));
  EXPECT_EQ(Apply(*cutting, sample, true, 1), Apply(*cutting, sample, true, 1));
}

TEST(PictureTransform, NamesTheFileThatIsDamaged) {
  const std::string png = Png(PatternImage(40, 60, 1));
  ExpectError(ErrorKind::kData, {"/folder/cat.png", "damaged or cut off"},
              [&] { Apply(*Make(""), EncodedSample(png.substr(0, png.size() / 2)), false); });
}

TEST(PictureTransform, RefusesWhatMakesNoSense) {
  const auto refuse = [&](const std::string& text, const std::vector<std::string>& parts,
                          const std::vector<Field>& fields = kFields) {
    ExpectError(ErrorKind::kUsage, parts, [&] { Make(text, fields); });
  };
  refuse("pictures { channels: 2 }", {"data.pictures.channels", "neither 1 nor 3"});
  refuse("pictures { height: 100000 }", {"data.pictures.height"});
  refuse("pictures { crop_share: 1.5 }", {"data.pictures.crop_share"});
  refuse("augment { random_resized_crop { min_area: 2 } }", {"random_resized_crop.min_area"});
  refuse("augment { color_jitter { hue: 0.7 } }", {"data.augment.color_jitter.hue", "0.7"});
  refuse("augment { rand_augment { magnitude: 31 } }", {"data.augment.rand_augment.magnitude"});
  const std::vector<Field> floats{{"image", DType::kF32, Shape{8, 6, 3}}};
  refuse("augment { color_jitter { hue: 0.1 } }", {"data.augment.color_jitter", "image f32 [8, 6, 3]"}, floats);
  refuse("augment { random_resized_crop {} }", {"data.augment.random_resized_crop"}, floats);
  refuse("pictures { height: 8 }", {"data.pictures", "no encoded pictures"}, floats);
}

}  // namespace
}  // namespace lockstep::data
