// What the tests of gradient kernels share: an emulated device with values in its memory, and numbers that tell one
// order of summation from another.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/emulated_device.h"
#include "base/threads.h"
#include "trainer/kernels/cuda/gradient_kernels.h"

namespace lockstep::cuda {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Numbers whose sums depend on the order and on what happens to denormals: magnitudes over twelve decades, some that
/// are denormal or whose products are, zeros of both signs.
inline std::vector<float> RandomValues(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> exponent(-6, 6);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    const float value = normal(random);
    switch (random() % 16) {
      case 0:
        values[i] = std::bit_cast<float>(static_cast<uint32_t>(random()) & 0x807FFFFFu);  // denormal
        break;
      case 1:
        values[i] = value * std::numeric_limits<float>::min();
        break;
      case 2:
        values[i] = std::copysign(0.0f, value);
        break;
      default:
        values[i] = value * std::pow(10.0f, exponent(random));
    }
  }
  return values;
}

class GradientKernelsTest : public testing::Test {
 protected:
  GradientKernelsTest() { PrepareComputeThread(1, "test"); }

  /// Memory of the device with `values` in it; an emulated device's memory is the host's.
  template <typename T>
  T* Put(const std::vector<T>& values) {
    memory_.push_back(device_->Allocate(values.size() * sizeof(T), "values"));
    std::copy(values.begin(), values.end(), memory_.back()->As<T>());
    return memory_.back()->As<T>();
  }
  float* PutNothing(int64_t count) { return Put(std::vector<float>(static_cast<size_t>(count), kNan)); }

  std::unique_ptr<Device> device_ = MakeEmulatedDevice();
  std::vector<std::unique_ptr<DeviceMemory>> memory_;
  std::unique_ptr<DeviceStream> stream_ = device_->MakeStream();
  std::unique_ptr<optim::GradientKernels> kernels_ = MakeGradientKernels();
};

inline void ExpectSameBits(const float* values, const float* expected, int64_t count, const std::string& what) {
  if (std::memcmp(values, expected, static_cast<size_t>(count) * sizeof(float)) == 0) return;
  for (int64_t i = 0; i < count; ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected[i]))
        << what << ", element " << i << ": " << values[i] << " instead of " << expected[i];
  }
}

}  // namespace lockstep::cuda
