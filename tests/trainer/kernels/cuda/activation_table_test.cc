// Looked up or worked out, an activation and its gradient have the same bits.
#include "trainer/kernels/cuda/activation_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/emulated_device.h"
#include "trainer/kernels/cuda/elementwise.h"

namespace lockstep::cuda {
namespace {

using graph::Activation;

constexpr size_t kAll = 1 << 16;

/// Every bf16 beside neighbours of other sizes, and some more behind the last pack.
std::vector<BFloat16> Elements() {
  std::vector<BFloat16> elements;
  for (size_t i = 0; i < kAll + 5; ++i) elements.push_back({static_cast<uint16_t>(i * 40503 % kAll)});
  return elements;
}

/// All packs within the table, from the least of it to the greatest.
std::vector<BFloat16> ElementsOfTheTable() {
  std::vector<BFloat16> elements;
  for (uint32_t i = 0; i < TablePlace::kEntries; ++i)
    elements.push_back(BFloat16::From(TablePlace::Element(i * 1237 % TablePlace::kEntries)));
  return elements;
}

/// What is to be found, worked out by the kernel for few elements: denormals are flushed there too.
template <Activation kKind>
struct Function {
  float operator()(float v) const { return Activate<kKind>(v); }
  float operator()(float dy, float v) const { return ActivateGradient<kKind>(dy, v); }
};

template <Activation kKind, bool kGradient>
void ExpectTheFunctionsBits(const std::vector<BFloat16>& v) {
  const auto size = static_cast<int64_t>(v.size());
  std::vector<BFloat16> dy(v.size()), y(v.size()), expected(v.size());
  for (size_t i = 0; i < v.size(); ++i) dy[i] = BFloat16::From(static_cast<float>(i % 301) / 97.0f - 1.5f);
  const auto device = MakeEmulatedDevice();
  const auto stream = device->MakeStream();
  if constexpr (kGradient) {
    LaunchMap(*stream, Function<kKind>{}, dy.data(), v.data(), expected.data(), size);
  } else {
    LaunchMap(*stream, Function<kKind>{}, v.data(), expected.data(), size);
  }
  for (const int rounds : {1, 3}) {
    using Kernel = TabulatedActivation<kKind, kGradient>;
    Launch(*stream, BlocksFor(size, Kernel::kThreads, Kernel::kEach * rounds),
           Kernel{kGradient ? dy.data() : nullptr, v.data(), y.data(), size, rounds});
    stream->Synchronize();
    for (size_t i = 0; i < v.size(); ++i) ASSERT_EQ(y[i].bits, expected[i].bits) << v[i].Float() << ", element " << i;
  }
}

template <Activation kKind>
void ExpectTheFunctionsBits() {
  for (const auto& elements : {Elements(), ElementsOfTheTable()}) {
    ExpectTheFunctionsBits<kKind, false>(elements);
    ExpectTheFunctionsBits<kKind, true>(elements);
  }
}

TEST(ActivationTable, HasTheBitsOfGelu) { ExpectTheFunctionsBits<Activation::kGelu>(); }
TEST(ActivationTable, HasTheBitsOfGeluByTanh) { ExpectTheFunctionsBits<Activation::kGeluTanh>(); }
TEST(ActivationTable, HasTheBitsOfSilu) { ExpectTheFunctionsBits<Activation::kSilu>(); }

TEST(ActivationTable, HoldsWhatLiesBetweenItsEnds) {
  for (uint32_t bits = 0; bits < kAll; ++bits) {
    const TablePlace place(bits);
    const float element = BFloat16{static_cast<uint16_t>(bits)}.Float(), size = std::abs(element);
    const bool inside = size >= 0x1p-12f && size < 0x1p4f;
    ASSERT_EQ((place.offset & TablePlace::kOutside) == 0, inside) << element;
    ASSERT_LT(place.entry(), TablePlace::kEntries);
    if (inside) {
      ASSERT_EQ(TablePlace::Element(place.entry()), element);
    }
  }
}

}  // namespace
}  // namespace lockstep::cuda
