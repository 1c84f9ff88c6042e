// Loops over elements: each thread does a pack of 16 bytes, the last ones what is left over.
#pragma once

#include <cstdint>

#include "base/bfloat16.h"
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"

namespace lockstep::cuda {

/// y[i] = f(x[i]...) for i < size, all of type T, computed in float. y may be the same address as an x.
template <typename T, typename F, int kInputs>
struct MapElements {
  static constexpr int kThreads = 256;
  static constexpr int kEach = 16 / sizeof(T);

  F f;
  const T* x[kInputs];
  T* y;
  int64_t size;

  LOCKSTEP_HD float Apply(const float* values) const {
    if constexpr (kInputs == 1) {
      return f(values[0]);
    } else {
      return f(values[0], values[1]);
    }
  }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t begin = (block.index() * kThreads + t) * kEach;
      if (begin + kEach <= size) {
        float in[kInputs][kEach], out[kEach];
        LOCKSTEP_UNROLL
        for (int k = 0; k < kInputs; ++k) LoadPack<kEach>(x[k] + begin, in[k]);
        LOCKSTEP_UNROLL
        for (int i = 0; i < kEach; ++i) {
          float values[kInputs];
          LOCKSTEP_UNROLL
          for (int k = 0; k < kInputs; ++k) values[k] = in[k][i];
          out[i] = Apply(values);
        }
        StorePack<kEach>(out, y + begin);
        return;
      }
      for (int64_t i = begin; i < size; ++i) {
        float values[kInputs];
        LOCKSTEP_UNROLL
        for (int k = 0; k < kInputs; ++k) values[k] = ToFloat(x[k][i]);
        y[i] = FromFloat<T>(Apply(values));
      }
    });
  }
};

template <typename T, typename F>
void LaunchMap(DeviceStream& stream, const F& f, const T* x, T* y, int64_t size) {
  using Kernel = MapElements<T, F, 1>;
  Launch(stream, BlocksFor(size, Kernel::kThreads, Kernel::kEach), Kernel{f, {x}, y, size});
}

template <typename T, typename F>
void LaunchMap(DeviceStream& stream, const F& f, const T* a, const T* b, T* y, int64_t size) {
  using Kernel = MapElements<T, F, 2>;
  Launch(stream, BlocksFor(size, Kernel::kThreads, Kernel::kEach), Kernel{f, {a, b}, y, size});
}

}  // namespace lockstep::cuda
