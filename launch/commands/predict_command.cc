// `lockstep predict RUN INPUT...`: classes or values of rows and pictures, boxes in pictures, transcripts of audio
// files, translations of texts.
#include "launch/commands/commands.h"
#include "launch/commands/standard_streams.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/machine/cores.h"
#include "launch/answers/predict_arrays.h"
#include "launch/answers/predict_boxes.h"
#include "launch/answers/predict_pictures.h"
#include "launch/answers/predict_rows.h"
#include "launch/answers/predict_texts.h"
#include "launch/command_line/option_checks.h"
#include "launch/job/trained_run.h"

namespace lockstep::launch {
namespace {

struct PredictOptions {
  std::string run;
  std::vector<std::string> inputs, texts;
  std::string out, format, draw;
  double score = kShownScore;  ///< of boxes, the least
  int beam = 0;                ///< 0: 5 for translations, 1 for transcripts
  int threads = 0;             ///< 0: as many as cores
  bool json = false, probabilities = false;

  /// Answers are files of NumPy's.
  bool as_arrays() const { return out.ends_with(".npy"); }
};

using Take = std::function<void(const std::string& lines)>;

BoxFormat BoxFormatOf(const PredictOptions& options) {
  if (options.json || options.format == "jsonl") return BoxFormat::kJsonLines;
  if (options.format == "csv") return BoxFormat::kCsv;
  if (options.format == "coco") return BoxFormat::kCoco;
  return options.format.empty() && !options.out.empty() ? BoxFormat::kCsv : BoxFormat::kText;
}

AnswerFormat FormatOf(const PredictOptions& options) {
  if (options.json || options.format == "jsonl") return AnswerFormat::kJsonLines;
  if (options.format == "csv") return AnswerFormat::kCsv;
  return options.format.empty() && !options.out.empty() ? AnswerFormat::kCsv : AnswerFormat::kText;
}

/// Where answers go: standard output, at once, or a file, whole or not at all.
class AnswerOutput {
 public:
  /// Throws Error(kUsage) where a file of that name can't be: before the answers are made, which may take hours.
  explicit AnswerOutput(std::string path) : path_(std::move(path)) {
    if (path_.empty()) return;
    std::error_code ignored;
    if (std::filesystem::exists(path_, ignored) && !std::filesystem::is_regular_file(path_, ignored))
      throw Error(ErrorKind::kUsage, fmt::format("{} is there, and no file that answers could replace", path_), "--out",
                  "name another file; without --out answers go to standard output");
    if (!std::filesystem::is_directory(ParentFolder(path_), ignored))
      throw Error(ErrorKind::kUsage, fmt::format("{} is no folder", ParentFolder(path_)), "--out",
                  "make the folder, or name another");
  }

  void Take(const std::string& lines) {
    if (!path_.empty()) {
      kept_ += lines;
      return;
    }
    std::fwrite(lines.data(), 1, lines.size(), stdout);
    FlushStandardOutput();
  }
  void Finish() {
    if (!path_.empty()) WriteFileAtomically(FileSystem::Real(), path_, kept_);
  }

 private:
  const std::string path_;
  std::string kept_;
};

/// The one output goes to FILE.npy, several to FILE.NAME.npy each.
void WriteArrays(const TrainedRun& run, const PredictOptions& options, int threads) {
  const std::vector<ArrayFile> files = PredictArrayFiles(run, {options.inputs, options.probabilities, threads});
  const std::string front = options.out.substr(0, options.out.rfind(".npy"));
  for (const ArrayFile& file : files)
    WriteFileAtomically(FileSystem::Real(),
                        files.size() == 1 ? options.out : fmt::format("{}.{}.npy", front, file.name), file.bytes);
}

[[noreturn]] void RefuseArrays() {
  throw Error(ErrorKind::kUsage, "answers are written as arrays where inputs are arrays", "--out",
              "name a file of another ending");
}

void PredictSamples(const TrainedRun& run, const PredictOptions& options, int threads, const Take& take) {
  if (!options.texts.empty())
    throw Error(ErrorKind::kUsage, "the run answers rows of tables or images", "--text", "name files");
  const data::Source& source = run.recipe.data().train();
  const bool rows = source.has_csv();
  // An imported model has met no data yet, and takes arrays of what it declares.
  const bool takes_arrays = source.has_arrays() || !run.recipe.data().has_train();
  const bool arrays = takes_arrays && std::all_of(options.inputs.begin(), options.inputs.end(), IsArrayPath);
  // Pictures in files are of bytes.
  const bool pictures =
      !rows && !arrays && run.shape.input == "image" && (!source.has_arrays() || run.recipe.data().sample().bytes()) &&
      std::ranges::all_of(run.shape.fields, [](const models::DataField& field) { return field.answer; });
  if (source.has_arrays() && !arrays && !pictures)
    throw Error(ErrorKind::kUsage, "the run was trained on NumPy's arrays", options.inputs.front(),
                "give it such: FILE.npy, or FILE.npz:NAME");
  if (!rows && !arrays && !pictures)
    throw Error(ErrorKind::kUsage, "the run was trained on a format that single answers can't be asked for in",
                run.recipe.name(), "lockstep eval says how good it is");
  if (options.as_arrays() && !arrays) RefuseArrays();
  if (arrays && options.as_arrays()) return WriteArrays(run, options, threads);
  if (rows) PredictRows(run, {options.inputs, FormatOf(options), threads}, take);
  if (arrays) PredictArrays(run, {options.inputs, FormatOf(options), threads}, take);
  if (pictures) PredictPictures(run, {options.inputs, FormatOf(options), threads}, take);
}

void RequireForArrays(const PredictOptions& options) {
  if (options.as_arrays() && (options.json || !options.format.empty()))
    throw Error(ErrorKind::kUsage, "FILE.npy has a format of its own", options.json ? "--json" : "--format",
                "leave it out, or name a file of another ending");
  if (options.probabilities && !options.as_arrays())
    throw Error(ErrorKind::kUsage, "other answers than arrays are probabilities anyway", "--probabilities",
                "leave it out, or write arrays: --out FILE.npy");
}

void RequireForBoxes(const TrainedRun& run, const PredictOptions& options) {
  if (run.Detects() && !options.texts.empty())
    throw Error(ErrorKind::kUsage, "the run finds boxes in pictures", "--text", "name files");
  if (run.Detects()) return;
  if (!options.draw.empty()) throw Error(ErrorKind::kUsage, "the run finds no boxes", "--draw", "leave it out");
  if (options.format == "coco")
    throw Error(ErrorKind::kUsage, "the run finds no boxes", "--format", "csv, jsonl or text");
}

int Predict(const PredictOptions& options) {
  if (options.inputs.empty() && options.texts.empty())
    throw Error(ErrorKind::kUsage, "there is nothing to predict from", "INPUT", "name files, or give --text");
  RequireForArrays(options);
  AnswerOutput output(options.out);
  const Take take = [&](const std::string& lines) { output.Take(lines); };
  const TrainedRun run = OpenTrainedRun(options.run);
  RequireForBoxes(run, options);
  if (options.as_arrays() && !run.Predicts()) RefuseArrays();
  const int threads = options.threads > 0 ? options.threads : QueryCores().usable;
  const TextsOptions texts{options.inputs, options.texts, FormatOf(options), options.beam};
  if (run.Transcribes()) {
    PredictTranscripts(run, texts, take);
  } else if (run.Translates()) {
    PredictTranslations(run, texts, take);
  } else if (run.Detects()) {
    PredictBoxes(run, {options.inputs, BoxFormatOf(options), options.score, options.draw, threads}, take);
  } else if (run.Predicts()) {
    PredictSamples(run, options, threads, take);
  } else {
    throw Error(ErrorKind::kUsage, "the run's model writes text", options.run,
                "lockstep generate lets language models write");
  }
  if (!options.as_arrays()) output.Finish();
  return 0;
}

}  // namespace

void AddPredictCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("predict",
                                         "Answer with a trained run: a class or values for each row or picture, boxes "
                                         "in pictures, a transcript, a translation");
  auto options = std::make_shared<PredictOptions>();
  command->add_option("RUN", options->run, "a run folder (its newest good checkpoint) or a checkpoint folder")
      ->required();
  command->add_option("INPUT", options->inputs,
                      "CSV files of rows; NumPy's arrays (x.npy, data.npz:x; of several inputs NAME=FILE each); JPEG "
                      "and PNG files, or folders of them; "
                      "audio files (members of archives as "
                      "ARCHIVE.tar:MEMBER), or texts of one "
                      "sentence a line (-: standard input; rows and sentences are answered line by line)");
  command->add_option("--out", options->out,
                      "the file that the answers go to, when all are there (default: standard output); FILE.npy: of "
                      "arrays an array of floats, logits or values, of several outputs FILE.NAME.npy each");
  command
      ->add_option("--format", options->format,
                   "csv, jsonl or text, of boxes also coco (default: csv with --out, else text)")
      ->check(OneOf({"csv", "jsonl", "text", "coco"}));
  command->add_option("--draw", options->draw, "of boxes: a folder that the pictures go to with boxes drawn into them");
  command->add_option("--score", options->score, "of boxes: those of at least this score, from 0 to 1 (default: 0.3)")
      ->check(NumberBetween(0, 1));
  command
      ->add_option("--threads", options->threads,
                   "of rows and pictures: threads that answer (default: one for each core)")
      ->check(WholeNumber(1, 1024));
  command->add_flag("--probabilities", options->probabilities, "with --out FILE.npy: of logits their softmax");
  command->add_option("--text", options->texts, "a sentence to translate; may be given again");
  command
      ->add_option("--beam", options->beam,
                   "hypotheses that are kept; 1: the likeliest token at each step (default: 5 for translations, 1 for "
                   "transcripts)")
      ->check(WholeNumber(1, 1000));
  command->add_flag("--json", options->json,
                    "as --format jsonl, an object a line: of texts input, text and score (a log probability)");
  command->footer(
      "Examples:\n"
      "  lockstep predict runs/cancer patients.csv --out answers.csv\n"
      "  lockstep predict runs/cells new-pictures/ --format csv\n"
      "  lockstep predict runs/study image=scans.npy meta=patients.npy --out answers.npy\n"
      "  lockstep predict runs/bccd new-pictures/ --draw drawn\n"
      "  lockstep predict runs/speech hello.wav\n"
      "  lockstep predict runs/translate --text \"Ein Mann schläft in einem grünen Zimmer.\"\n"
      "  lockstep predict runs/translate news.de --out news.csv");
  command->callback([options, exit_code] { *exit_code = Predict(*options); });
}

}  // namespace lockstep::launch
