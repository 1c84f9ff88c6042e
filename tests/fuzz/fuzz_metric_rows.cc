// Any text as metrics.jsonl and as evaluation.json: curves whose steps ascend, a sentence, and a record that is read
// back as it was written; nothing is thrown.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "launch/page/smooth.h"
#include "launch/report/metric_rows.h"
#include "launch/report/overfitting.h"
#include "trainer/records/evaluation_record.h"

namespace {

void CheckAscending(const lockstep::launch::Curves& curves) {
  for (const auto& [name, curve] : curves)
    for (size_t i = 1; i < curve.size(); ++i)
      if (!(curve[i - 1].x < curve[i].x)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const launch::MetricRows rows = launch::ParseMetricRows(text);
  CheckAscending(rows.training);
  for (const auto& [split, curves] : rows.evaluated) CheckAscending(curves);
  if (launch::JudgeOverfitting(rows, false).sentence.empty()) std::abort();
  for (const auto& [name, curve] : rows.training)
    if (launch::Smooth(curve, launch::ChooseWindows(curve, {})).size() > curve.size()) std::abort();
  if (const auto record = records::ParseEvaluation(text)) {
    const std::string written = records::FormatEvaluation(*record);
    if (records::FormatEvaluation(*records::ParseEvaluation(written)) != written) std::abort();
  }
  return 0;
}
