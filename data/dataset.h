// A Dataset answers how many samples there are, what they look like, what all its bytes hash to, and what one sample
// is.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/shape.h"

namespace lockstep::data {

/// One named tensor of a sample, e.g. "image" u8 [28, 28, 1] (height, width, channels), "label" i32 [], "target" f32
/// [3], "features" f32 [13]. Dimensions that vary between samples are -1: their places.
struct Field {
  std::string name;
  DType dtype;
  Shape shape;
  int padding = 0;  ///< in rows of a batch that stand for no sample: 0, or -1 (of i32)
};

/// The tensors of one sample, in the order of Dataset::fields(). Reading into a Sample reuses its memory.
struct Sample {
  struct Tensor {
    Shape shape;
    std::vector<std::byte> bytes;

    template <typename T>
    std::span<T> As() {
      return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
    }
    template <typename T>
    std::span<const T> As() const {
      return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
    }
    /// Makes it a row of these.
    template <typename T>
    void Assign(std::span<const T> values) {
      const auto all = std::as_bytes(values);
      shape = Shape{static_cast<int64_t>(values.size())};
      bytes.assign(all.begin(), all.end());
    }
  };
  std::vector<Tensor> tensors;
};

/// Labels that begin and end a sequence that a model writes; -1: there is none.
struct SentenceMarks {
  int32_t begin = -1, end = -1;
};

class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual uint64_t size() const = 0;
  virtual std::span<const Field> fields() const = 0;
  /// Number of classes of "label", 0 where there is no label.
  virtual int classes() const { return 0; }
  /// What sample `id` adds to the denominator of a mean loss: 1, or for sequences its labels that count. Cheap.
  virtual uint64_t labels(uint64_t /*epoch*/, uint64_t /*id*/) const { return 1; }
  /// Whether all samples add the same.
  virtual bool uniform_labels() const { return true; }
  /// A hash of everything that read() can return, with the format's name and parameters, never with paths. A full hash
  /// up to 1 GiB; the same on every rank that sees the same bytes.
  virtual uint64_t fingerprint() const = 0;
  /// Whether samples differ in length: fields have dimensions of -1.
  virtual bool ragged() const { return false; }
  /// Of a ragged sample: what its length follows from (Transform::Places), without reading it. Of speech, the audio
  /// samples of each of its recordings; of a pair of sentences, the tokens of each. Cheap.
  virtual void Lengths(uint64_t /*epoch*/, uint64_t /*id*/, std::vector<int64_t>& lengths) const { lengths.clear(); }
  /// At least as many lengths, each at least as large, as Lengths answers for this sample in any epoch.
  virtual void MostLengths(uint64_t id, std::vector<int64_t>& lengths) const { Lengths(0, id, lengths); }
  /// Labels of a sequence as text: letters, or what tokens stand for. Empty where labels are no text.
  virtual std::string TextOf(std::span<const int32_t> /*labels*/) const { return {}; }
  /// Of sequences that a model writes label by label.
  virtual SentenceMarks marks() const { return {}; }
  /// Bytes of the text that the labels of samples [first, first + count) of epoch 0 stand for; 0 where that is unknown.
  virtual uint64_t TextBytes(uint64_t /*first*/, uint64_t /*count*/) const { return 0; }
  /// What a model should answer, as text: a transcript, a translation. Empty where that is no text.
  virtual std::string Reference(uint64_t /*epoch*/, uint64_t /*id*/) const { return {}; }
  /// The file and line that sample `id` comes from ("train.de:11"), of several the first; empty where that is unknown.
  virtual std::string PlaceOf(uint64_t /*epoch*/, uint64_t /*id*/) const { return {}; }
  /// Sample `id` (0 <= id < size()) of epoch `epoch` (formats whose samples differ between epochs use it). Thread-safe.
  /// Throws Error(kData) naming file and record.
  virtual void Read(uint64_t epoch, uint64_t id, Sample& sample) const = 0;
};

}  // namespace lockstep::data
