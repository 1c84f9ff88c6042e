#include "launch/answers/predict_texts.h"

#include <cstdint>
#include <span>

#include "base/error.h"
#include "data/formats/lines.h"
#include "data/source_file.h"
#include "data/text/tokenizers/token_errors.h"
#include "launch/answers/input_lines.h"
#include "launch/answers/text_writer.h"
#include "trainer/infer/input_text.h"

namespace lockstep::launch {
namespace {

using Take = std::function<void(const std::string& lines)>;

constexpr const char* kOption = "--text";
constexpr const char* kStandardInput = "standard input";

/// Translates sentences of one input after the other, and warns where they are foreign to the vocabulary.
class SentenceTranslator {
 public:
  SentenceTranslator(const TrainedRun& run, const TextsOptions& options, const Take& take)
      : translator_(MakeTranslator(run, options.beam > 0 ? options.beam : infer::BeamOptions{}.beam)),
        writer_(options.format, /*sentences=*/true, /*names_input=*/false),
        take_(take) {
    take_(writer_.Heading());
  }

  void Translate(const std::string& sentence, const std::string& file, uint64_t line) {
    const infer::Translation translation = translator_.Translate(sentence);
    unknown_ += translation.unknown;
    tokens_ += translation.source_tokens;
    take_(writer_.Line({file, line, sentence}, translation.text, translation.score));
  }

  void EndInput(const std::string& file) {
    data::WarnOfUnknown(file, unknown_, tokens_);
    unknown_ = tokens_ = 0;
  }

 private:
  infer::Translator translator_;
  const TextWriter writer_;
  const Take& take_;
  uint64_t unknown_ = 0, tokens_ = 0;  ///< of the input so far
};

void TranslateLines(std::span<const std::string> lines, const std::string& file, SentenceTranslator& translator) {
  for (size_t i = 0; i < lines.size(); ++i) translator.Translate(lines[i], file, i + 1);
  translator.EndInput(file);
}

void TranslateStandardInput(SentenceTranslator& translator) {
  const data::Origin origin{kStandardInput, "INPUT"};
  uint64_t lines = 0;
  ForEachInputLine([&](uint64_t number, const std::string& line) {
    const std::string whole = line + "\n";
    translator.Translate(data::ReadLines(std::as_bytes(std::span(whole)), origin).front(), origin.path, number);
    lines = number;
  });
  if (lines == 0) throw origin.Bad("there is nothing in it", "give a sentence a line");
  translator.EndInput(origin.path);
}

void RequireSentences(const std::vector<std::string>& sentences) {
  for (const std::string& sentence : sentences) {
    try {
      infer::RequireUtf8(sentence);
    } catch (const Error& error) {
      throw Error(ErrorKind::kUsage, error.message(), kOption, error.hint());
    }
  }
}

}  // namespace

void PredictTranscripts(const TrainedRun& run, const TextsOptions& options, const Take& take) {
  if (!options.sentences.empty())
    throw Error(ErrorKind::kUsage, "the run transcribes speech", kOption, "name audio files");
  infer::Transcriber transcriber = MakeTranscriber(run, {.beam = options.beam > 0 ? options.beam : 1});
  const TextWriter writer(options.format, /*sentences=*/false, /*names_input=*/options.inputs.size() > 1);
  take(writer.Heading());
  for (const std::string& path : options.inputs) {
    const infer::Transcript transcript = transcriber.TranscribeFile(path);
    take(writer.Line({.file = "", .input = path}, transcript.text, transcript.score));
  }
}

void PredictTranslations(const TrainedRun& run, const TextsOptions& options, const Take& take) {
  RequireSentences(options.sentences);
  SentenceTranslator translator(run, options, take);
  TranslateLines(options.sentences, kOption, translator);
  for (const std::string& path : options.inputs) {
    if (path == "-") {
      TranslateStandardInput(translator);
    } else {
      const data::Origin origin{path, "INPUT"};
      TranslateLines(data::ReadLines(data::LoadSourceFile(origin), origin), path, translator);
    }
  }
}

}  // namespace lockstep::launch
