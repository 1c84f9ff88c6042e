#include "trainer/step/training.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "comm/agreement.h"
#include "trainer/checkpoint/same_tensors.h"
#include "trainer/step/describe_nonfinite.h"
#include "trainer/step/initial_weights.h"
#include "trainer/step/make_compute.h"

namespace lockstep::step {
namespace {

void DescribeTensors(const engine::ParameterLayout& layout, checkpoint::Manifest& manifest) {
  manifest.set_arena_elements(layout.elements());
  for (const engine::ArenaEntry& entry : layout.entries()) {
    checkpoint::Tensor* tensor = manifest.add_tensors();
    tensor->set_name(entry.name);
    for (int64_t dim : entry.shape.dims()) tensor->add_shape(dim);
    tensor->set_offset(entry.offset);
    tensor->set_statistic(entry.statistic);
  }
}

}  // namespace

Training::Training(const TrainingParts& parts, plan::JobPlans plans, const plan::CorePlan& cores)
    : parts_(parts),
      plans_(std::move(plans)),
      executors_(comm(), parts.config.train, cores),
      optimizer_(plan::MakeOptimizer(parts.config, plans_)),
      owned_(comm::SliceMap(plans_.buckets, comm().world_size()), comm().rank(),
             plan::StateArrays(optimizer_, parts.config.train), ViewMemoryOf(parts.place)),
      compute_(MakeCompute({parts.config, *parts.splits.batches, parts.place, plans_, executors_}, optimizer_, owned_)),
      records_(static_cast<size_t>(executors_.lanes().size())),
      ledger_(parts.splits.train->size()) {}

void Training::Initialize() {
  if (compute_->holds_weights()) {
    InitializeWeights(plans_.model, layout(), parts_.config.train.seed(), compute_->weights());
    if (parts_.model.initial_weights)
      parts_.model.initial_weights(plans_.model.graph, layout(), compute_->weights().data());
  }
  comm().Wait(*comm().Barrier(), "the initial weights");
  const int ema = optimizer_.ema_index();
  for (int bucket = 0; ema >= 0 && bucket < owned_.buckets(); ++bucket) {
    const ElementRange range = owned_.slice(bucket);
    std::copy_n(weights().data() + range.begin, range.size(), owned_.data(ema, bucket).data());
  }
  compute_->Store();
}

void Training::Load(const std::function<std::unique_ptr<checkpoint::Reader>()>& open) {
  comm::Together(comm(), "the loading of the checkpoint", [&] {
    const std::unique_ptr<checkpoint::Reader> reader = open();
    checkpoint::RequireSameTensors(*reader, layout());
    owned_.Load(*reader, compute_->weights());
    loop_ = reader->manifest().loop();
    step_ = reader->manifest().step();
    const data::Leg& leg = parts_.splits.leg;
    if (leg.first_step == step_ && leg.first_position != loop_.place().position() && loop_.has_place())
      ledger_.RestoreForEpoch(loop_.ledger(), leg.first_position / parts_.splits.train->size());
    else
      ledger_.Restore(loop_.ledger());
  });
  compute_->Store();
}

void Training::StartLoader(uint64_t end_step) {
  data::Loader::Options options;
  options.dataset = parts_.splits.train;
  options.transform = parts_.splits.transform;
  options.batches = parts_.splits.batches;
  options.mine = executors_.lanes();
  options.first_step = step_;
  options.end_step = end_step;
  options.threads = static_cast<int>(std::max(1u, parts_.config.data.threads()));
  options.rounded = plan::RoundedInputs(*plans_.train.front());
  loader_ = std::make_unique<data::Loader>(std::move(options));
}

StepResult Training::Step(bool want_norm, const FillRecord& fill) {
  StepResult result = RunStep(want_norm, fill);
  const bool finite = std::isfinite(result.loss) && result.record.nonfinite() < 0 && std::isfinite(result.grad_norm);
  if (!finite) SkipOrThrow(result);
  result.skipped = !finite;
  std::vector<data::LaneDelivery> deliveries;
  for (const LaneRecord& lane : result.record.lanes) deliveries.push_back(lane.delivery);
  ledger_.Add(step_, deliveries, parts_.splits.batches->FirstPosition(step_ + 1));
  ++step_;
  if (!result.skipped) loop_.set_updates_applied(loop_.updates_applied() + 1);
  return result;
}

/// Computes the step, and tells all ranks what came of it.
StepResult Training::RunStep(bool want_norm, const FillRecord& fill) {
  StepResult result;
  const StepWork work{step_, loop_.updates_applied(), want_norm, loader_.get(), records_, recording_};
  if (work.log() != nullptr) work.log()->Enter(step_);
  const profile::EventScope step(work.log(), profile::What::kStep);
  const StepSums sums = compute_->Step(work);
  result.grad_norm = sums.grad_norm;
  RankRecord mine;
  mine.times = sums.times;
  mine.sent_bytes = comm().sent_bytes() - std::exchange(sent_bytes_, comm().sent_bytes());
  mine.nonfinite = sums.nonfinite;
  fill(mine);
  {
    const profile::EventScope telling(work.log(), profile::What::kControl);
    result.record = ExchangeControlRecords(comm(), executors_.plan(), mine, records_, step_);
  }
  const data::LossCounts denominators = parts_.splits.batches->Denominators(step_);
  const auto denominator = static_cast<double>(denominators[0]);
  for (size_t i = 0; i < plans_.model.graph.losses.size(); ++i)
    result.loss += result.record.loss(static_cast<int>(i)) / static_cast<double>(denominators[i]);
  if (const auto& counters = plans_.model.graph.counters; !counters.empty()) {
    const int64_t count = result.record.counter(0);
    if (counters[0].name == "correct") result.accuracy = static_cast<double>(count) / denominator;
    if (counters[0].name == "impossible") WarnOfImpossible(count);
  }
  return result;
}

/// Of a step that is not finite: returns where it is skipped. All ranks see the same record; rank 0 says so.
void Training::SkipOrThrow(const StepResult& result) {
  const std::string text = DescribeNonfinite(*parts_.splits.batches, *compute_, step_, result.record);
  const bool leads = comm().rank() == 0;
  if (parts_.config.train.on_nonfinite() == plan::OnNonfinite::SKIP_STEP && result.record.nonfinite() >= 0) {
    if (leads) LogWarning("{}; the step is skipped", text);
    return;
  }
  if (!leads) throw comm::PeerAborted(0, static_cast<int>(ErrorKind::kDiverged));
  throw Error(
      ErrorKind::kDiverged, text, "",
      "lower optimizer.learning_rate, clip gradients (optimizer.clip_norm), look at these samples, or skip such steps "
      "(train.on_nonfinite: SKIP_STEP)");
}

/// Once: speed alone makes some of many.
void Training::WarnOfImpossible(int64_t count) {
  if (count == 0 || warned_of_impossible_ || comm().rank() != 0) return;
  warned_of_impossible_ = true;
  LogWarning(
      "step {}: {} transcript{} longer than the recording's places: no alignment, so no gradient (data check finds "
      "those that always are)",
      step_, count, count == 1 ? " is" : "s are");
}

void Training::KeepBest() {
  compute_->FetchAll();
  for (int bucket = 0; bucket < owned_.buckets(); ++bucket) {
    const ElementRange range = owned_.slice(bucket);
    const float* from =
        EvaluatedArray() >= 0 ? owned_.data(EvaluatedArray(), bucket).data() : weights().data() + range.begin;
    std::copy_n(from, range.size(), owned_.data(BestArray(), bucket).data());
  }
  compute_->Store();
}

void Training::SwapWeights(int array) {
  // Ranks of this host may still read the weights that are swapped out.
  comm().Wait(*comm().Barrier(), "the swap of weights");
  compute_->FetchAll();
  const std::span<float> weights = compute_->weights();
  for (int bucket = 0; bucket < owned_.buckets(); ++bucket) {
    const std::span<float> other = owned_.data(array, bucket);
    std::swap_ranges(other.begin(), other.end(), weights.begin() + owned_.slice(bucket).begin);
  }
  compute_->Store();
}

void Training::Describe(checkpoint::Manifest& manifest) const {
  manifest.set_step(step_);
  DescribeTensors(layout(), manifest);
  manifest.add_arrays("weights");
  for (const std::string& array : owned_.arrays()) manifest.add_arrays(array);
  *manifest.mutable_loop() = loop_;
  manifest.mutable_loop()->set_ledger(ledger_.Serialize());
  checkpoint::PlaceInData* place = manifest.mutable_loop()->mutable_place();
  place->set_position(parts_.splits.batches->FirstPosition(step_));
  place->set_samples(parts_.splits.train->size());
  place->set_first_step(parts_.splits.leg.first_step);
  place->set_first_position(parts_.splits.leg.first_position);
  place->set_global_batch(parts_.config.train.global_batch());
  place->set_batch_tokens(parts_.config.train.batch_tokens());
  place->set_fingerprint(parts_.splits.train->fingerprint());
}

}  // namespace lockstep::step
