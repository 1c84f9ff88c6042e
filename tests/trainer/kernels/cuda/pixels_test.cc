// What becomes of bytes on a device is what becomes of them on the host, bit for bit.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>

#include "base/bfloat16.h"
#include "data/transform.h"
#include "tests/trainer/kernels/cuda/emulated_backend.h"
#include "tests/trainer/kernels/op_runner.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

// An image has every byte in each of its channels.
constexpr int64_t kSide = 16;

const data::Normalizer kNormalizers[] = {
    {1 / 255.0f, {0, 0, 0}, {1, 1, 1}},
    {1 / 255.0f, {0.492799f, 0.482988f, 0.447011f}, {0.247425f, 0.244119f, 0.262054f}},
    {0.0625f, {0.5f}, {3}},
    {1, {123.675f, 116.28f, 103.53f}, {58.395f, 57.12f, 57.375f}},
    {1e-3f, {-7, 1e4f, 0.1f}, {1e-4f, 1e5f, 7}},
    {-0.3f, {0.1f, 0.2f, 0.3f, 0.4f, 0.5f}, {0.7f, 0.9f, 1.1f, 1.3f, 1.7f}},
};

/// What the device makes of images of all bytes.
std::vector<std::byte> Convert(const data::Normalizer& normalizer, DType type) {
  const auto channels = static_cast<int64_t>(normalizer.mean.size());
  graph::PixelsAttributes attributes{.scale = normalizer.scale};
  std::ranges::copy(normalizer.mean, attributes.mean.begin());
  std::ranges::copy(normalizer.deviation, attributes.deviation.begin());
  const OpCase op_case{"", {Bytes({1, kSide, kSide, channels}), Given({1, 4}, {0, 0, kSide, kSide})}, attributes, {}};
  Instance instance = MakeInstance(graph::OpKind::kPixels, op_case, type);
  for (size_t i = 0; i < instance.inputs[0].data.size(); ++i)
    instance.inputs[0].data[i] = static_cast<double>(i / static_cast<size_t>(channels));
  const auto backend = cuda::MakeEmulatedBackend();
  return OpRunner(*backend, instance, {}).Run()[0];
}

TEST(Pixels, EveryByteBecomesTheHostsFloat) {
  for (const data::Normalizer& normalizer : kNormalizers) {
    const std::vector<std::byte> result = Convert(normalizer, DType::kF32);
    const size_t channels = normalizer.mean.size();
    ASSERT_EQ(result.size(), 256 * channels * sizeof(float));
    for (size_t i = 0; i < 256 * channels; ++i) {
      uint32_t bits = 0;
      std::memcpy(&bits, result.data() + i * sizeof bits, sizeof bits);
      const float host = normalizer.Of(static_cast<float>(i / channels), i % channels);
      ASSERT_EQ(bits, std::bit_cast<uint32_t>(host)) << "byte " << i / channels << " by scale " << normalizer.scale;
    }
  }
}

TEST(Pixels, OrThatFloatRounded) {
  for (const data::Normalizer& normalizer : kNormalizers) {
    const std::vector<std::byte> result = Convert(normalizer, DType::kBF16);
    const size_t channels = normalizer.mean.size();
    ASSERT_EQ(result.size(), 256 * channels * sizeof(BFloat16));
    for (size_t i = 0; i < 256 * channels; ++i) {
      uint16_t bits = 0;
      std::memcpy(&bits, result.data() + i * sizeof bits, sizeof bits);
      ASSERT_EQ(bits, BFloat16::From(normalizer.Of(static_cast<float>(i / channels), i % channels)).bits);
    }
  }
}

}  // namespace
}  // namespace lockstep::conformance
