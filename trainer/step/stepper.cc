#include "trainer/step/stepper.h"

#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "trainer/step/nonfinite.h"

namespace lockstep::step {

Stepper::Stepper(const plan::Job& job, CompiledModel& session)
    : job_(job), session_(session), records_(static_cast<size_t>(session.lanes().size())) {}

StepResult Stepper::Run(uint64_t step, uint64_t updates, bool want_norm, const FillRecord& fill, data::Loader& loader) {
  StepResult result;
  const StepSums sums = session_.compute().Step({step, updates, want_norm, &loader, records_});
  result.grad_norm = sums.grad_norm;
  RankRecord mine;
  mine.lanes_seconds = sums.lanes_seconds;
  mine.load_seconds = sums.load_seconds;
  mine.nonfinite = sums.nonfinite;
  fill(mine);
  result.record = ExchangeControlRecords(session_.comm(), session_.plan(), mine, records_, step);
  const auto denominator = static_cast<double>(job_.splits.batches->Denominator(step));
  result.loss = result.record.loss(0) / denominator;
  if (const auto& counters = session_.plans().model.graph.counters; !counters.empty()) {
    const int64_t count = result.record.counter(0);
    if (counters[0].name == "correct") result.accuracy = static_cast<double>(count) / denominator;
    if (counters[0].name == "impossible") WarnOfImpossible(step, count);
  }
  if (std::isfinite(result.loss) && result.record.nonfinite() < 0 && std::isfinite(result.grad_norm)) return result;

  const std::string text = DescribeNonfinite(job_, session_, step, result.record);
  // All ranks see the same record; rank 0 says so.
  const bool leads = session_.comm().rank() == 0;
  result.skipped = job_.train.on_nonfinite() == plan::OnNonfinite::SKIP_STEP && result.record.nonfinite() >= 0;
  if (result.skipped) {
    if (leads) LogWarning("{}; the step is skipped", text);
    return result;
  }
  if (!leads) throw comm::PeerAborted(0, static_cast<int>(ErrorKind::kDiverged));
  throw Error(
      ErrorKind::kDiverged, text, "",
      "lower optimizer.learning_rate, clip gradients (optimizer.clip_norm), look at these samples, or skip such steps "
      "(train.on_nonfinite: SKIP_STEP)");
}

/// Once: speed alone makes some of many.
void Stepper::WarnOfImpossible(uint64_t step, int64_t count) {
  if (count == 0 || warned_ || session_.comm().rank() != 0) return;
  warned_ = true;
  LogWarning(
      "step {}: {} transcript{} longer than the recording's places: no alignment, so no gradient (data check finds "
      "those that always are)",
      step, count, count == 1 ? " is" : "s are");
}

}  // namespace lockstep::step
