#include "trainer/loop/stepper.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"

namespace lockstep::loop {

using comm::kChunkElements;

Stepper::Stepper(const Job& job, Session& session, const optim::Optimizer& optimizer, OwnedState& state)
    : job_(job), session_(session), optimizer_(optimizer), state_(state) {
  records_.resize(static_cast<size_t>(session.lanes().size()));
  chunk_sums_.resize(static_cast<size_t>((session.layout().elements() + kChunkElements - 1) / kChunkElements));
  if (!optimizer.clips()) return;
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
  session_.pool().ParallelFor(range.size(), kChunkElements, [&](int64_t begin, int64_t end) {
    // Sum, norm and update of a chunk stay in the first-level cache.
    alignas(64) float gradient[kChunkElements];
    for (int64_t at = begin; at < end; at += kChunkElements) {
      const std::span<float> chunk(gradient, static_cast<size_t>(std::min(kChunkElements, end - at)));
      sum.Evaluate(at, chunk);
      if (want_norm) ChunkSum(range.begin + at) = optim::ChunkSumOfSquares(chunk);
      optimizer_.Update(step, updates, 1.0f, SliceAt(bucket, range.begin + at, chunk));
    }
  });
}

void Stepper::UpdateFromSums(uint64_t step, uint64_t updates, float scale) {
  for (int bucket = 0; bucket < state_.buckets(); ++bucket) {
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

StepResult Stepper::Run(uint64_t step, uint64_t updates, bool want_norm, int stop_requested, data::Loader& loader) {
  comm::Exchange& exchange = session_.exchange();
  const std::vector<LaneRange>& runs = session_.plan()[static_cast<size_t>(session_.comm().rank())];
  const float loss_scale = 1.0f / static_cast<float>(job_.train.global_batch());
  const auto start = std::chrono::steady_clock::now();
  RankRecord mine;
  mine.stop = stop_requested;

  session_.PackForTraining();
  exchange.Begin(static_cast<int64_t>(step));
  session_.pool().Start([&](int e) {
    const LaneRange run = runs[static_cast<size_t>(e)];
    const std::span<LaneRecord> records(records_.data() + (run.begin - session_.lanes().begin), static_cast<size_t>(run.size()));
    session_.runner(e).RunStep(job_.train.seed(), step, {&loss_scale, 1}, loader, records);
  });

  StepResult result;
  if (optimizer_.clips()) {
    exchange.Reduce(
        [&](int bucket, comm::ElementRange range, const comm::SliceSum& sum) {
          float* sums = sums_.As<float>().data() + sums_offset_[static_cast<size_t>(bucket)];
          for (int64_t at = 0; at < range.size(); at += kChunkElements) {
            const std::span<float> chunk(sums + at, static_cast<size_t>(std::min(kChunkElements, range.size() - at)));
            sum.Evaluate(at, chunk);
            ChunkSum(range.begin + at) = optim::ChunkSumOfSquares(chunk);
          }
        },
        /*share_at_once=*/false);
    session_.comm().WaitUntil([&] { return session_.pool().Finished(); }, fmt::format("the lanes of step {}", step));
    result.grad_norm = GlobalNorm(step);
    UpdateFromSums(step, updates, optimizer_.ClipFactor(result.grad_norm));
    exchange.Share();
  } else {
    exchange.Reduce(
        [&](int bucket, comm::ElementRange range, const comm::SliceSum& sum) {
          UpdateAtOnce(step, updates, want_norm, bucket, range, sum);
        },
        /*share_at_once=*/true);
    session_.comm().WaitUntil([&] { return session_.pool().Finished(); }, fmt::format("the lanes of step {}", step));
    exchange.Share();
    if (want_norm) result.grad_norm = GlobalNorm(step);
  }
  mine.compute_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  result.record = ExchangeControlRecords(session_.comm(), session_.plan(), mine, records_, step);
  const auto batch = static_cast<double>(job_.train.global_batch());
  result.loss = result.record.loss(0) / batch;
  if (!session_.plans().model.graph.counters.empty()) result.accuracy = static_cast<double>(result.record.counter(0)) / batch;
  const bool finite = std::isfinite(result.loss) && std::isfinite(result.grad_norm);
  // All ranks see the same numbers; rank 0 says so.
  if (!finite && session_.comm().rank() != 0) throw comm::PeerAborted(0, static_cast<int>(ErrorKind::kDiverged));
  if (!finite)
    throw Error(ErrorKind::kDiverged, fmt::format("the {} of step {} is not finite", std::isfinite(result.loss) ? "gradient" : "loss", step),
                "", "lower optimizer.learning_rate, clip gradients (optimizer.clip_norm), or look at the data");
  return result;
}

}  // namespace lockstep::loop
