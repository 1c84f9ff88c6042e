// What a model's answers to a whole split are worth, one by one: measures by class or target, and the worst of them.
//
//   Examination examination(data, shape, task);
//   job.make_scorer = examination.Keep(job.make_scorer);
//   ... the evaluation of a split ...
//   examination.Collect(comm, samples);
//   examination.Examine({...});  // on rank 0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "data/data.pb.h"
#include "data/dataset.h"
#include "trainer/evaluate/answer_keeper.h"
#include "trainer/metrics/metrics.h"
#include "trainer/models/models.h"
#include "trainer/records/evaluation_record.h"

namespace lockstep::launch {

/// Takes its answers from the evaluation itself, whose numbers they are then, on any number of ranks.
class Examination {
 public:
  /// Whether a model of this task gives single answers: all but language models do.
  /// Answers are compared with the data's label or target: with fields of other names a graph's losses alone tell.
  static bool IsPossible(metrics::Task task, const models::DataShape& shape) {
    if (task == metrics::Task::kRegression) return shape.targets > 0;
    return task != metrics::Task::kLanguageModel;
  }

  /// REQUIRES: IsPossible(task, shape), and that `data` is settled.
  Examination(data::DataConfig data, models::DataShape shape, metrics::Task task);

  /// `inner`, which may be null, with answers kept. This outlives the scorers.
  evaluate::ScorerFactory Keep(evaluate::ScorerFactory inner) { return keeper_.Keep(std::move(inner)); }

  struct Split {
    const data::Dataset& samples;  ///< that were evaluated
    std::string name;              ///< "test"
    uint64_t step = 0;             ///< whose weights answered
  };
  /// Collective, after an evaluation of so many samples: brings their answers to rank 0.
  void Collect(comm::Communicator& comm, uint64_t samples);
  /// On rank 0, after Collect: measures, and the worst answers. These are, of classes, wrong ones of the largest loss;
  /// of values, those of the largest squared error; of transcripts, those of most wrong characters for each true one;
  /// of translations, those of the least chrF; of pictures with boxes, those with most that is missed or wrong. Throws
  /// Error(kData) where a sample can't be read any more.
  records::SplitRecord Examine(const Split& split) const;

 private:
  size_t outputs() const { return static_cast<size_t>(shape_.classes > 0 ? shape_.classes : shape_.targets); }
  /// Whether answers are of any length: texts, or the boxes in a picture as they lie in memory.
  bool writes() const {
    return task_ == metrics::Task::kSpeech || task_ == metrics::Task::kTranslation ||
           task_ == metrics::Task::kDetection;
  }

  const data::DataConfig data_;
  const models::DataShape shape_;
  const metrics::Task task_;
  evaluate::AnswerKeeper keeper_;
  std::vector<float> numbers_;      ///< [samples, outputs()], where it doesn't write
  std::vector<std::string> texts_;  ///< by sample, where it does
};

}  // namespace lockstep::launch
