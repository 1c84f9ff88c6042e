#include "data/open/make_transform.h"
#include "data/transform.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <map>

#include "data/image/augment.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

DataConfig Config(const std::string& text) {
  DataConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

std::vector<Field> Fields(const char* name, DType dtype, Shape shape) {
  return {{name, dtype, shape}, {"label", DType::kI32, Shape{}}};
}

Sample MakeSample(const Field& field, int32_t label) {
  Sample sample;
  sample.tensors.resize(2);
  sample.tensors[0].shape = field.shape;
  const auto count = static_cast<size_t>(field.shape.size());
  sample.tensors[0].bytes.resize(count * static_cast<size_t>(SizeOf(field.dtype)));
  for (size_t i = 0; i < count; ++i) {
    const auto value = static_cast<uint8_t>(Pattern(count)[i] | 1);  // never 0: that is padding
    if (field.dtype == DType::kU8) {
      sample.tensors[0].As<uint8_t>()[i] = value;
    } else {
      sample.tensors[0].As<float>()[i] = static_cast<float>(value) * 0.37f;
    }
  }
  sample.tensors[1].bytes.resize(4);
  sample.tensors[1].As<int32_t>()[0] = label;
  return sample;
}

struct Result {
  std::vector<float> input;
  int32_t label = 0;
};

Result Apply(const Transform& transform, const Sample& sample, uint64_t epoch, uint64_t id, bool augment) {
  Result result;
  result.input.assign(static_cast<size_t>(transform.fields()[0].shape.size()), -999);
  std::byte* const rows[] = {reinterpret_cast<std::byte*>(result.input.data()),
                             reinterpret_cast<std::byte*>(&result.label)};
  transform.Apply(sample, epoch, id, augment, 0, rows);
  return result;
}

float InputAt(const Sample& sample, DType dtype, int64_t i) {
  const auto at = static_cast<size_t>(i);
  return dtype == DType::kU8 ? static_cast<float>(sample.tensors[0].As<uint8_t>()[at])
                             : sample.tensors[0].As<float>()[at];
}

TEST(Transform, ScalesBytesAndLeavesFloatsByDefault) {
  for (DType dtype : {DType::kU8, DType::kF32}) {
    const auto fields = Fields("image", dtype, {4, 3, 2});
    const auto transform = MakeTransform(fields, Config(""), 1);
    EXPECT_EQ(transform->fields()[0].dtype, DType::kF32);
    EXPECT_EQ(transform->fields()[0].shape, (Shape{4, 3, 2}));
    const Sample sample = MakeSample(fields[0], 7);
    const Result result = Apply(*transform, sample, 0, 0, true);
    EXPECT_EQ(result.label, 7);
    const float scale = dtype == DType::kU8 ? static_cast<float>(1.0 / 255) : 1;
    for (int64_t i = 0; i < 24; ++i) EXPECT_EQ(result.input[static_cast<size_t>(i)], InputAt(sample, dtype, i) * scale);
  }
}

// The naive double loop that augmentation is compared with: pad, cut, mirror, one value at a time.
std::vector<float> Naive(const Sample& sample, DType dtype, const Shape& shape, float scale,
                         const std::vector<float>& mean, const std::vector<float>& deviation,
                         const Placement& placement) {
  const int64_t height = shape[0], width = shape[1], channels = shape[2];
  std::vector<float> output;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t from_y = y + placement.down;
      const int64_t from_x = (placement.mirror ? width - 1 - x : x) + placement.right;
      const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
      for (int64_t c = 0; c < channels; ++c) {
        const auto channel = static_cast<size_t>(c);
        output.push_back(
            !inside ? 0
                    : (InputAt(sample, dtype, (from_y * width + from_x) * channels + c) * scale - mean[channel]) /
                          deviation[channel]);
      }
    }
  }
  return output;
}

TEST(Transform, EveryPlacementEqualsTheNaiveLoop) {
  for (DType dtype : {DType::kU8, DType::kF32}) {
    for (const Shape& shape : {Shape{5, 4, 1}, Shape{4, 7, 3}, Shape{6, 6, 2}, Shape{1, 1, 5}}) {
      const Field field{"image", dtype, shape};
      const Sample sample = MakeSample(field, 0);
      Normalizer normalizer{0.01f, {}, {}};
      for (int64_t c = 0; c < shape[2]; ++c) {
        normalizer.mean.push_back(0.3f + 0.1f * static_cast<float>(c));
        normalizer.deviation.push_back(0.2f + 0.05f * static_cast<float>(c));
      }
      const auto table = ByteTable(normalizer);
      for (int down = -static_cast<int>(shape[0]); down <= shape[0]; ++down) {
        for (int right = -static_cast<int>(shape[1]); right <= shape[1]; ++right) {
          for (bool mirror : {false, true}) {
            const Placement placement{down, right, mirror};
            std::vector<float> output(static_cast<size_t>(shape.size()), -999);
            if (dtype == DType::kU8) {
              PlaceBytes(sample.tensors[0].As<uint8_t>(), shape, table, placement, output.data());
            } else {
              PlaceFloats(sample.tensors[0].As<float>(), shape, normalizer, placement, output.data());
            }
            ASSERT_EQ(output,
                      Naive(sample, dtype, shape, normalizer.scale, normalizer.mean, normalizer.deviation, placement))
                << shape.ToString() << down << " " << right << " " << mirror;
          }
        }
      }
    }
  }
}

TEST(Transform, DrawsAllShiftsAndMirrorsEquallyOften) {
  constexpr int kDraws = 30000;
  std::map<int, int> down, right;
  int mirrored = 0;
  for (uint64_t id = 0; id < kDraws; ++id) {
    const Placement placement = DrawPlacement({1, 0, 2, id}, 2, true);
    ++down[placement.down];
    ++right[placement.right];
    mirrored += placement.mirror;
  }
  for (const auto& counts : {down, right}) {
    ASSERT_EQ(counts.size(), 5u);
    for (const auto& [shift, count] : counts) {
      EXPECT_LE(std::abs(shift), 2);
      EXPECT_NEAR(count, kDraws / 5, 400);
    }
  }
  EXPECT_NEAR(mirrored, kDraws / 2, 500);
}

TEST(Transform, AugmentationIsAFunctionOfSeedEpochAndId) {
  const auto fields = Fields("image", DType::kU8, {8, 8, 3});
  const auto transform = MakeTransform(fields, Config("augment { shift: 3 flip: true } normalize { mean: 0.5 }"), 1);
  const auto reseeded = MakeTransform(fields, Config("augment { shift: 3 flip: true } normalize { mean: 0.5 }"), 2);
  const Sample sample = MakeSample(fields[0], 0);
  const auto plain = Apply(*transform, sample, 0, 0, /*augment=*/false).input;
  int other_epoch = 0, other_id = 0, other_seed = 0, unchanged = 0;
  for (uint64_t id = 0; id < 200; ++id) {
    const auto image = Apply(*transform, sample, 5, id, true).input;
    EXPECT_EQ(image, Apply(*transform, sample, 5, id, true).input);
    other_epoch += image != Apply(*transform, sample, 6, id, true).input;
    other_id += image != Apply(*transform, sample, 5, id + 1000, true).input;
    other_seed += image != Apply(*reseeded, sample, 5, id, true).input;
    unchanged += image == plain;
    EXPECT_EQ(plain, Apply(*transform, sample, 5, id, /*augment=*/false).input);
  }
  // One in 98 is equal by chance.
  EXPECT_GT(other_epoch, 180);
  EXPECT_GT(other_id, 180);
  EXPECT_GT(other_seed, 180);
  EXPECT_LT(unchanged, 20);
}

TEST(Transform, NormalisesFeaturesByColumn) {
  const auto fields = Fields("features", DType::kF32, {3});
  const Sample sample = MakeSample(fields[0], 0);
  const auto transform = MakeTransform(fields, Config("normalize { scale: 2 mean: [1, 2, 3] deviation: 4 }"), 1);
  const auto output = Apply(*transform, sample, 0, 0, true).input;
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(output[static_cast<size_t>(i)], (InputAt(sample, DType::kF32, i) * 2 - static_cast<float>(i + 1)) / 4);
  }
}

TEST(Transform, NamesWhatDoesNotFit) {
  const auto refuse = [](const char* name, Shape shape, const std::string& config,
                         const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kUsage, parts, [&] { MakeTransform(Fields(name, DType::kF32, shape), Config(config), 1); });
  };
  refuse("image", {4, 4, 3}, "normalize { mean: [1, 2] }",
         {"data.normalize.mean: 2 values for 3 channels", "one for all"});
  refuse("image", {4, 4, 3}, "normalize { deviation: [1, 2, 0] }", {"data.normalize.deviation", "above 0"});
  refuse("image", {4, 4, 3}, "normalize { deviation: nan }", {"data.normalize.deviation", "finite"});
  refuse("image", {4, 4, 3}, "normalize { scale: inf }", {"data.normalize.scale"});
  refuse("image", {4, 9, 3}, "augment { shift: 4 }", {"data.augment.shift", "0 to 3"});
  refuse("features", {4}, "augment { flip: true }", {"data.augment", "only images"});
}

}  // namespace
}  // namespace lockstep::data
