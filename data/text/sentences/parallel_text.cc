#include "data/text/sentences/parallel_text.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "data/formats/lines.h"
#include "data/source_file.h"
#include "data/text/tokenizers/token_errors.h"

namespace lockstep::data {
namespace {

/// Rows of different lengths, one behind the other.
template <typename Row>
class Rows {
 public:
  void Add(const Row& row) {
    values_.insert(values_.end(), row.begin(), row.end());
    ends_.push_back(values_.size());
  }
  size_t size() const { return ends_.size(); }
  const Row& values() const { return values_; }
  auto operator[](size_t row) const {
    const size_t begin = row == 0 ? 0 : ends_[row - 1];
    return std::span(values_).subspan(begin, ends_[row] - begin);
  }

 private:
  Row values_;
  std::vector<size_t> ends_;
};

using Ids = std::vector<int32_t>;

/// Appends the tokens of `sentence`, which is line `line` (from 1) of `file`.
void Encode(const SentenceVocabulary& vocabulary, const std::string& sentence, const std::string& file, size_t line,
            Ids& ids) {
  try {
    vocabulary.Encode(sentence, ids);
  } catch (const Error& error) {
    throw Error(error.kind(), error.message(), fmt::format("{}:{}", file, line), error.hint());
  }
}

class ParallelText final : public Dataset {
 public:
  ParallelText(SentenceVocabulary vocabulary, std::string source_file)
      : vocabulary_(std::move(vocabulary)),
        source_file_(std::move(source_file)),
        fields_{{Field{"source", DType::kI32, Shape{-1}}, Field{"target", DType::kI32, Shape{-1}}}},
        traits_{.classes = vocabulary_.size(),
                .labels = 0,
                .ragged = true,
                .marks = vocabulary_.marks(),
                .text_of = [this](std::span<const int32_t> labels) { return vocabulary_.TextOf(labels); }} {
    hasher_.AddInteger(vocabulary_.fingerprint());
  }

  /// Adds a pair; returns false where a side has more than `longest` tokens.
  bool Add(const ParallelLines& lines, size_t line, const Parallel& config, uint32_t longest) {
    const SentenceMarks marks = vocabulary_.marks();
    Ids source, target = {marks.begin};
    Encode(vocabulary_, lines.source[line], config.source(), line + 1, source);
    Encode(vocabulary_, lines.target[line], config.target(), line + 1, target);
    source.push_back(marks.end);
    target.push_back(marks.end);
    if (longest > 0 && std::max(source.size(), target.size() - 1) > longest) return false;
    source_.Add(source);
    target_.Add(target);
    lines_.push_back(line + 1);
    references_.Add(lines.target[line]);
    for (const std::string* side : {&lines.source[line], &lines.target[line]}) {
      hasher_.AddInteger(side->size());
      hasher_.Add(*side);
    }
    return true;
  }

  uint64_t size() const override { return references_.size(); }
  std::span<const Field> fields() const override { return fields_; }
  const SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override { return hasher_.Digest(); }

  void Measure(uint64_t /*epoch*/, uint64_t id, SampleSize& size) const override {
    size.labels = target_[id].size() - 1;
    size.lengths.assign({static_cast<int64_t>(source_[id].size()), static_cast<int64_t>(target_[id].size()) - 1});
  }

  SampleText Describe(uint64_t /*epoch*/, uint64_t id) const override {
    const std::span<const char> text = references_[id];
    return {.line = fmt::format("{}:{}", source_file_, lines_[id]), .reference = {text.begin(), text.end()}};
  }

  /// Warns of a side that the vocabulary isn't for.
  void WarnOfUnknown(const std::string& target_file) const {
    data::WarnOfUnknown(source_file_, vocabulary_.CountUnknown(source_.values()), source_.values().size());
    data::WarnOfUnknown(target_file, vocabulary_.CountUnknown(target_.values()), target_.values().size());
  }

  void Read(uint64_t /*epoch*/, uint64_t id, Sample& sample) const override {
    CHECK(id < size(), "sample {} of {}", id, size());
    sample.tensors.resize(fields_.size());
    sample.tensors[0].Assign(source_[id]);
    sample.tensors[1].Assign(target_[id]);
  }

 private:
  const SentenceVocabulary vocabulary_;
  const std::string source_file_;
  const std::array<Field, 2> fields_;
  const SourceTraits traits_;
  Rows<Ids> source_;  ///< with the end
  Rows<Ids> target_;  ///< with begin and end
  Rows<std::string> references_;
  std::vector<uint64_t> lines_;  ///< from 1
  Hasher hasher_;
};

std::vector<std::string> LoadSide(const std::string& path, const std::string& field) {
  if (path.empty()) throw Error(ErrorKind::kUsage, "the file is not named", field, "set it in the recipe");
  const Origin origin{path, field};
  return ReadLines(LoadSourceFile(origin), origin);
}

}  // namespace

ParallelLines LoadParallelLines(const Parallel& config, const std::string& field) {
  ParallelLines lines{LoadSide(config.source(), field + ".source"), LoadSide(config.target(), field + ".target")};
  const size_t sources = lines.source.size(), targets = lines.target.size();
  if (sources != targets) {
    const bool more = sources > targets;
    throw Error(ErrorKind::kData,
                fmt::format("has {} lines, but {} has {}", more ? sources : targets,
                            more ? config.target() : config.source(), more ? targets : sources),
                fmt::format("{}:{}", more ? config.source() : config.target(), std::min(sources, targets) + 1),
                "each line must stand for the same line of the other file: look where they part, or get both again");
  }
  return lines;
}

std::unique_ptr<Dataset> MakeParallelText(const ParallelLines& lines, SentenceVocabulary vocabulary,
                                          const Parallel& config, uint32_t longest) {
  CHECK(lines.source.size() == lines.target.size() && !lines.source.empty());
  auto dataset = std::make_unique<ParallelText>(std::move(vocabulary), config.source());
  size_t left_out = 0;
  for (size_t line = 0; line < lines.source.size(); ++line) {
    if (!dataset->Add(lines, line, config, longest)) ++left_out;
  }
  if (dataset->size() == 0) {
    throw Error(ErrorKind::kData, fmt::format("all {} pairs of sentences have more than {} tokens", left_out, longest),
                config.source(), "raise data.longest");
  }
  if (left_out > 0) {
    LogNote("{}: {} of {} pairs of sentences have more than {} tokens and are left out (data.longest)", config.source(),
            left_out, lines.source.size(), longest);
  }
  dataset->WarnOfUnknown(config.target());
  return dataset;
}

std::unique_ptr<Dataset> OpenParallel(const Parallel& config, const std::string& field,
                                      std::shared_ptr<const Tokenizer> tokenizer, uint32_t longest) {
  SentenceVocabulary vocabulary = RequireSentenceVocabulary(std::move(tokenizer));
  return MakeParallelText(LoadParallelLines(config, field), std::move(vocabulary), config, longest);
}

}  // namespace lockstep::data
