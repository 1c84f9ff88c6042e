#include "trainer/evaluate/answer_keeper.h"

#include <cstring>
#include <utility>
#include <vector>

#include "trainer/evaluate/float_output.h"

namespace lockstep::evaluate {
namespace {

/// In front of each answer. Ranks are of one build: it travels as it lies in memory.
struct Head {
  uint64_t sample = 0, length = 0;
};

}  // namespace

class AnswerKeeper::KeepingScorer final : public Scorer {
 public:
  KeepingScorer(AnswerKeeper& keeper, std::shared_ptr<Scorer> inner) : keeper_(keeper), inner_(std::move(inner)) {}

  void Begin() override {
    if (inner_) inner_->Begin();
  }

  void Score(int executor, const data::LaneBatch& block, const Output& output, Scores& scores) override {
    if (inner_) inner_->Score(executor, block, output, scores);
    if (keeper_.width_ == 0) return;
    const auto rows = static_cast<size_t>(block.fields.front().shape[0]);
    const FloatOutput values(output(keeper_.output_), rows * keeper_.width_);
    std::vector<float> answer(keeper_.width_);
    for (size_t row = 0; row < block.samples.picks.size(); ++row) {
      for (size_t i = 0; i < answer.size(); ++i) answer[i] = values[row * answer.size() + i];
      keeper_.Add(block.samples.picks[row].id,
                  {reinterpret_cast<const char*>(answer.data()), answer.size() * sizeof(float)});
    }
  }

  void Share(comm::Communicator& comm) override {
    if (inner_) inner_->Share(comm);
  }

  std::vector<metrics::Metric> Result(const Scores& scores) const override {
    return inner_ ? inner_->Result(scores) : std::vector<metrics::Metric>();
  }

 private:
  AnswerKeeper& keeper_;
  const std::shared_ptr<Scorer> inner_;
};

std::shared_ptr<Scorer> AnswerKeeper::Keep(std::shared_ptr<Scorer> inner) {
  if (inner && width_ == 0) inner->TellTexts([this](uint64_t sample, const std::string& text) { Add(sample, text); });
  return std::make_shared<KeepingScorer>(*this, std::move(inner));
}

ScorerFactory AnswerKeeper::Keep(ScorerFactory inner) {
  return [this, inner = std::move(inner)](std::shared_ptr<const data::Dataset> split, step::ForwardCompute& compute) {
    return Keep(inner ? inner(std::move(split), compute) : nullptr);
  };
}

void AnswerKeeper::Add(uint64_t sample, std::string_view answer) {
  const Head head{sample, answer.size()};
  MutexLock lock(mutex_);
  kept_.append(reinterpret_cast<const char*>(&head), sizeof head).append(answer);
}

void AnswerKeeper::Collect(comm::Communicator& comm,
                           const std::function<void(uint64_t sample, std::string_view answer)>& take) {
  std::string mine;
  {
    MutexLock lock(mutex_);
    mine = std::exchange(kept_, {});
  }
  for (std::string& theirs : comm::GatherStringsAt(comm, mine, /*root=*/0, "the answers of all ranks")) {
    for (std::string_view rest = theirs; !rest.empty();) {
      Head head;
      std::memcpy(&head, rest.data(), sizeof head);
      take(head.sample, rest.substr(sizeof head, head.length));
      rest.remove_prefix(sizeof head + head.length);
    }
    theirs = {};
  }
}

}  // namespace lockstep::evaluate
