// A Dataset answers how many samples there are, what they look like, what all its bytes hash to, and what one sample
// is. What only some sources have (labels that differ, lengths, text) stands in SourceTraits and in the values that
// Measure and Describe fill: a source that has something new adds a field there, and who asks for it looks at the
// traits.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/shape.h"
#include "data/annotation.h"

namespace lockstep::data {

class Table;  // of data.proto

/// One named tensor of a sample, e.g. "image" u8 [28, 28, 1] (height, width, channels), "label" i32 [], "target" f32
/// [3], "features" f32 [13]. Dimensions that vary between samples are -1: time steps of speech, tokens of text.
struct Field {
  /// Whose name it has: its format's, or the recipe's, which says what a model does with it.
  enum class Use : uint8_t { kFormats, kInput, kAnswer };

  std::string name;
  DType dtype;
  Shape shape;
  int padding = 0;  ///< in rows of a batch that stand for no sample: 0, or -1 (of i32)
  Use use = Use::kFormats;
  int classes = 0;  ///< of integers that the recipe names: they are less than it; 0 of others
  float scale = 1;  ///< of numbers that the recipe names: what a transform multiplies them by
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

/// What a source has besides its samples' tensors, the same for all of them: one row of the table of sources.
struct SourceTraits {
  int classes = 0;                               ///< of "label"; 0 where there is no label
  std::vector<std::string> class_names = {};     ///< in the order of the labels; empty where classes are numbers
  std::shared_ptr<const Table> table = nullptr;  ///< what the rows say of a table's columns; null where it is no table
  /// What each sample adds to the denominator of a mean loss: 1, or for sequences its labels that count. 0: samples
  /// differ, and Dataset::Measure knows.
  uint64_t labels = 1;
  bool ragged = false;       ///< samples differ in length: fields have dimensions of -1, and Measure knows the lengths
  bool resized = false;      ///< a sample's lengths differ between epochs
  uint64_t held_bytes = 0;   ///< of memory that the samples take; 0 where they are read from files, or are few
  bool text_bytes = false;   ///< Describe knows how many bytes of text the labels stand for
  SentenceMarks marks = {};  ///< of sequences that a model writes label by label
  /// Labels of a sequence as text: letters, or what tokens stand for. Null where labels are no text.
  std::function<std::string(std::span<const int32_t>)> text_of = nullptr;
};

/// What samples count for in each of a model's losses, in their order: what its sum is divided by for its mean.
using LossCounts = std::array<uint64_t, 4>;

/// What batches must know of a sample before it is read.
struct SampleSize {
  uint64_t labels = 1;                          ///< as SourceTraits::labels, of this one
  std::vector<AnnotatedPicture> pictures = {};  ///< that it is made of, with boxes: one, of a mosaic four
  /// Of a ragged sample: what its length follows from (Transform::SequenceLength). Of speech, the audio samples of each
  /// of its recordings; of a pair of sentences, the tokens of each.
  std::vector<int64_t> lengths = {};
};

/// What a reader of reports wants to know of a sample.
struct SampleText {
  std::string line = {};  ///< file and line that it comes from ("train.de:11"), of several the first; empty: unknown
  std::string reference = {};  ///< what a model should answer: a transcript, a translation; empty where that is no text
  uint64_t text_bytes = 0;     ///< of the text that its labels stand for; 0 where SourceTraits::text_bytes is false
  std::string name = {};       ///< what its source calls it: a file, a row's id; empty: nothing
  std::string group = {};      ///< what splits must not part: a patient, a speaker; empty where the source knows none
  int32_t label = -1;          ///< its class; -1 where it has none, or a sequence of them
};

/// Thread-safe. What is not pure virtual has a default for samples of one shape with a label each.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual uint64_t size() const = 0;
  virtual std::span<const Field> fields() const = 0;
  virtual const SourceTraits& traits() const;
  /// A hash of everything that Read can return, with the format's name and parameters, never with paths. A full hash
  /// up to 1 GiB; the same on every rank that sees the same bytes.
  virtual uint64_t fingerprint() const = 0;
  /// Cheap: nothing is read. Reuses the memory of `size`.
  virtual void Measure(uint64_t epoch, uint64_t id, SampleSize& size) const;
  /// At least as many lengths, each at least as large, as Measure answers for this sample in any epoch.
  virtual void MeasureLargest(uint64_t id, SampleSize& size) const;
  /// May take as long as reading the sample.
  virtual SampleText Describe(uint64_t epoch, uint64_t id) const;
  /// Sample `id` (0 <= id < size()) of epoch `epoch` (formats whose samples differ between epochs use it). Throws
  /// Error(kData) naming file and record.
  virtual void Read(uint64_t epoch, uint64_t id, Sample& sample) const = 0;

  // What is often asked for, made of the above.
  int classes() const { return traits().classes; }
  bool ragged() const { return traits().ragged; }
  bool uniform_labels() const { return traits().labels > 0; }
  SentenceMarks marks() const { return traits().marks; }
  std::string TextOf(std::span<const int32_t> labels) const;
  uint64_t labels(uint64_t epoch, uint64_t id) const;
  void Lengths(uint64_t epoch, uint64_t id, std::vector<int64_t>& lengths) const;
  std::string Reference(uint64_t epoch, uint64_t id) const { return Describe(epoch, id).reference; }
  std::string LineOf(uint64_t epoch, uint64_t id) const { return Describe(epoch, id).line; }
  /// Bytes of the text that the labels of samples [first, first + count) of epoch 0 stand for; 0 where that is unknown.
  uint64_t TextBytes(uint64_t first, uint64_t count) const;
};

}  // namespace lockstep::data
