#include "trainer/step/host_compute.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "trainer/plan/job_plans.h"
#include "trainer/step/global_norm.h"
#include "trainer/step/nonfinite.h"
#include "trainer/step/run_on_executors.h"

namespace lockstep::step {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

}  // namespace

HostCompute::HostCompute(const ComputeParts& parts, const optim::Optimizer& optimizer, OwnedState& state)
    : Compute(parts),
      optimizer_(optimizer),
      state_(state),
      model_(parts),
      check_(comm(), {plans().layout, slices(), weights(), holds_weights()}),
      two_passes_(plan::KeepsSums(optimizer, parts.config.train)),
      chunk_sums_(static_cast<size_t>(ChunkCount(plans().layout.elements()))),
      sums_(two_passes_ ? static_cast<size_t>(state.owned()) * sizeof(float) : 0) {}

StepSums HostCompute::Step(const StepWork& work) {
  nonfinite_ = -1;
  update_seconds_ = 0;
  const IdleBehind idle(pool());
  StepSums sums;
  const auto begin = Clock::now();
  {
    const profile::EventScope preparing(work.log(), profile::What::kPrepare);
    model_.PackForStep(work.step);
    exchange().Begin(static_cast<int64_t>(work.step));
  }
  sums.times.prepare = SecondsSince(begin);
  RunLanes(work);
  sums.grad_norm = two_passes_ ? ReduceThenUpdate(work) : ReduceAndUpdate(work);
  // Those of a skipped step, too.
  state_.AwaitReaderOfAll();
  sums.nonfinite = nonfinite_;
  AddLaneTimes(SecondsSince(begin), sums.times);
  return sums;
}

/// `step`: seconds of all of it.
void HostCompute::AddLaneTimes(double step, StepTimes& times) const {
  const double prepare = times.prepare;
  for (const auto& runner : model_.runners())
    if (runner->times().lanes > times.lanes) times = runner->times();
  times.prepare = prepare;
  times.update = update_seconds_;
  times.exchange = std::max(0.0, step - times.prepare - times.lanes - times.update);
}

/// Runs `update` of `bucket`, -1: of all. Its time counts where this rank's lanes are done: before, it passes beside
/// them.
template <typename Update>
void HostCompute::Timed(profile::EventLog* log, int bucket, const Update& update) {
  const profile::EventScope event(log, profile::What::kUpdate, bucket);
  const bool behind = pool().Finished();
  const auto begin = Clock::now();
  update();
  if (behind) update_seconds_ += SecondsSince(begin);
}

void HostCompute::RunLanes(const StepWork& work) {
  pool().Start([this, work](int e) {
    const LaneRange run = executors().runs()[static_cast<size_t>(e)];
    const std::span<LaneRecord> records = work.records.subspan(
        static_cast<size_t>(run.begin - executors().lanes().begin), static_cast<size_t>(run.size()));
    model_.runner(e).RunStep({parts_.config.train.seed(), work.step, *work.loader, work.log(e)}, records);
  });
}

optim::Optimizer::Slice HostCompute::SliceAt(int bucket, int64_t begin, std::span<const float> gradient) {
  optim::Optimizer::Slice slice;
  slice.begin = begin;
  slice.gradient = gradient;
  slice.weights = exchange().weights().data() + begin;
  const int64_t offset = begin - state_.slice(bucket).begin;
  for (size_t k = 0; k < optimizer_.state_names().size(); ++k)
    slice.state.push_back(state_.data(static_cast<int>(k), bucket).data() + offset);
  return slice;
}

void HostCompute::UpdateAtOnce(const StepWork& work, int bucket, ElementRange range, const comm::SliceSum& sum) {
  check_.CheckOwned(bucket, work.step);
  state_.AwaitReaderOf(bucket);
  pool().ParallelFor(range.size(), kChunkElements, [&](int64_t begin, int64_t end) {
    // Sum, norm and update of a chunk stay in the first-level cache.
    alignas(64) float gradient[kChunkElements];
    for (int64_t at = begin; at < end; at += kChunkElements) {
      const std::span<float> chunk(gradient, static_cast<size_t>(std::min(kChunkElements, end - at)));
      sum.Evaluate(at, chunk);
      NoteNonfinite(range.begin + at, chunk);
      if (work.want_norm) ChunkSum(range.begin + at) = optim::ChunkSumOfSquares(chunk);
      optimizer_.Update(work.step, work.updates, 1.0f, SliceAt(bucket, range.begin + at, chunk));
    }
  });
}

void HostCompute::UpdateFromSums(const StepWork& work, float scale) {
  for (int bucket = 0; bucket < state_.buckets(); ++bucket) {
    check_.CheckOwned(bucket, work.step);
    state_.AwaitReaderOf(bucket);
    const ElementRange range = state_.slice(bucket);
    const float* sums = SumsOf(bucket);
    pool().ParallelFor(range.size(), kChunkElements, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; at += kChunkElements) {
        const auto n = static_cast<size_t>(std::min(kChunkElements, end - at));
        optimizer_.Update(work.step, work.updates, scale, SliceAt(bucket, range.begin + at, {sums + at, n}));
      }
    });
  }
}

void HostCompute::NoteNonfinite(int64_t begin, std::span<const float> sum) {
  const int64_t at = FirstNonfinite(sum);
  if (at < 0) return;
  int64_t first = nonfinite_;
  while ((first < 0 || begin + at < first) && !nonfinite_.compare_exchange_weak(first, begin + at)) {
  }
}

void HostCompute::KeepSum(int bucket, ElementRange range, const comm::SliceSum& sum) {
  float* sums = SumsOf(bucket);
  for (int64_t at = 0; at < range.size(); at += kChunkElements) {
    const std::span<float> chunk(sums + at, static_cast<size_t>(std::min(kChunkElements, range.size() - at)));
    sum.Evaluate(at, chunk);
    NoteNonfinite(range.begin + at, chunk);
    ChunkSum(range.begin + at) = optim::ChunkSumOfSquares(chunk);
  }
}

void HostCompute::AwaitLanes(const StepWork& work) {
  const profile::EventScope waiting(work.log(), profile::What::kAwaitLanes);
  comm().WaitUntil([&] { return pool().Finished(); }, fmt::format("the lanes of step {}", work.step));
}

void HostCompute::Reduce(const StepWork& work, const comm::Exchange::OnSlice& on_slice, bool share_at_once) {
  const profile::EventScope reducing(work.log(), profile::What::kReduce);
  exchange().Reduce(
      [&](int bucket, ElementRange range, const comm::SliceSum& sum) {
        Timed(work.log(), bucket, [&] { on_slice(bucket, range, sum); });
      },
      share_at_once);
}

double HostCompute::NormOfSums(const StepWork& work) {
  const profile::EventScope adding(work.log(), profile::What::kNorm);
  return GlobalNorm(comm(), slices(), chunk_sums_, plans().layout.parameter_elements(), work.step);
}

void HostCompute::Share(const StepWork& work) {
  const profile::EventScope sharing(work.log(), profile::What::kShare);
  exchange().Share();
}

double HostCompute::ReduceThenUpdate(const StepWork& work) {
  Reduce(
      work, [&](int bucket, ElementRange range, const comm::SliceSum& sum) { KeepSum(bucket, range, sum); },
      /*share_at_once=*/false);
  AwaitLanes(work);
  const double norm = NormOfSums(work);
  // All ranks see the same sums of chunks, statistics' too, so all update or none does.
  const bool finite =
      std::all_of(chunk_sums_.begin(), chunk_sums_.end(), [](double sum) { return std::isfinite(sum); });
  if (finite)
    Timed(work.log(), -1, [&] { UpdateFromSums(work, optimizer_.clips() ? optimizer_.ClipFactor(norm) : 1.0f); });
  Share(work);
  return norm;
}

double HostCompute::ReduceAndUpdate(const StepWork& work) {
  Reduce(
      work, [&](int bucket, ElementRange range, const comm::SliceSum& sum) { UpdateAtOnce(work, bucket, range, sum); },
      /*share_at_once=*/true);
  AwaitLanes(work);
  Share(work);
  return work.want_norm ? NormOfSums(work) : 0;
}

std::vector<char> HostCompute::NonfiniteLanes(int64_t element) {
  std::vector<char> lanes(parts_.config.train.lanes());
  for (int e = 0; e < pool().size(); ++e)
    for (size_t piece = 0; piece < exchange().pieces(e).size(); ++piece) {
      const bool bad = !std::isfinite(comm::SumAt(exchange().pieces(e)[piece], element, exchange().wire()));
      const LaneRange node = exchange().piece_nodes(e)[piece];
      std::fill(lanes.begin() + node.begin, lanes.begin() + node.end, bad ? 1 : 0);
    }
  return lanes;
}

}  // namespace lockstep::step
