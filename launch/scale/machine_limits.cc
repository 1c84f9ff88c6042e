#include "launch/scale/machine_limits.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/memory.h"
#include "base/threads.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/graph/builder.h"
#include "trainer/infer/inference_program.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep::launch {
namespace {

using Clock = std::chrono::steady_clock;

/// Units a second of the best round: in each, every thread does its work once, and all wait for each other.
double BestRate(int threads, double seconds, double units, const std::function<std::function<void()>()>& make_work) {
  double best = 0;
  bool over = false;
  Clock::time_point begin;
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  int round = 0;
  std::barrier turn(threads, [&]() noexcept {
    const Clock::time_point now = Clock::now();
    // The first rounds make memory and caches ready.
    constexpr int kWarmUp = 2;
    if (round++ > kWarmUp) best = std::max(best, units * threads / std::chrono::duration<double>(now - begin).count());
    over = now > end && round > 2 * kWarmUp;
    begin = now;
  });
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i)
    workers.push_back(StartThread("limits", [&] {
      PrepareComputeThread(1, "limits");
      const std::function<void()> work = make_work();
      while (!over) {
        work();
        turn.arrive_and_wait();
      }
    }));
  for (std::thread& worker : workers) worker.join();
  return best;
}

}  // namespace

double MeasureMatrixRate(int threads, double seconds) {
  constexpr int64_t kSide = 1024;
  const auto make_work = [] {
    graph::Builder builder(graph::Mode::kInfer, kSide);
    const graph::ValueId x = builder.Input("x", {kSide}, DType::kF32);
    builder.Output("y", builder.Linear(x, "fc", kSide, /*bias=*/false, {}));
    struct Work {
      std::shared_ptr<engine::Backend> backend;
      std::unique_ptr<engine::ParameterLayout> layout;
      Buffer arena;
      std::unique_ptr<infer::InferenceProgram> program;
    };
    auto work = std::make_shared<Work>();
    work->backend = MakeOneDnnBackend({.lane_threads = 1});
    const graph::Graph graph = builder.Finish();
    work->layout = std::make_unique<engine::ParameterLayout>(graph);
    work->arena = Buffer(static_cast<size_t>(work->layout->elements()) * sizeof(float));
    std::fill_n(work->arena.As<float>().data(), work->layout->elements(), 0.5f);
    work->program = std::make_unique<infer::InferenceProgram>(
        graph, infer::Weights{*work->layout, *work->backend, work->arena.As<float>().data()});
    for (float& value : work->program->Input<float>("x")) value = 0.25f;
    return std::function<void()>([work] { work->program->Run(); });
  };
  return BestRate(threads, seconds, 2e-9 * kSide * kSide * kSide, make_work);
}

double MeasureCopyRate(int threads, double seconds) {
  constexpr size_t kBytes = size_t{64} << 20;
  const auto make_work = [] {
    struct Work {
      Buffer from = Buffer(kBytes), to = Buffer(kBytes);
    };
    auto work = std::make_shared<Work>();
    std::memset(work->from.data(), 1, kBytes);
    std::memset(work->to.data(), 2, kBytes);
    return std::function<void()>([work] { std::memcpy(work->to.data(), work->from.data(), kBytes); });
  };
  return BestRate(threads, seconds, 2e-9 * static_cast<double>(kBytes), make_work);
}

}  // namespace lockstep::launch
