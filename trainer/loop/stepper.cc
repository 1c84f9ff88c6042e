#include "trainer/loop/stepper.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "trainer/loop/nonfinite.h"

namespace lockstep::loop {

using comm::kChunkElements;

Stepper::Stepper(const Job& job, Session& session, const optim::Optimizer& optimizer, OwnedState& state, WeightCheck& check)
    : job_(job),
      session_(session),
      optimizer_(optimizer),
      state_(state),
      check_(check),
      two_passes_(optimizer.clips() || job.train.on_nonfinite() == OnNonfinite::SKIP_STEP) {
  records_.resize(static_cast<size_t>(session.lanes().size()));
  chunk_sums_.resize(static_cast<size_t>((session.layout().elements() + kChunkElements - 1) / kChunkElements));
  if (!two_passes_) return;
  sums_ = Buffer(static_cast<size_t>(state.owned()) * sizeof(float));
  int64_t offset = 0;
  for (int bucket = 0; bucket < state.buckets(); ++bucket) {
    sums_offset_.push_back(offset);
    offset += state.slice(bucket).size();
  }
}

optim::Optimizer::Slice Stepper::SliceAt(int bucket, int64_t begin, std::span<const float> gradient) {
  optim::Optimizer::Slice slice;
  slice.begin = begin;
  slice.gradient = gradient;
  slice.weights = session_.exchange().weights().data() + begin;
  const int64_t offset = begin - state_.slice(bucket).begin;
  for (size_t k = 0; k < optimizer_.state_names().size(); ++k)
    slice.state.push_back(state_.data(static_cast<int>(k), bucket).data() + offset);
  return slice;
}

void Stepper::UpdateAtOnce(uint64_t step, uint64_t updates, bool want_norm, int bucket, comm::ElementRange range,
                           const comm::SliceSum& sum) {
  check_.CheckOwned(bucket, step);
  state_.AwaitReaderOf(bucket);
  session_.pool().ParallelFor(range.size(), kChunkElements, [&](int64_t begin, int64_t end) {
    // Sum, norm and update of a chunk stay in the first-level cache.
    alignas(64) float gradient[kChunkElements];
    for (int64_t at = begin; at < end; at += kChunkElements) {
      const std::span<float> chunk(gradient, static_cast<size_t>(std::min(kChunkElements, end - at)));
      sum.Evaluate(at, chunk);
      NoteNonfinite(range.begin + at, chunk);
      if (want_norm) ChunkSum(range.begin + at) = optim::ChunkSumOfSquares(chunk);
      optimizer_.Update(step, updates, 1.0f, SliceAt(bucket, range.begin + at, chunk));
    }
  });
}

void Stepper::UpdateFromSums(uint64_t step, uint64_t updates, float scale) {
  for (int bucket = 0; bucket < state_.buckets(); ++bucket) {
    check_.CheckOwned(bucket, step);
    state_.AwaitReaderOf(bucket);
    const comm::ElementRange range = state_.slice(bucket);
    const float* sums = sums_.As<float>().data() + sums_offset_[static_cast<size_t>(bucket)];
    session_.pool().ParallelFor(range.size(), kChunkElements, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; at += kChunkElements) {
        const auto n = static_cast<size_t>(std::min(kChunkElements, end - at));
        optimizer_.Update(step, updates, scale, SliceAt(bucket, range.begin + at, {sums + at, n}));
      }
    });
  }
}

double Stepper::GlobalNorm(uint64_t step) {
  const comm::SliceMap& slices = session_.exchange().slices();
  const auto chunks_of = [](comm::ElementRange range) { return (range.size() + kChunkElements - 1) / kChunkElements; };
  const auto owned_chunks = [&](int rank) {
    int64_t chunks = 0;
    for (int bucket = 0; bucket < slices.buckets(); ++bucket) chunks += chunks_of(slices.slice(bucket, rank));
    return chunks;
  };
  comm::Communicator& comm = session_.comm();
  int64_t most = 0;
  for (int rank = 0; rank < comm.world_size(); ++rank) most = std::max(most, owned_chunks(rank));

  std::vector<double> mine(static_cast<size_t>(most)), all(mine.size() * static_cast<size_t>(comm.world_size()));
  const auto visit = [&](int rank, const auto& use) {
    size_t index = 0;
    for (int bucket = 0; bucket < slices.buckets(); ++bucket) {
      const comm::ElementRange range = slices.slice(bucket, rank);
      for (int64_t at = range.begin; at < range.end; at += kChunkElements) use(index++, at);
    }
  };
  visit(comm.rank(), [&](size_t index, int64_t at) { mine[index] = ChunkSum(at); });
  comm.Wait(*comm.AllGather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all))),
            fmt::format("the gradient norm of step {}", step));
  for (int rank = 0; rank < comm.world_size(); ++rank)
    visit(rank, [&](size_t index, int64_t at) { ChunkSum(at) = all[mine.size() * static_cast<size_t>(rank) + index]; });

  // In index order, over parameters alone: running statistics lie behind them.
  double sum = 0;
  for (int64_t at = 0; at < session_.layout().parameter_elements(); at += kChunkElements) sum += ChunkSum(at);
  return std::sqrt(sum);
}

void Stepper::NoteNonfinite(int64_t begin, std::span<const float> sum) {
  const int64_t at = FirstNonfinite(sum);
  if (at < 0) return;
  int64_t first = nonfinite_;
  while ((first < 0 || begin + at < first) && !nonfinite_.compare_exchange_weak(first, begin + at)) {
  }
}

void Stepper::RunLanes(uint64_t step, data::Loader& loader) {
  const std::vector<LaneRange>& runs = session_.plan()[static_cast<size_t>(session_.comm().rank())];
  const float loss_scale = 1.0f / static_cast<float>(job_.train.global_batch());
  session_.pool().Start([&, step, loss_scale](int e) {
    const LaneRange run = runs[static_cast<size_t>(e)];
    const std::span<LaneRecord> records(records_.data() + (run.begin - session_.lanes().begin), static_cast<size_t>(run.size()));
    session_.runner(e).RunStep(job_.train.seed(), step, {&loss_scale, 1}, loader, records);
  });
}

double Stepper::ReduceThenUpdate(uint64_t step, uint64_t updates) {
  comm::Exchange& exchange = session_.exchange();
  exchange.Reduce(
      [&](int bucket, comm::ElementRange range, const comm::SliceSum& sum) {
        float* sums = sums_.As<float>().data() + sums_offset_[static_cast<size_t>(bucket)];
        for (int64_t at = 0; at < range.size(); at += kChunkElements) {
          const std::span<float> chunk(sums + at, static_cast<size_t>(std::min(kChunkElements, range.size() - at)));
          sum.Evaluate(at, chunk);
          NoteNonfinite(range.begin + at, chunk);
          ChunkSum(range.begin + at) = optim::ChunkSumOfSquares(chunk);
        }
      },
      /*share_at_once=*/false);
  session_.comm().WaitUntil([&] { return session_.pool().Finished(); }, fmt::format("the lanes of step {}", step));
  const double norm = GlobalNorm(step);
  // All ranks see the same sums of chunks, statistics' too, so all update or none does.
  const bool finite = std::all_of(chunk_sums_.begin(), chunk_sums_.end(), [](double sum) { return std::isfinite(sum); });
  if (finite) UpdateFromSums(step, updates, optimizer_.clips() ? optimizer_.ClipFactor(norm) : 1.0f);
  exchange.Share();
  return norm;
}

double Stepper::ReduceAndUpdate(uint64_t step, uint64_t updates, bool want_norm) {
  comm::Exchange& exchange = session_.exchange();
  exchange.Reduce(
      [&](int bucket, comm::ElementRange range, const comm::SliceSum& sum) {
        UpdateAtOnce(step, updates, want_norm, bucket, range, sum);
      },
      /*share_at_once=*/true);
  session_.comm().WaitUntil([&] { return session_.pool().Finished(); }, fmt::format("the lanes of step {}", step));
  exchange.Share();
  return want_norm ? GlobalNorm(step) : 0;
}

StepResult Stepper::Run(uint64_t step, uint64_t updates, bool want_norm, const FillRecord& fill, data::Loader& loader) {
  nonfinite_ = -1;
  session_.PackForTraining();
  session_.exchange().Begin(static_cast<int64_t>(step));
  RunLanes(step, loader);
  StepResult result;
  result.grad_norm = two_passes_ ? ReduceThenUpdate(step, updates) : ReduceAndUpdate(step, updates, want_norm);
  // Those of a skipped step, too.
  for (int bucket = 0; bucket < state_.buckets(); ++bucket) state_.AwaitReaderOf(bucket);

  RankRecord mine;
  for (int e = 0; e < session_.pool().size(); ++e) {
    mine.lanes_seconds = std::max(mine.lanes_seconds, session_.runner(e).seconds());
    mine.load_seconds = std::max(mine.load_seconds, session_.runner(e).load_seconds());
  }
  mine.nonfinite = nonfinite_;
  fill(mine);
  result.record = ExchangeControlRecords(session_.comm(), session_.plan(), mine, records_, step);
  const auto batch = static_cast<double>(job_.train.global_batch());
  result.loss = result.record.loss(0) / batch;
  if (!session_.plans().model.graph.counters.empty()) result.accuracy = static_cast<double>(result.record.counter(0)) / batch;
  if (std::isfinite(result.loss) && result.record.nonfinite() < 0 && std::isfinite(result.grad_norm)) return result;

  const std::string text = DescribeNonfinite(job_, session_, step, result.record);
  // All ranks see the same record; rank 0 says so.
  const bool leads = session_.comm().rank() == 0;
  result.skipped = job_.train.on_nonfinite() == OnNonfinite::SKIP_STEP && result.record.nonfinite() >= 0;
  if (result.skipped) {
    if (leads) LogWarning("{}; the step is skipped", text);
    return result;
  }
  if (!leads) throw comm::PeerAborted(0, static_cast<int>(ErrorKind::kDiverged));
  throw Error(ErrorKind::kDiverged, text, "",
              "lower optimizer.learning_rate, clip gradients (optimizer.clip_norm), look at these samples, or skip such steps "
              "(train.on_nonfinite: SKIP_STEP)");
}

}  // namespace lockstep::loop
