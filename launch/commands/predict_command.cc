// `lockstep predict RUN INPUT...`: transcripts of audio files, translations of texts.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/audio/recordings.h"
#include "data/audio/speech_dataset.h"
#include "data/formats/lines.h"
#include "data/length_buckets.h"
#include "data/source_file.h"
#include "data/text/sentence_vocabulary.h"
#include "data/text/token_errors.h"
#include "data/text/utf8.h"
#include "data/transform.h"
#include "launch/job/job_setup.h"
#include "launch/job/trained_run.h"
#include "trainer/infer/beam_search.h"
#include "trainer/infer/ctc_search.h"

namespace lockstep::launch {
namespace {

struct PredictOptions {
  std::string run;
  std::vector<std::string> inputs, texts;
  int beam = 0;  ///< 0: 5 for translations, 1 for transcripts
  bool json = false;
};

void Print(const PredictOptions& options, const std::string& input, const infer::Hypothesis& best,
           const std::string& text, bool names_input) {
  if (options.json) {
    const nlohmann::ordered_json object = {{"input", input}, {"text", text}, {"score", best.score}};
    fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    fmt::print("{}{}\n", names_input ? input + "\t" : "", text);
  }
  std::fflush(stdout);
}

/// Programs of one file at a time, by places.
class Transcriber {
 public:
  Transcriber(const TrainedRun& run, int beam) : run_(run), beam_(beam) {}

  infer::Hypothesis Transcribe(const std::string& path) {
    const data::SpeechOptions& speech = run_.speech();
    const auto recording =
        data::OpenRecording({.path = path, .transcript = "", .speaker = "", .line = 0},
                            {.manifest = {"", path}, .sample_rate = speech.sample_rate}, *speech.archives);
    CHECK(recording.has_value());
    std::vector<data::Utterance> utterances = {{*recording, "", ""}};
    const auto dataset = data::MakeSpeechDataset(std::move(utterances),
                                                 {.alphabet = speech.alphabet, .sample_rate = speech.sample_rate});
    const auto transform = data::MakeTransform(dataset->fields(), run_.recipe().data(), 0);
    std::vector<int64_t> lengths;
    dataset->Lengths(0, 0, lengths);
    const int64_t places = transform->Places(lengths, 0, 0, false);
    infer::InferenceProgram& program = ProgramFor(data::BucketOf(places));
    data::Sample sample;
    dataset->Read(0, 0, sample);
    std::vector<int32_t> label(static_cast<size_t>(data::BucketOf(places)));
    int32_t label_length = 0;
    std::byte* const rows[] = {program.Input<std::byte>("features").data(), program.Input<std::byte>("length").data(),
                               reinterpret_cast<std::byte*>(label.data()), reinterpret_cast<std::byte*>(&label_length)};
    transform->Apply(sample, 0, 0, false, data::BucketOf(places), rows);
    program.Run();
    const auto classes = static_cast<size_t>(run_.shape().classes);
    return infer::SearchCtc(program.Output<float>("logits").first(static_cast<size_t>(places) * classes), classes,
                            beam_);
  }
  std::string TextOf(const std::vector<int32_t>& labels) const { return run_.speech().alphabet->Decode(labels); }

 private:
  infer::InferenceProgram& ProgramFor(int64_t places) {
    std::unique_ptr<infer::InferenceProgram>& program = programs_[places];
    if (program == nullptr)
      program = std::make_unique<infer::InferenceProgram>(
          models::Build(run_.recipe().model(), run_.shape(), graph::Mode::kInfer, 1, places).graph, run_.weights());
    return *program;
  }

  const TrainedRun& run_;
  const int beam_;
  std::map<int64_t, std::unique_ptr<infer::InferenceProgram>> programs_;
};

/// Decoders of one sentence at a time, by places.
class Translator {
 public:
  Translator(const TrainedRun& run, int beam)
      : run_(run), vocabulary_(data::OpenSentenceVocabulary(run.recipe().data())) {
    search_.beam = beam;
    search_.begin = vocabulary_.marks().begin;
    search_.end = vocabulary_.marks().end;
    search_.never = {search_.begin};
  }

  infer::Hypothesis Translate(const std::string& sentence) {
    std::vector<int32_t> tokens;
    vocabulary_.Encode(sentence, tokens);
    unknown_ += vocabulary_.CountUnknown(tokens);
    read_ += tokens.size();
    tokens.push_back(search_.end);
    const auto length = static_cast<int32_t>(tokens.size());
    tokens.resize(static_cast<size_t>(data::BucketOf(length)));
    return SearchBeams(DecoderFor(static_cast<int64_t>(tokens.size())), tokens, {&length, 1}, search_).front();
  }
  std::string TextOf(const std::vector<int32_t>& tokens) const { return vocabulary_.TextOf(tokens); }

  /// Warns where what was translated since the last call, all from `input`, is foreign to the vocabulary.
  void WarnOfUnknown(const std::string& input) {
    data::WarnOfUnknown(input, std::exchange(unknown_, 0), std::exchange(read_, 0));
  }

 private:
  infer::Decoder& DecoderFor(int64_t places) {
    std::unique_ptr<infer::Decoder>& decoder = decoders_[places];
    if (decoder == nullptr)
      decoder = std::make_unique<infer::Decoder>(
          DecoderModelOf(run_.recipe().model(), run_.shape()), run_.weights(),
          infer::Decoder::Options{
              .rows = search_.beam, .capacity = places + search_.most_extra, .source = places, .sources = 1});
    return *decoder;
  }

  const TrainedRun& run_;
  const data::SentenceVocabulary vocabulary_;
  infer::BeamOptions search_;
  uint64_t unknown_ = 0, read_ = 0;  ///< tokens
  std::map<int64_t, std::unique_ptr<infer::Decoder>> decoders_;
};

void TranscribeAll(const TrainedRun& run, const PredictOptions& options) {
  if (!options.texts.empty())
    throw Error(ErrorKind::kUsage, "the run transcribes speech", "--text", "name audio files");
  Transcriber transcriber(run, options.beam > 0 ? options.beam : 1);
  for (const std::string& path : options.inputs) {
    const infer::Hypothesis best = transcriber.Transcribe(path);
    Print(options, path, best, transcriber.TextOf(best.tokens), options.inputs.size() > 1);
  }
}

std::vector<std::byte> ReadStandardInput() {
  std::vector<std::byte> bytes;
  std::array<std::byte, 65536> piece;
  while (const size_t got = std::fread(piece.data(), 1, piece.size(), stdin))
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(got));
  return bytes;
}

void TranslateAll(const TrainedRun& run, const PredictOptions& options) {
  Translator translator(run, options.beam > 0 ? options.beam : infer::BeamOptions{}.beam);
  const auto translate = [&](const std::string& sentence) {
    const infer::Hypothesis best = translator.Translate(sentence);
    Print(options, sentence, best, translator.TextOf(best.tokens), false);
  };
  for (const std::string& sentence : options.texts) {
    const size_t valid = data::ValidPrefix(sentence);
    if (valid < sentence.size()) {
      throw Error(ErrorKind::kUsage, fmt::format("there is {}", data::NameCharacter(sentence, valid)), "--text",
                  "write it as UTF-8");
    }
    translate(sentence);
  }
  translator.WarnOfUnknown("--text");
  for (const std::string& path : options.inputs) {
    const bool standard = path == "-";
    const data::Origin origin{standard ? "standard input" : path, "INPUT"};
    const auto bytes = standard ? ReadStandardInput() : data::LoadSourceFile(origin);
    for (const std::string& sentence : data::ReadLines(bytes, origin)) translate(sentence);
    translator.WarnOfUnknown(origin.path);
  }
}

int Predict(const PredictOptions& options) {
  if (options.inputs.empty() && options.texts.empty())
    throw Error(ErrorKind::kUsage, "there is nothing to predict from", "INPUT", "name files, or give --text");
  const TrainedRun run(options.run);
  if (run.shape().speech()) {
    TranscribeAll(run, options);
  } else if (run.shape().pairs()) {
    TranslateAll(run, options);
  } else {
    throw Error(ErrorKind::kUsage, "the run's model neither transcribes nor translates", options.run,
                "lockstep generate lets language models write");
  }
  return 0;
}

}  // namespace

void AddPredictCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("predict", "Transcribe audio files, or translate texts, with a trained run");
  auto options = std::make_shared<PredictOptions>();
  command->add_option("RUN", options->run, "a run folder (its newest good checkpoint) or a checkpoint folder")
      ->required();
  command->add_option("INPUT", options->inputs,
                      "audio files (members of archives as ARCHIVE.tar:MEMBER), or texts of one sentence a line (-: "
                      "standard input)");
  command->add_option("--text", options->texts, "a sentence to translate; may be given again");
  command
      ->add_option("--beam", options->beam,
                   "hypotheses that are kept; 1: the likeliest token at each step (default: 5 for translations, 1 for "
                   "transcripts)")
      ->check(CLI::Range(1, 1000));
  command->add_flag("--json", options->json, "a JSON object a line: input, text, score (log probability)");
  command->footer(
      "Examples:\n"
      "  lockstep predict runs/speech hello.wav\n"
      "  lockstep predict runs/translate --text \"Ein Mann schläft in einem grünen Zimmer.\"\n"
      "  lockstep predict runs/translate news.de --json > news.jsonl");
  command->callback([options, exit_code] { *exit_code = Predict(*options); });
}

}  // namespace lockstep::launch
