#include "data/pictures/picture_dataset.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/error.h"
#include "base/hash.h"
#include "base/philox.h"

namespace lockstep::data {
namespace {

/// Whether all pictures together have at most `most` bytes; looks at no more of them than it needs to know.
bool FitIn(const PictureStore& store, uint64_t most) {
  uint64_t sum = 0;
  for (uint64_t id = 0; id < store.size(); ++id)
    if ((sum += store.Bytes(id)) > most) return false;
  return true;
}

uint64_t FingerprintOf(const LabelledPictures& pictures, const FingerprintOptions& options) {
  constexpr uint64_t kFiles = 4096, kFileBytes = uint64_t{64} << 10;
  const PictureStore& store = *pictures.store;
  Hasher hasher;
  const auto add = [&](const std::string& text) {
    hasher.AddInteger(text.size());
    hasher.Add(text);
  };
  add(pictures.format);
  for (const std::string& name : pictures.class_names) add(name);
  hasher.AddInteger(store.size());
  for (uint64_t id = 0; id < store.size(); ++id) add(store.Name(id));
  hasher.Add(std::as_bytes(std::span(pictures.labels)));
  std::vector<std::byte> bytes;
  const auto add_file = [&](uint64_t id, uint64_t most) {
    store.Read(id, bytes);
    hasher.AddInteger(bytes.size());
    hasher.Add(std::span(bytes).first(std::min<uint64_t>(bytes.size(), most)));
  };
  if (options.verify == Verify::FULL || FitIn(store, options.whole_up_to)) {
    for (uint64_t id = 0; id < store.size(); ++id) add_file(id, UINT64_MAX);
  } else {
    for (uint64_t i = 0; i < kFiles; ++i) add_file(Mix64(Mix64(options.seed) + i) % store.size(), kFileBytes);
  }
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
