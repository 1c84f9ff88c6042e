// `lockstep predict RUN INPUT...`: classes or values of rows and pictures, transcripts of audio files, translations of
// texts.
#include "data/open/make_transform.h"
#include "data/text/open_tokenizer.h"
#include "launch/commands/commands.h"
#include "launch/commands/standard_streams.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/machine/cores.h"
#include "data/formats/lines.h"
#include "data/source_file.h"
#include "data/text/tokenizers/token_errors.h"
#include "launch/answers/predict_pictures.h"
#include "launch/answers/predict_rows.h"
#include "launch/command_line/option_checks.h"
#include "launch/job/trained_run.h"
#include "trainer/infer/input_text.h"

namespace lockstep::launch {
namespace {

struct PredictOptions {
  std::string run;
  std::vector<std::string> inputs, texts;
  std::string out, format;
  int beam = 0;     ///< 0: 5 for translations, 1 for transcripts
  int threads = 0;  ///< 0: as many as cores
  bool json = false;
};

AnswerFormat FormatOf(const PredictOptions& options) {
  if (options.json || options.format == "jsonl") return AnswerFormat::kJsonLines;
  if (options.format == "csv") return AnswerFormat::kCsv;
  return options.format.empty() && !options.out.empty() ? AnswerFormat::kCsv : AnswerFormat::kText;
}

void PredictSamples(const TrainedRun& run, const PredictOptions& options) {
  if (!options.texts.empty())
    throw Error(ErrorKind::kUsage, "the run answers rows of tables or images", "--text", "name files");
  const int threads = options.threads > 0 ? options.threads : QueryCores().usable;
  std::string kept;
  const auto take = [&](const std::string& lines) {
    if (!options.out.empty()) {
      kept += lines;
      return;
    }
    std::fwrite(lines.data(), 1, lines.size(), stdout);
    FlushStandardOutput();
  };
  const bool rows = run.recipe.data().train().has_csv();
  const bool pictures = !rows && run.shape.input == "image";
  if (!rows && !pictures)
    throw Error(ErrorKind::kUsage, "the run was trained on a format that single answers can't be asked for in",
                run.recipe.name(), "lockstep eval says how good it is");
  if (rows) PredictRows(run, {options.inputs, FormatOf(options), threads}, take);
  if (pictures) PredictPictures(run, {options.inputs, FormatOf(options), threads}, take);
  if (!options.out.empty()) WriteFileAtomically(FileSystem::Real(), options.out, kept);
}

void Print(const PredictOptions& options, const std::string& input, const std::string& text, double score,
           bool names_input) {
  if (options.json) {
    const nlohmann::ordered_json object = {{"input", input}, {"text", text}, {"score", score}};
    fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    fmt::print("{}{}\n", names_input ? input + "\t" : "", text);
  }
  FlushStandardOutput();
}

void TranscribeAll(const TrainedRun& run, const PredictOptions& options) {
  if (!options.texts.empty())
    throw Error(ErrorKind::kUsage, "the run transcribes speech", "--text", "name audio files");
  infer::Transcriber transcriber = MakeTranscriber(run, {.beam = options.beam > 0 ? options.beam : 1});
  for (const std::string& path : options.inputs) {
    const infer::Transcript transcript = transcriber.TranscribeFile(path);
    Print(options, path, transcript.text, transcript.score, options.inputs.size() > 1);
  }
}

/// Translates and prints sentences, and warns where they are foreign to the vocabulary.
class SentencePrinter {
 public:
  SentencePrinter(const TrainedRun& run, const PredictOptions& options)
      : options_(options),
        translator_(MakeTranslator(run, options.beam > 0 ? options.beam : infer::BeamOptions{}.beam)) {}

  /// `sentences` are of `input`, a file or an option.
  template <typename Sentences>
  void TranslateAll(const Sentences& sentences, const std::string& input) {
    uint64_t unknown = 0, tokens = 0;
    for (const auto& sentence : sentences) {
      const infer::Translation translation = translator_.Translate(sentence);
      unknown += translation.unknown;
      tokens += translation.source_tokens;
      Print(options_, std::string(sentence), translation.text, translation.score, false);
    }
    data::WarnOfUnknown(input, unknown, tokens);
  }

 private:
  const PredictOptions& options_;
  infer::Translator translator_;
};

std::vector<std::byte> ReadStandardInput() {
  std::vector<std::byte> bytes;
  std::array<std::byte, 65536> piece;
  while (const size_t got = std::fread(piece.data(), 1, piece.size(), stdin))
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(got));
  return bytes;
}

void TranslateAll(const TrainedRun& run, const PredictOptions& options) {
  SentencePrinter printer(run, options);
  for (const std::string& sentence : options.texts) {
    try {
      infer::RequireUtf8(sentence);
    } catch (const Error& error) {
      throw Error(ErrorKind::kUsage, error.message(), "--text", error.hint());
    }
  }
  printer.TranslateAll(options.texts, "--text");
  for (const std::string& path : options.inputs) {
    const bool standard = path == "-";
    const data::Origin origin{standard ? "standard input" : path, "INPUT"};
    const auto bytes = standard ? ReadStandardInput() : data::LoadSourceFile(origin);
    printer.TranslateAll(data::ReadLines(bytes, origin), origin.path);
  }
}

int Predict(const PredictOptions& options) {
  if (options.inputs.empty() && options.texts.empty())
    throw Error(ErrorKind::kUsage, "there is nothing to predict from", "INPUT", "name files, or give --text");
  const TrainedRun run = OpenTrainedRun(options.run);
  if (run.Transcribes()) {
    TranscribeAll(run, options);
  } else if (run.Translates()) {
    TranslateAll(run, options);
  } else if (run.Predicts()) {
    PredictSamples(run, options);
  } else {
    throw Error(ErrorKind::kUsage, "the run's model writes text", options.run,
                "lockstep generate lets language models write");
  }
  return 0;
}

}  // namespace

void AddPredictCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand(
      "predict", "Answer with a trained run: a class or values for each row or picture, a transcript, a translation");
  auto options = std::make_shared<PredictOptions>();
  command->add_option("RUN", options->run, "a run folder (its newest good checkpoint) or a checkpoint folder")
      ->required();
  command->add_option("INPUT", options->inputs,
                      "CSV files of rows; JPEG and PNG files, or folders of them; audio files (members of archives as "
                      "ARCHIVE.tar:MEMBER), or texts of one "
                      "sentence a line (-: standard input; rows are answered line by line)");
  command->add_option("--out", options->out,
                      "of rows and pictures: the file that the answers go to (default: standard output)");
  command
      ->add_option("--format", options->format,
                   "of rows and pictures: csv, jsonl or text (default: csv with --out, else text)")
      ->check(OneOf({"csv", "jsonl", "text"}));
  command
      ->add_option("--threads", options->threads,
                   "of rows and pictures: threads that answer (default: one for each core)")
      ->check(WholeNumber(1, 1024));
  command->add_option("--text", options->texts, "a sentence to translate; may be given again");
  command
      ->add_option("--beam", options->beam,
                   "hypotheses that are kept; 1: the likeliest token at each step (default: 5 for translations, 1 for "
                   "transcripts)")
      ->check(WholeNumber(1, 1000));
  command->add_flag(
      "--json", options->json,
      "a JSON object a line: input, text, score (log probability); of rows and pictures as --format jsonl");
  command->footer(
      "Examples:\n"
      "  lockstep predict runs/cancer patients.csv --out answers.csv\n"
      "  lockstep predict runs/cells new-pictures/ --format csv\n"
      "  lockstep predict runs/speech hello.wav\n"
      "  lockstep predict runs/translate --text \"Ein Mann schläft in einem grünen Zimmer.\"\n"
      "  lockstep predict runs/translate news.de --json > news.jsonl");
  command->callback([options, exit_code] { *exit_code = Predict(*options); });
}

}  // namespace lockstep::launch
