#include "data/batches/block_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/bfloat16.h"
#include "tests/data/batches/turned_images.h"

namespace lockstep::data {
namespace {

TEST(BlockReader, CutsTheSplitAndPadsTheLastBlock) {
  const auto dataset = MakeImages();
  const auto transform = MakeAugmenting();
  const auto blocks = std::make_shared<Blocks>(*dataset, *transform, std::vector<BatchShape>{{10, 0}});
  ASSERT_EQ(blocks->count(), 4);
  BlockReader reader(dataset, transform, blocks);
  Sample sample;
  std::vector<float> image(30);
  int32_t label = 0;
  std::byte* const pointers[] = {reinterpret_cast<std::byte*>(image.data()), reinterpret_cast<std::byte*>(&label)};
  for (int64_t block : {3, 0, 1, 2, 3}) {
    const LaneBatch& batch = reader.Read(block);
    EXPECT_EQ(batch.rows(), block == 3 ? 7 : 10);
    EXPECT_EQ(batch.samples.first_position, static_cast<uint64_t>(block * 10));
    const auto* images = reinterpret_cast<const float*>(batch.data[0]);
    const auto* labels = reinterpret_cast<const int32_t*>(batch.data[1]);
    const auto* mask = reinterpret_cast<const float*>(batch.data[2]);
    for (int64_t row = 0; row < 10; ++row) {
      const bool counts = row < batch.rows();
      if (counts) {
        dataset->Read(0, static_cast<uint64_t>(block * 10 + row), sample);
        transform->Apply(sample, 0, 0, /*augment=*/false, 0, pointers);
      } else {
        std::fill(image.begin(), image.end(), 0.0f);
        label = -1;
      }
      EXPECT_EQ(std::memcmp(images + row * 30, image.data(), 30 * sizeof(float)), 0) << block << " " << row;
      EXPECT_EQ(labels[row], label);
      EXPECT_EQ(mask[row], counts ? 1 : 0);
    }
  }
}

TEST(BlockReader, RoundsToo) {
  const auto dataset = MakeImages(5000);
  const auto transform = MakeAugmenting();
  const auto blocks = std::make_shared<Blocks>(*dataset, *transform, std::vector<BatchShape>{{3000, 0}});
  const std::array<std::string, 1> names = {"image"};
  BlockReader floats(dataset, transform, blocks), rounded(dataset, transform, blocks, names);
  for (int64_t block : {0, 1, 0}) {
    const LaneBatch &expected = floats.Read(block), &found = rounded.Read(block);
    ASSERT_EQ(found.fields[0].dtype, DType::kBF16);
    for (int64_t i = 0; i < expected.fields[0].shape.size(); ++i)
      ASSERT_EQ(reinterpret_cast<const BFloat16*>(found.data[0])[i].bits,
                BFloat16::From(reinterpret_cast<const float*>(expected.data[0])[i]).bits);
  }
}

}  // namespace
}  // namespace lockstep::data
