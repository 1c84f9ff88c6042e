// Texts that a trained language model writes on from a prompt, token by token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/tokenizers/tokenizer.h"
#include "trainer/infer/decoder.h"
#include "trainer/infer/sampling.h"
#include "trainer/infer/trained_model.h"

namespace lockstep::infer {

struct Prompt {
  std::vector<int32_t> tokens;
  uint64_t unknown = 0;  ///< of these, what stands for characters that the vocabulary lacks
};

struct GeneratedText {
  std::string text;             ///< the prompt, as the tokenizer has it, and what follows
  std::vector<int32_t> tokens;  ///< that the model has written, without one that ends the text
  bool ended = false;           ///< the model has ended the text itself, before it came to the most tokens
};

/// Answers one prompt at a time. An Error that a prompt causes concerns it alone: the next call is as good as any.
///
/// One thread at a time, which has called PrepareComputeThread.
class TextGenerator {
 public:
  struct Options {
    int64_t tokens = 256;  ///< that are written at most
    SamplingOptions sampling;
  };
  /// Takes text as it comes, in whole characters; false: nobody listens any more, and the text ends here.
  using OnText = std::function<bool(std::string_view text)>;

  /// `tokenizer` is the one that the model was trained with, `context` the most positions that it reads. `model`
  /// outlives this.
  TextGenerator(const TrainedModel& model, std::shared_ptr<const data::Tokenizer> tokenizer, int64_t context);

  /// Throws Error(kData), without a place, where `text` is no UTF-8 (unless the tokenizer takes any bytes) or holds
  /// what the vocabulary has no token for.
  Prompt Read(std::string_view text) const;
  /// Writes on from `prompt`; the same for the same prompt and options. A text without a prompt begins behind the
  /// vocabulary's end of text, or else behind a line's end: throws Error(kUsage) where it has neither.
  GeneratedText Generate(const Prompt& prompt, const Options& options, const OnText& on_text = nullptr);

 private:
  std::vector<int32_t> BeginningOf(const Prompt& prompt) const;
  std::span<const float> NextLogits(const std::vector<int32_t>& text);

  const std::shared_ptr<const data::Tokenizer> tokenizer_;
  const int64_t context_;
  Decoder decoder_;
  size_t read_ = 0;  ///< tokens of the text that the decoder has been through
};

}  // namespace lockstep::infer
