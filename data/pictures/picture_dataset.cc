#include "data/pictures/picture_dataset.h"

#include <array>
#include <span>

#include "base/error.h"
#include "base/hash.h"
#include "data/pictures/hash_pictures.h"

namespace lockstep::data {
namespace {

uint64_t FingerprintOf(const LabelledPictures& pictures, const FingerprintOptions& options) {
  Hasher hasher;
  AddText(pictures.format, hasher);
  for (const std::string& name : pictures.class_names) AddText(name, hasher);
  HashNames(*pictures.store, hasher);
  hasher.Add(std::as_bytes(std::span(pictures.labels)));
  HashFiles(*pictures.store, options, hasher);
  return hasher.Digest();
}

class PictureDataset final : public Dataset {
 public:
  PictureDataset(LabelledPictures pictures, const FingerprintOptions& options)
      : pictures_(std::move(pictures)),
        fields_{{Field{"encoded", DType::kU8, Shape{-1}}, Field{"name", DType::kU8, Shape{-1}},
                 Field{"label", DType::kI32, Shape{}, /*padding=*/-1}}},
        traits_{.classes = static_cast<int>(pictures_.class_names.size()), .class_names = pictures_.class_names},
        fingerprint_(FingerprintOf(pictures_, options)) {}

  uint64_t size() const override { return pictures_.store->size(); }
  std::span<const Field> fields() const override { return fields_; }
  const SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override { return fingerprint_; }

  SampleText Describe(uint64_t, uint64_t id) const override {
    return {.line = pictures_.store->Path(id), .name = pictures_.store->Name(id), .label = pictures_.labels[id]};
  }

  void Read(uint64_t, uint64_t id, Sample& sample) const override {
    CHECK(id < size(), "sample {} of {}", id, size());
    sample.tensors.resize(fields_.size());
    Sample::Tensor& encoded = sample.tensors[0];
    pictures_.store->Read(id, encoded.bytes);
    encoded.shape = Shape{static_cast<int64_t>(encoded.bytes.size())};
    const std::string path = pictures_.store->Path(id);
    sample.tensors[1].Assign(std::span<const char>(path));
    sample.tensors[2].Assign(std::span(pictures_.labels).subspan(id, 1));
    sample.tensors[2].shape = Shape{};
  }

 private:
  const LabelledPictures pictures_;
  const std::array<Field, 3> fields_;
  const SourceTraits traits_;
  const uint64_t fingerprint_;
};

}  // namespace

std::unique_ptr<Dataset> MakePictureDataset(LabelledPictures pictures, const FingerprintOptions& options) {
  CHECK(pictures.store->size() > 0 && pictures.store->size() == pictures.labels.size());
  return std::make_unique<PictureDataset>(std::move(pictures), options);
}

}  // namespace lockstep::data
