#include "trainer/step/host_compute.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/error.h"
#include "trainer/step/global_norm.h"
#include "trainer/step/nonfinite.h"
#include "trainer/step/owned_state.h"
#include "trainer/step/run_on_executors.h"
#include "trainer/step/weight_check.h"

namespace lockstep::step {

HostCompute::HostCompute(const plan::Job& job, const plan::JobPlans& plans, const comm::LanePlan& plan,
                         ExecutorPool& pool)
    : job_(job),
      comm_(*job.comm),
      plans_(plans),
      lanes_(plan[static_cast<size_t>(comm_.rank())]),
      pool_(pool),
      exchange_(comm_, {static_cast<int>(job.train.lanes()), plan, plans.buckets}) {
  programs_.train = MakePrograms(plans.train);
  programs_.evaluate = MakePrograms(plans.evaluate);
  runners_.resize(lanes_.size());
  RunOnExecutors(comm_, pool_, "the preparation of kernels", [&](int e) {
    const auto index = static_cast<size_t>(e);
    runners_[index] = std::make_unique<LaneRunner>(programs_, plans.layout, *job.backend, exchange_, comm_.recorder(),
                                                   e, lanes_[index], static_cast<int>(job.train.lanes()));
  });
}

void HostCompute::PrepareTraining(const optim::Optimizer& optimizer, OwnedState& state, WeightCheck& check) {
  optimizer_ = &optimizer;
  state_ = &state;
  check_ = &check;
  two_passes_ = plan::KeepsSums(optimizer, job_.train);
  chunk_sums_.resize(static_cast<size_t>(ChunkCount(plans_.layout.elements())));
  if (!two_passes_) return;
  sums_ = Buffer(static_cast<size_t>(state.owned()) * sizeof(float));
  int64_t offset = 0;
  for (int bucket = 0; bucket < state.buckets(); ++bucket) {
    sums_offset_.push_back(offset);
    offset += state.slice(bucket).size();
  }
}

ProgramSet HostCompute::MakePrograms(const std::vector<std::shared_ptr<const engine::ProgramPlan>>& plans) {
  ProgramSet set{plans, {}};
  for (const auto& plan : plans)
    set.packed.push_back(std::make_unique<engine::PackedWeights>(
        *plan, plans_.layout, *job_.backend, exchange_.weights().data(), std::span<std::byte>(), set.packed));
  return set;
}

void HostCompute::AddDue(const engine::PackedWeights& weights) {
  for (const auto& copy : weights.copies()) due_.push_back(copy.get());
}

void HostCompute::PackDue() {
  std::sort(due_.begin(), due_.end());
  due_.erase(std::unique(due_.begin(), due_.end()), due_.end());
  if (due_.empty()) return;
  std::atomic<size_t> next{0};
  RunOnExecutors(comm_, pool_, "the packing of weights", [&](int) {
    for (size_t index = next++; index < due_.size(); index = next++) due_[index]->Pack();
  });
  due_.clear();
}

/// Those of the programs that this rank's lanes take.
void HostCompute::PackForStep(uint64_t step) {
  data::LaneSamples samples;
  for (int lane = lanes_.front().begin; lane < lanes_.back().end; ++lane) {
    if (programs_.train.plans.size() > 1) job_.splits.batches->Lane(step, lane, samples);
    AddDue(*programs_.train.packed[static_cast<size_t>(samples.shape)]);
  }
  PackDue();
}

void HostCompute::PrepareEvaluation() {
  for (const auto& weights : programs_.evaluate.packed) AddDue(*weights);
  PackDue();
}

StepSums HostCompute::Step(const StepWork& work) {
  nonfinite_ = -1;
  const IdleBehind idle(pool_);
  PackForStep(work.step);
  exchange_.Begin(static_cast<int64_t>(work.step));
  RunLanes(work);
  StepSums sums;
  sums.grad_norm = two_passes_ ? ReduceThenUpdate(work) : ReduceAndUpdate(work);
  // Those of a skipped step, too.
  for (int bucket = 0; bucket < state_->buckets(); ++bucket) state_->AwaitReaderOf(bucket);
  sums.nonfinite = nonfinite_;
  for (const auto& runner : runners_) {
    sums.lanes_seconds = std::max(sums.lanes_seconds, runner->seconds());
    sums.load_seconds = std::max(sums.load_seconds, runner->load_seconds());
  }
  return sums;
}

void HostCompute::NoteWeights() { check_->NoteOwned(); }

void HostCompute::RunLanes(const StepWork& work) {
  pool_.Start([this, work](int e) {
    const LaneRange run = lanes_[static_cast<size_t>(e)];
    const std::span<LaneRecord> records =
        work.records.subspan(static_cast<size_t>(run.begin - lanes_.front().begin), static_cast<size_t>(run.size()));
    runners_[static_cast<size_t>(e)]->RunStep(job_.train.seed(), work.step, *work.loader, records);
  });
}

optim::Optimizer::Slice HostCompute::SliceAt(int bucket, int64_t begin, std::span<const float> gradient) {
  optim::Optimizer::Slice slice;
  slice.begin = begin;
  slice.gradient = gradient;
  slice.weights = exchange_.weights().data() + begin;
  const int64_t offset = begin - state_->slice(bucket).begin;
  for (size_t k = 0; k < optimizer_->state_names().size(); ++k)
    slice.state.push_back(state_->data(static_cast<int>(k), bucket).data() + offset);
  return slice;
}

void HostCompute::UpdateAtOnce(const StepWork& work, int bucket, ElementRange range, const comm::SliceSum& sum) {
  check_->CheckOwned(bucket, work.step);
  state_->AwaitReaderOf(bucket);
  pool_.ParallelFor(range.size(), kChunkElements, [&](int64_t begin, int64_t end) {
    // Sum, norm and update of a chunk stay in the first-level cache.
    alignas(64) float gradient[kChunkElements];
    for (int64_t at = begin; at < end; at += kChunkElements) {
      const std::span<float> chunk(gradient, static_cast<size_t>(std::min(kChunkElements, end - at)));
      sum.Evaluate(at, chunk);
      NoteNonfinite(range.begin + at, chunk);
      if (work.want_norm) ChunkSum(range.begin + at) = optim::ChunkSumOfSquares(chunk);
      optimizer_->Update(work.step, work.updates, 1.0f, SliceAt(bucket, range.begin + at, chunk));
    }
  });
}

void HostCompute::UpdateFromSums(const StepWork& work, float scale) {
  for (int bucket = 0; bucket < state_->buckets(); ++bucket) {
    check_->CheckOwned(bucket, work.step);
    state_->AwaitReaderOf(bucket);
    const ElementRange range = state_->slice(bucket);
    const float* sums = sums_.As<float>().data() + sums_offset_[static_cast<size_t>(bucket)];
    pool_.ParallelFor(range.size(), kChunkElements, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; at += kChunkElements) {
        const auto n = static_cast<size_t>(std::min(kChunkElements, end - at));
        optimizer_->Update(work.step, work.updates, scale, SliceAt(bucket, range.begin + at, {sums + at, n}));
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

double HostCompute::ReduceThenUpdate(const StepWork& work) {
  exchange_.Reduce(
      [&](int bucket, ElementRange range, const comm::SliceSum& sum) {
        float* sums = sums_.As<float>().data() + sums_offset_[static_cast<size_t>(bucket)];
        for (int64_t at = 0; at < range.size(); at += kChunkElements) {
          const std::span<float> chunk(sums + at, static_cast<size_t>(std::min(kChunkElements, range.size() - at)));
          sum.Evaluate(at, chunk);
          NoteNonfinite(range.begin + at, chunk);
          ChunkSum(range.begin + at) = optim::ChunkSumOfSquares(chunk);
        }
      },
      /*share_at_once=*/false);
  comm_.WaitUntil([&] { return pool_.Finished(); }, fmt::format("the lanes of step {}", work.step));
  const double norm = GlobalNorm(comm_, slices(), chunk_sums_, plans_.layout.parameter_elements(), work.step);
  // All ranks see the same sums of chunks, statistics' too, so all update or none does.
  const bool finite =
      std::all_of(chunk_sums_.begin(), chunk_sums_.end(), [](double sum) { return std::isfinite(sum); });
  if (finite) UpdateFromSums(work, optimizer_->clips() ? optimizer_->ClipFactor(norm) : 1.0f);
  exchange_.Share();
  return norm;
}

double HostCompute::ReduceAndUpdate(const StepWork& work) {
  exchange_.Reduce(
      [&](int bucket, ElementRange range, const comm::SliceSum& sum) { UpdateAtOnce(work, bucket, range, sum); },
      /*share_at_once=*/true);
  comm_.WaitUntil([&] { return pool_.Finished(); }, fmt::format("the lanes of step {}", work.step));
  exchange_.Share();
  return work.want_norm ? GlobalNorm(comm_, slices(), chunk_sums_, plans_.layout.parameter_elements(), work.step) : 0;
}

std::vector<char> HostCompute::NonfiniteLanes(int64_t element) {
  std::vector<char> lanes;
  for (int e = 0; e < pool_.size(); ++e)
    for (size_t piece = 0; piece < exchange_.pieces(e).size(); ++piece) {
      const bool bad = !std::isfinite(exchange_.pieces(e)[piece][element]);
      lanes.insert(lanes.end(), static_cast<size_t>(exchange_.piece_nodes(e)[piece].size()), bad ? 1 : 0);
    }
  return lanes;
}

}  // namespace lockstep::step
