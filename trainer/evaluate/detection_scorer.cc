#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/mutex.h"
#include "comm/communicator.h"
#include "trainer/evaluate/float_output.h"
#include "trainer/evaluate/scorer.h"
#include "trainer/infer/detector.h"
#include "trainer/metrics/detection/measure_detections.h"

namespace lockstep::evaluate {
namespace {

std::vector<float> Floats(std::span<const std::byte> bytes, size_t count) {
  const FloatOutput output(bytes, count);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = output[i];
  return values;
}

class DetectionScorer final : public Scorer {
 public:
  DetectionScorer(std::shared_ptr<const data::Dataset> dataset, const infer::DetectorForm& form)
      : dataset_(std::move(dataset)), form_(form) {}

  void Begin() override {
    MutexLock lock(mutex_);
    kept_.clear();
    found_.clear();
  }

  void Score(int, const data::LaneBatch& block, const Output& output, Scores&) override {
    const auto rows = static_cast<size_t>(block.fields.front().shape[0]);
    const std::vector<infer::DetectorForm::Output> outputs = form_.outputs();
    std::vector<std::vector<float>> values;
    for (const auto& [name, count] : outputs) values.push_back(Floats(output(name), rows * count));
    std::vector<std::span<const float>> answers(outputs.size());
    data::SampleSize size;
    for (size_t row = 0; row < block.samples.picks.size(); ++row) {
      const uint64_t id = block.samples.picks[row].id;
      dataset_->Measure(0, id, size);
      const data::AnnotatedPicture& picture = size.pictures.front();
      for (size_t k = 0; k < outputs.size(); ++k)
        answers[k] = std::span(values[k]).subspan(row * outputs[k].values, outputs[k].values);
      Keep(id, infer::Detect(form_, answers, picture.height, picture.width));
    }
  }

  void Share(comm::Communicator& comm) override {
    std::string mine;
    {
      MutexLock lock(mutex_);
      mine = std::exchange(kept_, {});
    }
    for (const std::string& theirs : comm::GatherStrings(comm, mine, "what all ranks detected")) Take(theirs);
  }

  std::vector<metrics::Metric> Result(const Scores&) const override {
    std::vector<std::vector<metrics::Truth>> truths;
    std::vector<std::vector<metrics::Detection>> found;
    data::SampleSize size;
    for (const auto& [id, boxes] : found_) {
      dataset_->Measure(0, id, size);
      truths.push_back(infer::TruthsOf(size.pictures.front()));
      found.push_back(boxes);
    }
    const metrics::DetectionMeasures measures =
        metrics::MeasureDetections(truths, found, form_.categories, form_.find.least);
    return {
        {"ap", measures.summary.ap}, {"ap50", measures.summary.ap50}, {"ap50_all_points", measures.ap50_all_points}};
  }

 private:
  /// In front of each picture's detections. Ranks are of one build: it travels as it lies in memory.
  struct Head {
    uint64_t sample = 0, count = 0;
  };

  void Keep(uint64_t sample, const std::vector<metrics::Detection>& found) {
    const std::string bytes(reinterpret_cast<const char*>(found.data()), found.size() * sizeof(metrics::Detection));
    Tell(sample, bytes);
    const Head head{sample, found.size()};
    MutexLock lock(mutex_);
    kept_.append(reinterpret_cast<const char*>(&head), sizeof head).append(bytes);
  }

  void Take(std::string_view kept) {
    while (!kept.empty()) {
      Head head;
      std::memcpy(&head, kept.data(), sizeof head);
      kept.remove_prefix(sizeof head);
      std::vector<metrics::Detection>& found = found_[head.sample];
      found.resize(head.count);
      std::memcpy(found.data(), kept.data(), head.count * sizeof(metrics::Detection));
      kept.remove_prefix(head.count * sizeof(metrics::Detection));
    }
  }

  const std::shared_ptr<const data::Dataset> dataset_;
  const infer::DetectorForm form_;
  Mutex mutex_;
  std::string kept_ GUARDED_BY(mutex_);
  std::map<uint64_t, std::vector<metrics::Detection>> found_;  ///< by sample: of all ranks
};

}  // namespace

std::unique_ptr<Scorer> MakeDetectionScorer(std::shared_ptr<const data::Dataset> dataset,
                                            const infer::DetectorForm& form) {
  return std::make_unique<DetectionScorer>(std::move(dataset), form);
}

}  // namespace lockstep::evaluate
