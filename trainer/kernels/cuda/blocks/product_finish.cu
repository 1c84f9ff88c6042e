#include "trainer/kernels/cuda/blocks/product_finish.h"

#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

template <typename T>
struct FinishProduct {
  static constexpr int kThreads = 256;
  static constexpr int kEach = 16 / sizeof(T);

  const T* bias;
  T* y;
  int64_t size, columns;
  bool relu;

  LOCKSTEP_HD float Finish(float value, int64_t column) const {
    if (bias != nullptr) value += ToFloat(bias[column]);
    return relu ? kernels::Relu(value) : value;
  }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t begin = (block.index() * kThreads + t) * kEach;
      if (begin >= size) return;
      int64_t column = Divide(begin, columns).remainder;
      const auto next = [&] {
        const int64_t here = column;
        column = column + 1 == columns ? 0 : column + 1;
        return here;
      };
      if (begin + kEach <= size) {
        float values[kEach];
        LoadPack<kEach>(y + begin, values);
        LOCKSTEP_UNROLL
        for (int i = 0; i < kEach; ++i) values[i] = Finish(values[i], next());
        StorePack<kEach>(values, y + begin);
        return;
      }
      for (int64_t i = begin; i < size; ++i) y[i] = FromFloat<T>(Finish(ToFloat(y[i]), next()));
    });
  }
};

}  // namespace

void LaunchProductFinish(DeviceStream& stream, DType type, const void* bias, bool relu, void* y, int64_t rows,
                         int64_t columns) {
  WithElementType(type, [&]<typename T>(T) {
    using Kernel = FinishProduct<T>;
    const Kernel kernel{static_cast<const T*>(bias), static_cast<T*>(y), rows * columns, columns, relu};
    Launch(stream, BlocksFor(kernel.size, Kernel::kThreads, Kernel::kEach), kernel);
  });
}

}  // namespace lockstep::cuda
