#include <algorithm>
#include <array>
#include <utility>

#include "base/philox.h"
#include "data/boxes/boxed_pictures.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

class MosaicDataset final : public Dataset {
 public:
  MosaicDataset(std::shared_ptr<const Dataset> pictures, double probability, uint64_t seed)
      : pictures_(std::move(pictures)), probability_(probability), seed_(seed) {}

  uint64_t size() const override { return pictures_->size(); }
  std::span<const Field> fields() const override { return pictures_->fields(); }
  const SourceTraits& traits() const override { return pictures_->traits(); }
  uint64_t fingerprint() const override { return pictures_->fingerprint(); }
  SampleText Describe(uint64_t epoch, uint64_t id) const override { return pictures_->Describe(epoch, id); }

  void Measure(uint64_t epoch, uint64_t id, SampleSize& size) const override {
    pictures_->Measure(epoch, id, size);
    SampleSize other;
    for (const uint64_t other_id : Others(epoch, id)) {
      pictures_->Measure(epoch, other_id, other);
      size.labels += other.labels;
      size.pictures.push_back(other.pictures.front());
    }
  }

  void Read(uint64_t epoch, uint64_t id, Sample& sample) const override {
    pictures_->Read(epoch, id, sample);
    Sample other;
    for (const uint64_t other_id : Others(epoch, id)) {
      pictures_->Read(epoch, other_id, other);
      for (const size_t joined : {0, 2, 3}) {
        Sample::Tensor& to = sample.tensors[joined];
        const Sample::Tensor& from = other.tensors[joined];
        to.bytes.insert(to.bytes.end(), from.bytes.begin(), from.bytes.end());
        to.shape = Shape{to.shape[0] + from.shape[0]};
      }
    }
  }

 private:
  /// The other pictures of a mosaic; none where the sample is none.
  std::vector<uint64_t> Others(uint64_t epoch, uint64_t id) const {
    const RandomStream stream{seed_, epoch, kMosaicKey, id};
    const Philox4 bits = stream.Group(0);
    std::vector<uint64_t> others;
    if (bits.x[0] * 0x1p-32 >= probability_) return others;
    for (int i = 1; i < 4; ++i) others.push_back(uint64_t{bits.x[i]} * size() >> 32);
    return others;
  }

  const std::shared_ptr<const Dataset> pictures_;
  const double probability_;
  const uint64_t seed_;
};

}  // namespace

std::shared_ptr<const Dataset> WithMosaics(std::shared_ptr<const Dataset> pictures, double probability, uint64_t seed) {
  if (probability == 0) return pictures;
  return std::make_shared<MosaicDataset>(std::move(pictures), probability, seed);
}

}  // namespace lockstep::data
