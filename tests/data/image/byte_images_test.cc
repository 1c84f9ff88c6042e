// Images as bytes, for devices that normalise them: with what the transform says of them they become, bit for bit, what
// it makes of them itself.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "base/philox.h"
#include "data/image/image.h"
#include "data/open/make_transform.h"
#include "tests/data/image/expected_images.h"
#include "tests/data/pictures/picture_test_files.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

const std::vector<Field> kColours{{"image", DType::kU8, Shape{12, 10, 3}}, {"label", DType::kI32, Shape{}}};

std::unique_ptr<Transform> Make(const std::string& text, const std::vector<Field>& fields = kColours) {
  DataConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return MakeTransform(fields, config, 1);
}

Sample ColourSample(uint64_t id) {
  Sample sample;
  std::vector<uint8_t> pixels(360);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(Mix64(id * 1000 + i));
  const auto label = static_cast<int32_t>(id % 2);
  sample.tensors.resize(2);
  sample.tensors[0].Assign(std::span<const uint8_t>(pixels));
  sample.tensors[1].Assign(std::span(&label, 1));
  return sample;
}

/// A row of each field.
std::vector<std::vector<std::byte>> Apply(const Transform& transform, const Sample& sample, uint64_t id, bool augment) {
  std::vector<std::vector<std::byte>> fields;
  std::vector<std::byte*> rows;
  for (const Field& field : transform.fields())
    fields.emplace_back(static_cast<size_t>(field.shape.size() * SizeOf(field.dtype)), std::byte{0xee});
  for (auto& field : fields) rows.push_back(field.data());
  transform.Apply(sample, 3, id, augment, 0, rows);
  return fields;
}

std::vector<std::byte> Normalised(const Transform& bytes, const std::vector<std::vector<std::byte>>& fields) {
  std::array<int32_t, 4> inside{};
  for (size_t i = 0; i < fields.size(); ++i)
    if (bytes.fields()[i].name == kFilledField) std::memcpy(inside.data(), fields[i].data(), sizeof inside);
  const Shape& shape = bytes.fields()[0].shape;
  std::vector<float> floats(static_cast<size_t>(shape.size()));
  for (int64_t i = 0; i < shape.size(); ++i) {
    const int64_t channel = i % shape[2], column = i / shape[2] % shape[1], row = i / shape[2] / shape[1];
    if (row < inside[0] || column < inside[1] || row >= inside[2] || column >= inside[3]) continue;
    const auto byte = static_cast<float>(static_cast<uint8_t>(fields[0][static_cast<size_t>(i)]));
    floats[static_cast<size_t>(i)] = bytes.normalizer()->Of(byte, static_cast<size_t>(channel));
  }
  const auto all = std::as_bytes(std::span(floats));
  return {all.begin(), all.end()};
}

/// Samples 0 to 39, augmented and as they are.
template <typename MakeSample>
void ExpectSame(const Transform& floats, const MakeSample& make_sample) {
  EXPECT_EQ(floats.normalizer(), nullptr);
  const std::unique_ptr<Transform> bytes = floats.AsBytes();
  ASSERT_NE(bytes, nullptr);
  ASSERT_NE(bytes->normalizer(), nullptr);
  EXPECT_EQ(bytes->fields()[0].dtype, DType::kU8);
  EXPECT_EQ(bytes->fields()[0].shape, floats.fields()[0].shape);
  for (uint64_t id = 0; id < 40; ++id) {
    const Sample sample = make_sample(id);
    for (const bool augment : {false, true}) {
      const auto expected = Apply(floats, sample, id, augment), found = Apply(*bytes, sample, id, augment);
      EXPECT_EQ(Normalised(*bytes, found), expected[0]) << "sample " << id << (augment ? ", augmented" : "");
      for (size_t i = 1; i < expected.size(); ++i) {
        for (size_t k = 1; k < found.size(); ++k) {
          if (floats.fields()[i].name == bytes->fields()[k].name) {
            EXPECT_EQ(found[k], expected[i]);
          }
        }
      }
    }
  }
}

constexpr char kNormalize[] = "normalize { mean: [0.49, 0.48, 0.44] deviation: [0.247, 0.244, 0.262] } ";

TEST(ByteImages, BecomeTheFloatsThatTheyAre) {
  for (const char* augment :
       {"", "augment { flip: true }", "augment { shift: 3 }", "augment { shift: 9 flip: true }",
        "augment { random_resized_crop {} flip: true }",
        "augment { color_jitter { hue: 0.2 brightness: 0.3 } rand_augment {} shift: 2 flip: true }",
        "augment { shift: 2 } class_weights { values: [1, 3] }"}) {
    SCOPED_TRACE(augment);
    ExpectSame(*Make(std::string(kNormalize) + augment), ColourSample);
  }
}

TEST(ByteImages, OfPicturesToo) {
  const std::vector<Field> encoded{
      {"encoded", DType::kU8, Shape{-1}}, {"name", DType::kU8, Shape{-1}}, {"label", DType::kI32, Shape{}}};
  const std::string file = Png(PatternImage(30, 20, 1)), name = "a.png";
  const auto picture = [&](uint64_t) {
    Sample sample = ColourSample(1);
    sample.tensors.resize(3);
    sample.tensors[2] = sample.tensors[1];
    sample.tensors[0].Assign(std::span<const char>(file));
    sample.tensors[1].Assign(std::span<const char>(name));
    return sample;
  };
  for (const char* fit : {"", "fit: PAD"})
    ExpectSame(
        *Make(kNormalize + fmt::format("pictures {{ height: 9 width: 11 {} }} augment {{ shift: 2 }}", fit), encoded),
        picture);
}

TEST(ByteImages, WhereValuesAreNoBytesThereAreNone) {
  EXPECT_EQ(Make(std::string(kNormalize) + "augment { mixup {} }")->AsBytes(), nullptr) << "blends normalised values";
  EXPECT_EQ(Make("", {{"image", DType::kF32, Shape{4, 4, 1}}, {"label", DType::kI32, Shape{}}})->AsBytes(), nullptr);
  EXPECT_EQ(Make("", {{"features", DType::kU8, Shape{4}}, {"label", DType::kI32, Shape{}}})->AsBytes(), nullptr);
  EXPECT_EQ(Make("", {{"tokens", DType::kI32, Shape{4}}, {"label", DType::kI32, Shape{4}}})->AsBytes(), nullptr);
}

}  // namespace
}  // namespace lockstep::data
