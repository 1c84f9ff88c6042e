#include "launch/estimate/time_updates.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <google/protobuf/text_format.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/lane_tree.h"
#include "base/memory.h"
#include "base/threads.h"
#include "comm/slice_sum.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::launch {
namespace {

using Clock = std::chrono::steady_clock;

// By how many arrays of state they keep.
constexpr const char* kRules[] = {"sgd {}", "sgd { momentum: 0.9 }", "adamw {}", "adamw {} ema_decay: 0.99"};
constexpr int64_t kSizes[] = {16 * kChunkElements, 256 * kChunkElements, 2048 * kChunkElements};  // 0.25 to 32 MiB
constexpr int kAddends[] = {1, 4};

/// One thread's arrays, and an update of all of them as a rank does it: chunk by chunk.
class Update {
 public:
  Update(const optim::OptimizerConfig& config, int64_t elements, int pieces)
      : optimizer_(config, {{.begin = 0, .end = elements, .weight_decay = 0.01f}},
                   {.total_steps = 1000, .steps_per_epoch = 100}, pieces),
        elements_(elements) {
    const auto array = [&](float value) -> float* {
      arrays_.emplace_back(static_cast<size_t>(elements) * sizeof(float));
      std::fill_n(arrays_.back().As<float>().data(), elements, value);
      return arrays_.back().As<float>().data();
    };
    weights_ = array(0.5f);
    for (size_t k = 0; k < optimizer_.state_names().size(); ++k) state_.push_back(array(0.01f));
    std::vector<const float*> addends;
    std::vector<LaneRange> nodes;
    for (int i = 0; i < pieces; ++i) {
      addends.push_back(array(0.01f));
      nodes.push_back({i, i + 1});
    }
    sum_ = std::make_unique<comm::SliceSum>(std::move(addends), LaneSumOrder(pieces, {0, pieces}, nodes));
  }

  int state_arrays() const { return static_cast<int>(state_.size()); }
  void Run() {
    alignas(64) float gradient[kChunkElements];
    for (int64_t at = 0; at < elements_; at += kChunkElements) {
      sum_->Evaluate(at, gradient);
      optim::Optimizer::Slice slice{.begin = at, .gradient = gradient, .weights = weights_ + at, .state = {}};
      for (float* array : state_) slice.state.push_back(array + at);
      optimizer_.Update(step_, step_, 1.0f, slice);
    }
    ++step_;
  }

 private:
  optim::Optimizer optimizer_;
  int64_t elements_;
  std::vector<Buffer> arrays_;
  float* weights_ = nullptr;
  std::vector<float*> state_;
  std::unique_ptr<comm::SliceSum> sum_;
  uint64_t step_ = 0;
};

optim::OptimizerConfig ConfigOf(const char* rule) {
  optim::OptimizerConfig config;
  CHECK(google::protobuf::TextFormat::ParseFromString(std::string(rule) + " learning_rate: 1e-3", &config));
  return config;
}

/// Seconds of an update, the lower quartile of all threads' in `seconds`.
TimedOp TimeUpdate(const optim::OptimizerConfig& config, int64_t elements, int pieces, int threads, double seconds) {
  std::vector<std::vector<double>> times(static_cast<size_t>(threads));
  int state_arrays = 0;
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i)
    workers.push_back(StartThread("updates", [&, i] {
      PrepareComputeThread(1, "updates");
      Update update(config, elements, pieces);
      if (i == 0) state_arrays = update.state_arrays();
      update.Run();
      const auto begin = Clock::now();
      auto before = begin;
      do {
        update.Run();
        const auto now = Clock::now();
        times[static_cast<size_t>(i)].push_back(std::chrono::duration<double>(now - before).count());
        before = now;
      } while (before - begin < std::chrono::duration<double>(seconds));
    }));
  for (std::thread& worker : workers) worker.join();
  std::vector<double> all;
  for (const auto& of_thread : times) all.insert(all.end(), of_thread.begin(), of_thread.end());
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 4), all.end());
  return {UpdateWork(static_cast<double>(elements), pieces, state_arrays), all[all.size() / 4]};
}

}  // namespace

std::vector<TimedOp> TimeUpdates(int threads, double seconds) {
  std::vector<TimedOp> times;
  const double each = seconds / static_cast<double>(std::size(kRules) * std::size(kSizes) * std::size(kAddends));
  for (const char* rule : kRules)
    for (const int64_t size : kSizes)
      for (const int addends : kAddends) times.push_back(TimeUpdate(ConfigOf(rule), size, addends, threads, each));
  return times;
}

}  // namespace lockstep::launch
