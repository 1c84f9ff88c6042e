#include "data/chosen_samples.h"

#include <utility>

#include "base/error.h"

namespace lockstep::data {
namespace {

class ChosenSamples final : public Dataset {
 public:
  ChosenSamples(std::shared_ptr<const Dataset> whole, std::vector<uint64_t> ids, uint64_t fingerprint)
      : whole_(std::move(whole)), ids_(std::move(ids)), fingerprint_(fingerprint) {}

  uint64_t size() const override { return ids_.size(); }
  std::span<const Field> fields() const override { return whole_->fields(); }
  const SourceTraits& traits() const override { return whole_->traits(); }
  uint64_t fingerprint() const override { return fingerprint_; }
  void Measure(uint64_t epoch, uint64_t id, SampleSize& size) const override { whole_->Measure(epoch, IdOf(id), size); }
  void MeasureLargest(uint64_t id, SampleSize& size) const override { whole_->MeasureLargest(IdOf(id), size); }
  SampleText Describe(uint64_t epoch, uint64_t id) const override { return whole_->Describe(epoch, IdOf(id)); }
  void Read(uint64_t epoch, uint64_t id, Sample& sample) const override { whole_->Read(epoch, IdOf(id), sample); }

 private:
  uint64_t IdOf(uint64_t id) const {
    CHECK(id < ids_.size(), "sample {} of {}", id, ids_.size());
    return ids_[id];
  }

  const std::shared_ptr<const Dataset> whole_;
  const std::vector<uint64_t> ids_;
  const uint64_t fingerprint_;
};

}  // namespace

std::shared_ptr<const Dataset> ChooseSamples(std::shared_ptr<const Dataset> whole, std::vector<uint64_t> ids,
                                             uint64_t fingerprint) {
  return std::make_shared<ChosenSamples>(std::move(whole), std::move(ids), fingerprint);
}

}  // namespace lockstep::data
