#include "data/open/open_dataset.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "data/boxes/open_boxes.h"
#include "data/formats/cifar.h"
#include "data/formats/idx.h"
#include "data/formats/synthetic.h"
#include "data/memory_dataset.h"
#include "data/open/open_arrays.h"
#include "data/open/settle_classes.h"
#include "data/pictures/open_pictures.h"
#include "data/source_file.h"
#include "data/split_samples.h"
#include "data/table/csv.h"
#include "data/text/open_text.h"
#include "data/text/sentences/parallel_text.h"

namespace lockstep::data {
namespace {

class Slice : public Dataset {
 public:
  Slice(std::unique_ptr<Dataset> whole, uint64_t first, uint64_t count)
      : whole_(std::move(whole)), first_(first), count_(count) {}

  uint64_t size() const override { return count_; }
  std::span<const Field> fields() const override { return whole_->fields(); }
  const SourceTraits& traits() const override { return whole_->traits(); }
  void Measure(uint64_t epoch, uint64_t id, SampleSize& size) const override {
    whole_->Measure(epoch, first_ + id, size);
  }
  void MeasureLargest(uint64_t id, SampleSize& size) const override { whole_->MeasureLargest(first_ + id, size); }
  SampleText Describe(uint64_t epoch, uint64_t id) const override { return whole_->Describe(epoch, first_ + id); }

  uint64_t fingerprint() const override {
    return Hash64(fmt::format("slice 1 {} {} {}", whole_->fingerprint(), first_, count_));
  }

  void Read(uint64_t epoch, uint64_t id, Sample& sample) const override {
    CHECK(id < count_, "sample {} of {}", id, count_);
    whole_->Read(epoch, first_ + id, sample);
  }

 private:
  std::unique_ptr<Dataset> whole_;
  uint64_t first_, count_;
};

Origin RequiredFile(const std::string& path, std::string field) {
  if (path.empty()) throw Error(ErrorKind::kUsage, "the file is not named", field, "set it in the recipe");
  return {path, std::move(field)};
}

Records LoadIdx(const Idx& config, const std::string& field) {
  const Origin images = RequiredFile(config.images(), field + ".images");
  const Origin labels = RequiredFile(config.labels(), field + ".labels");
  const std::vector<std::byte> label_bytes = LoadSourceFile(labels);
  return ReadIdx(LoadSourceFile(images), images, label_bytes, labels);
}

Records LoadCifar(const Cifar& config, const std::string& field) {
  if (config.files().empty())
    throw Error(ErrorKind::kUsage, "no file is named", field + ".files", "set it in the recipe");
  CifarReader reader;
  for (const std::string& path : config.files()) {
    const Origin origin = RequiredFile(path, field + ".files");
    reader.Add(LoadSourceFile(origin), origin);
  }
  return reader.Finish();
}

/// Which rows are trained on, of those that skip and limit leave and split deals out.
std::vector<uint8_t> TrainedRows(const Source& source, const Split* split, const SplitSamples& all) {
  std::vector<uint8_t> trained(all.samples);
  const uint64_t begin = std::min(source.skip(), all.samples);
  const uint64_t count = std::min(source.limit() == 0 ? all.samples : source.limit(), all.samples - begin);
  if (split == nullptr) {
    std::fill_n(trained.begin() + static_cast<ptrdiff_t>(begin), count, 1);
    return trained;
  }
  SplitSamples left{.samples = count};
  if (!all.labels.empty()) left.labels = all.labels.subspan(begin, count);
  if (!all.groups.empty()) left.groups = all.groups.subspan(begin, count);
  const std::vector<SplitPart> parts = DealSamples(*split, left);
  for (uint64_t i = 0; i < count; ++i) trained[begin + i] = parts[i] == SplitPart::kTrain;
  return trained;
}

Records LoadCsv(const Source& source, const std::string& field, const OpenOptions& options) {
  const Csv& config = source.csv();
  RequiredFile(config.file(), field + ".file");
  CsvOptions csv{.classes = options.classes,
                 .class_names = options.class_names,
                 .table = options.table.get(),
                 .group = options.group,
                 .on_broken = options.on_broken};
  csv.trained = [&](uint64_t rows, std::span<const int32_t> labels, std::span<const std::string> groups) {
    return TrainedRows(source, options.split, {rows, labels, groups});
  };
  return ReadCsvFile(config, {config.file(), field}, csv);
}

/// Samples in memory.
std::unique_ptr<Dataset> Hold(Records records, const std::string& path, const FingerprintOptions& fingerprint,
                              const OpenOptions& options) {
  SettleClasses({options.classes, options.training, options.on_broken}, path, records);
  return std::make_unique<MemoryDataset>(std::move(records), fingerprint);
}

std::unique_ptr<Dataset> OpenWhole(const Source& source, const std::string& path, uint64_t seed, Verify::Value verify,
                                   const OpenOptions& text) {
  const FingerprintOptions options{.seed = seed, .verify = verify};
  if (text.training && text.longest > 0 && !source.has_parallel()) {
    throw Error(ErrorKind::kUsage, "only pairs of sentences are left out for their length", "data.longest",
                "remove it, or set data.train.parallel");
  }
  switch (source.format_case()) {
    case Source::kIdx:
      return Hold(LoadIdx(source.idx(), path + ".idx"), path, options, text);
    case Source::kCifar:
      return Hold(LoadCifar(source.cifar(), path + ".cifar"), path, options, text);
    case Source::kCsv:
      return Hold(LoadCsv(source, path + ".csv", text), path, options, text);
    case Source::kArrays:
      return Hold(OpenArrays(source.arrays(), path + ".arrays", {text.classes, text.class_names, text.on_broken}), path,
                  options, text);
    case Source::kSynthetic:
      return MakeSynthetic(source.synthetic(), path + ".synthetic", seed);
    case Source::kText:
      return OpenText(source.text(), path + ".text", seed, {text.tokenizer, text.block, text.training});
    case Source::kTokens:
      return OpenTokens(source.tokens(), path + ".tokens", options,
                        {text.tokenizer, text.block, text.training, text.on_broken != nullptr});
    case Source::kSpeech:
      return OpenSpeech(source.speech(), path + ".speech", seed, verify, text.training, text.speech);
    case Source::kParallel:
      return OpenParallel(source.parallel(), path + ".parallel", text.tokenizer, text.training ? text.longest : 0);
    case Source::kFolder:
      return OpenImageFolder(source.folder(), path + ".folder", options,
                             {text.class_names, text.classes, text.on_broken});
    case Source::kPacked:
      return OpenPackedImages(source.packed(), path + ".packed", options,
                              {text.class_names, text.classes, text.on_broken});
    case Source::kVoc:
      return OpenVocBoxes(source.voc(), path + ".voc", options, {text.class_names, text.classes, text.on_broken});
    case Source::kCoco:
      return OpenCocoBoxes(source.coco(), path + ".coco", options, {text.class_names, text.classes, text.on_broken});
    case Source::kYolo:
      return OpenYoloBoxes(source.yolo(), path + ".yolo", options, {text.class_names, text.classes, text.on_broken});
    case Source::FORMAT_NOT_SET:
      break;
  }
  throw Error(ErrorKind::kUsage, "no data is named", path,
              "set one of folder, packed, voc, coco, yolo, idx, cifar, csv, arrays, text, tokens, speech, parallel and "
              "synthetic");
}

/// Means over labels, and error rates, are of nothing where there is none.
void RequireLabels(const Dataset& dataset, const std::string& path) {
  if (dataset.uniform_labels()) return;
  for (uint64_t id = 0; id < dataset.size(); ++id)
    if (dataset.labels(0, id) > 0) return;
  if (dataset.fields().front().name == "pictures")
    throw Error(ErrorKind::kData, "none of its pictures has a box", path, "name pictures in which something is");
  throw Error(ErrorKind::kData, "all of its transcripts are empty", path, "name recordings in which something is said");
}

/// "image u8 [28, 28, 1], label i32 []".
std::string FieldsText(std::span<const Field> fields) {
  std::string text;
  for (const Field& field : fields) {
    text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", field.name, Name(field.dtype), field.shape.ToString());
    if (field.scale != 1) text += fmt::format(" times {}", field.scale);
  }
  return text;
}

/// Ids and classes that the recipe names.
void RequireKnownIntegers(const Dataset& train, const Dataset& other, const std::string& other_path) {
  const std::span<const Field> known = train.fields();
  for (size_t i = 0; i < known.size(); ++i) {
    const Field& field = other.fields()[i];
    if (field.classes <= known[i].classes) continue;
    throw Error(ErrorKind::kData,
                fmt::format("its \"{}\" goes up to {}, but that of data.train up to {}", field.name, field.classes - 1,
                            known[i].classes - 1),
                other_path, "train on data that has them all, or set classes beside its name in data.train.arrays");
  }
}

bool SameFields(std::span<const Field> a, std::span<const Field> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Field& x, const Field& y) {
    return x.name == y.name && x.dtype == y.dtype && x.shape == y.shape && x.use == y.use && x.scale == y.scale;
  });
}

}  // namespace

std::unique_ptr<Dataset> TakeSlice(std::unique_ptr<Dataset> whole, uint64_t first, uint64_t count) {
  CHECK(first <= whole->size() && count <= whole->size() - first, "samples {} to {} of {}", first, first + count,
        whole->size());
  return std::make_unique<Slice>(std::move(whole), first, count);
}

std::unique_ptr<Dataset> OpenDataset(const Source& source, const std::string& field_path, uint64_t seed,
                                     Verify::Value verify, const OpenOptions& text) {
  std::unique_ptr<Dataset> whole = OpenWhole(source, field_path, seed, verify, text);
  const uint64_t size = whole->size();
  if (source.skip() >= size) {
    throw Error(ErrorKind::kUsage,
                fmt::format("nothing is left: there are {} samples, and {} are skipped", size, source.skip()),
                field_path + ".skip");
  }
  const uint64_t left = size - source.skip();
  const uint64_t count = source.limit() == 0 ? left : std::min(left, source.limit());
  auto samples = count == size ? std::move(whole) : TakeSlice(std::move(whole), source.skip(), count);
  RequireLabels(*samples, field_path);
  return samples;
}

void CheckCompatible(const Dataset& train, const Dataset& other, const std::string& other_path) {
  if (!SameFields(train.fields(), other.fields())) {
    throw Error(ErrorKind::kData,
                fmt::format("its samples are {}, those of data.train are {}", FieldsText(other.fields()),
                            FieldsText(train.fields())),
                other_path, "all splits must look alike");
  }
  RequireKnownIntegers(train, other, other_path);
  const bool tokens = train.fields().front().name == "tokens";
  if (tokens && other.classes() != train.classes()) {
    throw Error(ErrorKind::kData,
                fmt::format("its vocabulary has {} tokens, that of data.train {}", other.classes(), train.classes()),
                other_path, "use the same vocabulary for all splits");
  }
  if (other.classes() <= train.classes()) return;
  const auto fields = other.fields();
  const auto label =
      std::find_if(fields.begin(), fields.end(), [](const Field& field) { return field.name == "label"; });
  CHECK(label != fields.end());
  Sample sample;
  for (uint64_t id = 0; id < other.size(); ++id) {
    other.Read(0, id, sample);
    const int32_t value = sample.tensors[static_cast<size_t>(label - fields.begin())].As<int32_t>()[0];
    if (value >= train.classes()) {
      throw Error(ErrorKind::kData,
                  fmt::format("label out of range: sample {} (from 0) has label {}, but data.train has classes 0 to {}",
                              id, value, train.classes() - 1),
                  other_path, "train on data that has all classes, or correct the label");
    }
  }
}

}  // namespace lockstep::data
