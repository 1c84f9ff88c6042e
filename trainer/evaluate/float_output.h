// An output of an evaluation program: floats, or of models that compute in bf16 half as many bits.
#pragma once

#include <cstddef>
#include <span>

#include "base/bfloat16.h"
#include "base/error.h"

namespace lockstep::evaluate {

class FloatOutput {
 public:
  /// REQUIRES: `bytes` are `count` values.
  FloatOutput(std::span<const std::byte> bytes, size_t count)
      : bytes_(bytes), half_(bytes.size() == count * sizeof(BFloat16)) {
    CHECK(half_ || bytes.size() == count * sizeof(float), "{} bytes of {} values", bytes.size(), count);
  }

  float operator[](size_t i) const {
    if (half_) return reinterpret_cast<const BFloat16*>(bytes_.data())[i].Float();
    return reinterpret_cast<const float*>(bytes_.data())[i];
  }

 private:
  std::span<const std::byte> bytes_;
  bool half_;
};

}  // namespace lockstep::evaluate
