#include "trainer/step/training.h"

#include <algorithm>

#include "base/error.h"
#include "comm/agreement.h"
#include "trainer/checkpoint/same_tensors.h"

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

Training::Training(const plan::Job& job, plan::JobPlans plans, const std::vector<int>& executors)
    : job_(job),
      session_(job, std::move(plans), executors),
      optimizer_(job.optimizer, plan::MakeSegments(session_.plans(), job.optimizer), plan::LengthOf(job),
                 static_cast<int>(job.train.lanes())),
      owned_(session_.compute().slices(), job.comm->rank(), plan::StateArrays(optimizer_, job.train),
             [this](size_t bytes) { return session_.compute().AllocateView(bytes); }),
      check_(session_),
      stepper_(job, session_),
      ledger_(job.splits.train->size()) {
  session_.compute().PrepareTraining(optimizer_, owned_, check_);
}

void Training::Initialize() {
  session_.Initialize();
  const int ema = optimizer_.ema_index();
  for (int bucket = 0; ema >= 0 && bucket < owned_.buckets(); ++bucket) {
    const ElementRange range = owned_.slice(bucket);
    std::copy_n(weights().data() + range.begin, range.size(), owned_.data(ema, bucket).data());
  }
  session_.compute().Store();
}

void Training::Load(const std::function<std::unique_ptr<checkpoint::Reader>()>& open) {
  comm::Together(session_.comm(), "the loading of the checkpoint", [&] {
    const std::unique_ptr<checkpoint::Reader> reader = open();
    checkpoint::RequireSameTensors(*reader, session_.layout());
    owned_.Load(*reader, session_.compute().weights());
    loop_ = reader->manifest().loop();
    ledger_.Restore(loop_.ledger());
    step_ = reader->manifest().step();
  });
  session_.compute().Store();
}

void Training::StartLoader(uint64_t end_step) {
  data::Loader::Options options;
  options.dataset = job_.splits.train;
  options.transform = job_.splits.transform;
  options.batches = job_.splits.batches;
  options.mine = session_.lanes();
  options.first_step = step_;
  options.end_step = end_step;
  options.threads = static_cast<int>(std::max(1u, job_.data.threads()));
  loader_ = std::make_unique<data::Loader>(std::move(options));
}

StepResult Training::Step(bool want_norm, const Stepper::FillRecord& fill) {
  StepResult result = stepper_.Run(step_, loop_.updates_applied(), want_norm, fill, *loader_);
  std::vector<data::LaneDelivery> deliveries;
  for (const LaneRecord& lane : result.record.lanes) deliveries.push_back(lane.delivery);
  ledger_.Add(step_, deliveries, job_.splits.batches->FirstPosition(step_ + 1));
  ++step_;
  if (!result.skipped) loop_.set_updates_applied(loop_.updates_applied() + 1);
  return result;
}

void Training::KeepBest() {
  session_.compute().Fetch(Compute::Part::kAll);
  for (int bucket = 0; bucket < owned_.buckets(); ++bucket) {
    const ElementRange range = owned_.slice(bucket);
    const float* from =
        EvaluatedArray() >= 0 ? owned_.data(EvaluatedArray(), bucket).data() : weights().data() + range.begin;
    std::copy_n(from, range.size(), owned_.data(BestArray(), bucket).data());
  }
  session_.compute().Store();
}

void Training::SwapWeights(int array) {
  // Ranks of this node may still read the weights that are swapped out.
  session_.comm().Wait(*session_.comm().Barrier(), "the swap of weights");
  session_.compute().Fetch(Compute::Part::kAll);
  const std::span<float> weights = session_.compute().weights();
  for (int bucket = 0; bucket < owned_.buckets(); ++bucket) {
    const std::span<float> other = owned_.data(array, bucket);
    std::swap_ranges(other.begin(), other.end(), weights.begin() + owned_.slice(bucket).begin);
  }
  session_.compute().Store();
}

void Training::Describe(checkpoint::Manifest& manifest) const {
  manifest.set_step(step_);
  DescribeTensors(session_.layout(), manifest);
  manifest.add_arrays("weights");
  for (const std::string& array : owned_.arrays()) manifest.add_arrays(array);
  *manifest.mutable_loop() = loop_;
  manifest.mutable_loop()->set_ledger(ledger_.Serialize());
}

}  // namespace lockstep::step
