#include "launch/commands/data/tokenizer_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/files/file.h"
#include "data/text/sentencepiece/sentencepiece_tokenizer.h"
#include "data/text/sentencepiece/train_sentencepiece.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/commands.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {

int TrainTokenizerCommand(TrainTokenizerOptions options) {
  using Model = data::SentencePieceTraining::Model;
  options.training.model = options.kind == "BPE" ? Model::kBpe : Model::kUnigram;
  if (FileSystem::Real().Exists(options.output) && !options.force)
    throw Error(ErrorKind::kUsage, "there is such a file already", options.output, "name another, or add --force");
  records::RequireReplaceable(options.output);
  data::TrainSentencePiece(options.training, options.output);
  const auto tokenizer = data::OpenSentencePiece(options.output);
  fmt::print("wrote {}: {} pieces, {} bytes\n", options.output, tokenizer->size(),
             FileSystem::Real().Open(options.output)->size());
  return 0;
}

void AddTokenizerCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("tokenizer", "Train a vocabulary: a SentencePiece model of one's own texts");
  command->require_subcommand(1);
  CLI::App* train = command->add_subcommand("train", "Train a SentencePiece model on texts");
  auto options = std::make_shared<TrainTokenizerOptions>();
  data::SentencePieceTraining& training = options->training;
  train->add_option("INPUT", training.texts, "texts of one sentence a line, UTF-8, plain or gzipped")->required();
  train->add_option("-o,--output", options->output, "the model")->required();
  train->add_option("--pieces", training.size, "of the vocabulary, special pieces included")
      ->check(WholeNumber(5, 1 << 24))
      ->capture_default_str();
  train->add_option("--kind", options->kind, "how text is split: BPE or UNIGRAM")
      ->check(OneOf({"BPE", "UNIGRAM"}))
      ->capture_default_str();
  train
      ->add_option("--coverage", training.character_coverage,
                   "the share of the text's characters that get a piece (Chinese, Japanese: 0.9995)")
      ->check(NumberBetween(0.98, 1))  // spm_train's
      ->capture_default_str();
  train->add_flag("--byte-fallback", training.byte_fallback, "256 byte pieces stand for characters without a piece");
  train->add_flag("--force", options->force, "replace the model where it is there");
  const std::string footer =
      "Ids 0 to 3 are padding, begin and end of a sentence, and the unknown piece. Recipes name the model with\n"
      "data { tokenizer { sentencepiece: \"pieces.model\" } }. For translation, give the texts of both languages.\n"
      "Needs spm_train (Debian: apt install sentencepiece).\n"
      "Example:\n"
      "  lockstep tokenizer train train.de.gz train.en.gz --pieces 4000 -o pieces.model";
  train->footer(footer);
  command->footer(footer);
  train->callback([options, exit_code] { *exit_code = TrainTokenizerCommand(*options); });
}

}  // namespace lockstep::launch
