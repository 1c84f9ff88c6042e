#include "data/drawn_samples.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/sampler.h"

namespace lockstep::data {
namespace {

class DrawnSamples final : public Dataset {
 public:
  DrawnSamples(std::shared_ptr<const Dataset> whole, uint64_t count, uint64_t seed) : whole_(std::move(whole)) {
    const Sampler sampler(whole_->size(), seed);
    ids_.reserve(count);
    for (uint64_t position = 0; position < count; ++position) ids_.push_back(sampler.At(position).id);
    std::sort(ids_.begin(), ids_.end());
  }

  uint64_t size() const override { return ids_.size(); }
  std::span<const Field> fields() const override { return whole_->fields(); }
  const SourceTraits& traits() const override { return whole_->traits(); }
  uint64_t fingerprint() const override { return whole_->fingerprint(); }
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
  std::vector<uint64_t> ids_;
};

}  // namespace

std::shared_ptr<const Dataset> DrawSamples(std::shared_ptr<const Dataset> whole, uint64_t count, uint64_t seed) {
  if (count == 0 || count >= whole->size()) return whole;
  return std::make_shared<DrawnSamples>(std::move(whole), count, seed);
}

}  // namespace lockstep::data
