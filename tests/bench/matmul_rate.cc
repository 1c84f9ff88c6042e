// The machine's limit that the speed table sets its figures beside: the best rate of f32 matrix products by oneDNN on
// one thread, over some sizes, with plain weights (dnnl_sgemm) and with weights in the layout that the library likes
// best. Prints GFLOP/s, one line per size and the best of all last. Pin it to a core: taskset -c 0 matmul_rate
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <oneapi/dnnl/dnnl.hpp>
#include <span>

#include "base/memory.h"
#include "trainer/kernels/onednn/primitives.h"

namespace {

using dnnl::memory;
using lockstep::Buffer;

struct Size {
  int64_t m, n, k;
};

constexpr Size kSizes[] = {{256, 512, 512}, {512, 512, 512}, {1024, 1024, 1024}, {1024, 3072, 768}};
constexpr double kSecondsPerSize = 0.3;

/// Floats in (-1, 1): no denormals, no sparsity.
Buffer Numbers(int64_t count) {
  Buffer buffer(static_cast<size_t>(count) * sizeof(float));
  uint32_t state = 1;
  for (float& value : buffer.As<float>()) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
  }
  return buffer;
}

/// GFLOP/s of the fastest run: a limit is what the machine can do undisturbed.
template <typename Work>
double BestRate(const Size& size, const Work& work) {
  const double gflop = 2e-9 * static_cast<double>(size.m * size.n * size.k);
  double best = 0, spent = 0;
  work();
  for (int runs = 0; runs < 5 || spent < kSecondsPerSize; ++runs) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, gflop / seconds);
    spent += seconds;
  }
  return best;
}

double PlainRate(const Size& size, const Buffer& a, const Buffer& b, const Buffer& c) {
  return BestRate(size, [&] {
    dnnl_sgemm('N', 'N', size.m, size.n, size.k, 1, a.As<float>().data(), size.k, b.As<float>().data(), size.n, 0,
               c.As<float>().data(), size.n);
  });
}

double PackedRate(const Size& size, const Buffer& a, const Buffer& b, const Buffer& c) {
  using lockstep::onednn::CpuEngine;
  using lockstep::onednn::MemoryAt;
  const auto f32 = memory::data_type::f32;
  const memory::desc a_desc({size.m, size.k}, f32, memory::format_tag::ab);
  const memory::desc b_desc({size.k, size.n}, f32, memory::format_tag::ab);
  const memory::desc any_desc({size.k, size.n}, f32, memory::format_tag::any);
  const memory::desc c_desc({size.m, size.n}, f32, memory::format_tag::ab);
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a_desc, any_desc, c_desc),
                                                 lockstep::onednn::UserScratchpad(), CpuEngine());
  const Buffer packed(description.weights_desc().get_size());
  const Buffer scratchpad(description.scratchpad_desc().get_size());
  const memory packed_memory = MemoryAt(description.weights_desc(), packed.data());
  lockstep::onednn::PrepareReorder(MemoryAt(b_desc, b.data()), packed_memory).Run();
  lockstep::onednn::PreparedPrimitive product(
      dnnl::matmul(description), {{DNNL_ARG_SRC, MemoryAt(a_desc, a.data())},
                                  {DNNL_ARG_WEIGHTS, packed_memory},
                                  {DNNL_ARG_DST, MemoryAt(c_desc, c.data())},
                                  {DNNL_ARG_SCRATCHPAD, MemoryAt(description.scratchpad_desc(), scratchpad.data())}});
  return BestRate(size, [&] { product.Run(); });
}

}  // namespace

int main() {
  omp_set_num_threads(1);
  double best = 0;
  for (const Size& size : kSizes) {
    const Buffer a = Numbers(size.m * size.k), b = Numbers(size.k * size.n), c = Numbers(size.m * size.n);
    const double plain = PlainRate(size, a, b, c), packed = PackedRate(size, a, b, c);
    std::printf("%ldx%ldx%ld plain %.1f packed %.1f\n", size.m, size.k, size.n, plain, packed);
    best = std::max({best, plain, packed});
  }
  std::printf("best %.1f\n", best);
  return 0;
}
