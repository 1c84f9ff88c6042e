#include "trainer/infer/text_generator.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "data/text/tokenizers/token_errors.h"
#include "trainer/infer/input_text.h"

namespace lockstep::infer {
namespace {

/// Bytes at the end of `text` that begin a UTF-8 character without ending it.
size_t Unfinished(std::string_view text) {
  constexpr size_t kLongest = 4;
  for (size_t back = 1; back <= std::min(kLongest - 1, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

/// Tokens as text, given out as they come, in whole characters.
class TextStream {
 public:
  TextStream(const data::Tokenizer& tokenizer, const TextGenerator::OnText& on_text)
      : tokenizer_(tokenizer), on_text_(on_text) {}

  /// False where nobody listens any more.
  bool Add(int32_t token) {
    tokens_.push_back(token);
    if (on_text_ == nullptr) return true;
    text_ = tokenizer_.Decode(tokens_);
    return GiveOut(text_.size() - Unfinished(text_));
  }
  /// Gives out what is left: the text may end within a character.
  std::string End() {
    text_ = tokenizer_.Decode(tokens_);
    GiveOut(text_.size());
    return std::move(text_);
  }

 private:
  bool GiveOut(size_t end) {
    if (!listening_ || on_text_ == nullptr || end <= given_) return listening_;
    listening_ = on_text_(std::string_view(text_).substr(given_, end - given_));
    given_ = end;
    return listening_;
  }

  const data::Tokenizer& tokenizer_;
  const TextGenerator::OnText& on_text_;
  std::vector<int32_t> tokens_;
  std::string text_;
  size_t given_ = 0;
  bool listening_ = true;
};

}  // namespace

TextGenerator::TextGenerator(const TrainedModel& model, std::shared_ptr<const data::Tokenizer> tokenizer,
                             int64_t context)
    : tokenizer_(std::move(tokenizer)),
      context_(context),
      decoder_(model.graphs().decoder, model.weights(), {.rows = 1, .capacity = context}) {}

Prompt TextGenerator::Read(std::string_view text) const {
  if (!tokenizer_->takes_bytes()) RequireUtf8(text);
  Prompt prompt;
  try {
    tokenizer_->Encode(text, prompt.tokens);
  } catch (const Error& error) {
    throw Error(error.kind(), error.message(), error.where(), "begin with text like that of the training");
  }
  prompt.unknown = data::CountUnknown(prompt.tokens, *tokenizer_);
  return prompt;
}

std::vector<int32_t> TextGenerator::BeginningOf(const Prompt& prompt) const {
  if (!prompt.tokens.empty()) return prompt.tokens;
  if (tokenizer_->end() >= 0) return {tokenizer_->end()};  // between documents, as GPT-2 was trained
  std::vector<int32_t> line_end;
  try {
    tokenizer_->Encode("\n", line_end);
  } catch (const Error&) {  // the training text is one line
  }
  if (line_end.empty())
    throw Error(ErrorKind::kUsage, "the prompt is empty, and the vocabulary has no end of text or line to begin behind",
                "", "say what the text begins with");
  return {line_end.front()};
}

/// The logits of what follows `text`, of which the decoder has read some before.
std::span<const float> TextGenerator::NextLogits(const std::vector<int32_t>& text) {
  // Where the context is full, the model goes on from its later half.
  if (decoder_.length() + static_cast<int64_t>(text.size() - read_) > context_) {
    decoder_.Reset();
    read_ = text.size() - std::min(text.size(), static_cast<size_t>(std::max<int64_t>(1, context_ / 2)));
  }
  decoder_.Read(std::span(text).subspan(read_, text.size() - 1 - read_));
  read_ = text.size();
  return decoder_.Step({&text.back(), 1});
}

GeneratedText TextGenerator::Generate(const Prompt& prompt, const Options& options, const OnText& on_text) {
  std::vector<int32_t> text = BeginningOf(prompt);
  decoder_.Reset();
  read_ = 0;
  TextStream stream(*tokenizer_, on_text);
  bool listening = true;
  for (int32_t token : prompt.tokens) listening = stream.Add(token);
  Sampler sampler(options.sampling);
  GeneratedText generated;
  while (listening && static_cast<int64_t>(generated.tokens.size()) < options.tokens) {
    const std::span<const float> logits = NextLogits(text);
    // A vocabulary may be padded: what the tokenizer lacks is never written.
    const size_t known = std::min(logits.size(), static_cast<size_t>(tokenizer_->size()));
    const int32_t token = sampler.Draw(logits.first(known), generated.tokens.size());
    generated.ended = token == tokenizer_->end();
    if (generated.ended) break;
    text.push_back(token);
    generated.tokens.push_back(token);
    listening = stream.Add(token);
  }
  generated.text = stream.End();
  return generated;
}

}  // namespace lockstep::infer
