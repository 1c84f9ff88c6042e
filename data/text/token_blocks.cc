#include "data/text/token_blocks.h"

#include <algorithm>
#include <array>
#include <mutex>

#include "base/error.h"
#include "base/hash.h"
#include "base/philox.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

class MemoryTokens final : public TokenSource {
 public:
  explicit MemoryTokens(std::vector<int32_t> tokens) : tokens_(std::move(tokens)) {}

  uint64_t size() const override { return tokens_.size(); }
  void Read(uint64_t first, std::span<int32_t> to) const override {
    CHECK(first <= size() && to.size() <= size() - first);
    std::copy_n(tokens_.begin() + static_cast<int64_t>(first), to.size(), to.begin());
  }
  uint64_t fingerprint() const override { return Hash64(std::as_bytes(std::span(tokens_))); }
  uint64_t held_bytes() const override { return tokens_.size() * sizeof(int32_t); }

 private:
  const std::vector<int32_t> tokens_;
};

class TokenBlocks final : public Dataset {
 public:
  TokenBlocks(std::unique_ptr<TokenSource> source, const TokenBlocksOptions& options)
      : source_(std::move(source)),
        options_(options),
        size_(CountBlocks(source_->size(), options)),
        fields_{{Field{"tokens", DType::kI32, Shape{options.block}},
                 Field{"label", DType::kI32, Shape{options.block}, /*padding=*/-1}}},
        fingerprint_(Hash64(fmt::format("token blocks 1 {} {} {} {}", source_->fingerprint(), options.block,
                                        options.vocabulary, options.cut_anew))),
        traits_{.classes = options.vocabulary,
                .labels = static_cast<uint64_t>(options.block),
                .held_bytes = source_->held_bytes(),
                .text_bytes = options.tokenizer != nullptr} {}

  /// Whatever the offset, all blocks and the token behind the last exist.
  static uint64_t CountBlocks(uint64_t tokens, const TokenBlocksOptions& options) {
    const auto block = static_cast<uint64_t>(options.block);
    const uint64_t spare = options.cut_anew ? block : 1;
    return tokens < spare ? 0 : (tokens - spare) / block;
  }

  uint64_t size() const override { return size_; }
  std::span<const Field> fields() const override { return fields_; }
  const SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override { return fingerprint_; }

  SampleText Describe(uint64_t epoch, uint64_t id) const override {
    SampleText text;
    if (!traits_.text_bytes) return text;
    std::call_once(bytes_made_, [&] { MakeBytes(); });
    std::vector<int32_t> labels(static_cast<size_t>(options_.block));
    source_->Read(id * static_cast<uint64_t>(options_.block) + Offset(epoch) + 1, labels);
    for (int32_t label : labels)
      text.text_bytes += static_cast<size_t>(label) < bytes_.size() ? bytes_[static_cast<size_t>(label)] : 0;
    return text;
  }

  void Read(uint64_t epoch, uint64_t id, Sample& sample) const override {
    CHECK(id < size_, "sample {} of {}", id, size_);
    sample.tensors.resize(fields_.size());
    const uint64_t first = id * static_cast<uint64_t>(options_.block) + Offset(epoch);
    for (size_t f = 0; f < fields_.size(); ++f) {
      sample.tensors[f].shape = fields_[f].shape;
      sample.tensors[f].bytes.resize(static_cast<size_t>(options_.block) * sizeof(int32_t));
      source_->Read(first + f, sample.tensors[f].As<int32_t>());
    }
  }

 private:
  void MakeBytes() const {
    for (int32_t id = 0; id < options_.tokenizer->size(); ++id)
      bytes_.push_back(options_.tokenizer->Decode({&id, 1}).size());
  }

  uint64_t Offset(uint64_t epoch) const {
    if (!options_.cut_anew) return 0;
    const RandomStream stream{options_.seed, epoch, kCutKey, 0};
    return uint64_t{stream.Bits(0)} * static_cast<uint64_t>(options_.block) >> 32;
  }

  const std::unique_ptr<TokenSource> source_;
  const TokenBlocksOptions options_;
  const uint64_t size_;
  const std::array<Field, 2> fields_;
  const uint64_t fingerprint_;
  const SourceTraits traits_;
  mutable std::once_flag bytes_made_;
  mutable std::vector<uint64_t> bytes_;  ///< of each token's text
};

}  // namespace

std::unique_ptr<TokenSource> MakeTokenSource(std::vector<int32_t> tokens) {
  return std::make_unique<MemoryTokens>(std::move(tokens));
}

std::unique_ptr<Dataset> MakeTokenBlocks(std::unique_ptr<TokenSource> source, const TokenBlocksOptions& options,
                                         const std::string& where) {
  CHECK(options.block >= 1 && options.vocabulary >= 1);
  if (TokenBlocks::CountBlocks(source->size(), options) == 0) {
    throw Error(ErrorKind::kData, fmt::format("{} tokens make no block of {}", source->size(), options.block), where,
                "use a longer text, or a smaller data.block");
  }
  return std::make_unique<TokenBlocks>(std::move(source), options);
}

}  // namespace lockstep::data
