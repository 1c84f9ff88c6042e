#include "launch/draft/draft_sequences.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <set>
#include <vector>

#include "base/error.h"
#include "data/formats/lines.h"
#include "data/formats/manifest.h"
#include "data/source_file.h"
#include "data/text/token_files.h"

namespace lockstep::launch {
namespace {

std::string Head(const DraftOptions& options, const std::string& what) {
  return DraftHead(fmt::format("Written by lockstep new for {}: {}.",
                               std::filesystem::path(options.path).filename().string(), what)) +
         fmt::format("name: {}\n\n", Quoted(options.name));
}

/// The blocks train and optimizer, behind a blank line each.
std::string Training(const std::vector<DraftLine>& train, const std::vector<DraftLine>& optimizer) {
  return "\ntrain {\n" + Lay(train, 2) + "}\n\noptimizer {\n" + Lay(optimizer, 2) +
         "}\n\ncheckpoint { every_minutes: 10 }\n";
}

std::string GptTraining(uint64_t steps) {
  return Training({{fmt::format("steps: {}", steps), "more steps for more text"},
                   {"global_batch: 16", "blocks of a step, all ranks together"},
                   {"evaluate_every_steps: 500"},
                   {"seed: 1", "another seed, another run"}},
                  {{"adamw { beta2: 0.99 }"},
                   {"learning_rate: 1e-3"},
                   {"weight_decay: 0.1"},
                   {"clip_norm: 1", "a single odd batch can't undo much"},
                   {"schedule { cosine { final_factor: 0.1 } warmup_steps: 100 }", "the rate falls to a tenth"}});
}

constexpr char kGpt[] = "gpt { layers: 4 heads: 4 width: 128 bias: false }";

/// Ids of 16 bits, as nanoGPT's and llm.c's files for GPT-2 are; or of 32, which larger vocabularies need.
std::unique_ptr<data::TokenSource> OpenIds(const std::string& path, int& id_bytes) {
  data::TokenFilesOptions options{.vocabulary = 65536, .check_ids = false};
  try {
    return data::OpenTokenFiles({path}, "DATA", options);
  } catch (const Error&) {
    options.vocabulary = std::numeric_limits<int32_t>::max();
    options.id_bytes = 4;
  }
  std::unique_ptr<data::TokenSource> tokens = data::OpenTokenFiles({path}, "DATA", options);
  id_bytes = options.id_bytes;
  return tokens;
}

uint64_t LargestId(const data::TokenSource& tokens, uint64_t looked_at) {
  std::vector<int32_t> ids(std::min(looked_at, tokens.size()));
  tokens.Read(0, ids);
  return ids.empty() ? 0 : static_cast<uint64_t>(*std::max_element(ids.begin(), ids.end()));
}

}  // namespace

Draft DraftText(std::span<const std::byte> text, const DraftOptions& options) {
  Draft draft;
  const std::string file = PathIn(options.folder, options.path);
  draft.recipe = Head(options, fmt::format("{} bytes of text, to be written on", text.size()));
  draft.recipe += "model {\n" + Lay({{kGpt, "a small Transformer: seconds a hundred steps on two cores"}}, 2) + "}\n\n";
  draft.recipe +=
      "data {\n" +
      Lay({{"block: 128", "characters that it sees at once"},
           {fmt::format("train {{ text {{ file: {} end: 0.9 }} }}", file), "the first nine tenths"},
           {fmt::format("test {{ text {{ file: {} begin: 0.9 }} }}", file), "the last tenth is held out"},
           {"tokenizer { characters {} }", "for long texts of words: byte_level_bpe, or lockstep tokenizer"}},
          2) +
      "}\n";
  draft.recipe += GptTraining(std::clamp<uint64_t>(text.size() / 500, 500, 5000));
  draft.answer = "generate {run} --tokens 300";
  return draft;
}

Draft DraftTokens(const DraftOptions& options) {
  constexpr uint64_t kLookedAt = 10000000;
  int id_bytes = 0;
  const std::unique_ptr<data::TokenSource> tokens = OpenIds(options.path, id_bytes);
  const uint64_t largest = LargestId(*tokens, kLookedAt);
  // GPT-2's vocabulary is what such files have most often.
  constexpr uint64_t kGpt2 = 50257;
  const bool gpt2 = largest < kGpt2 && largest > kGpt2 * 9 / 10;
  const uint64_t vocabulary = gpt2 ? kGpt2 : largest + 1;
  Draft draft;
  const std::string files = fmt::format("files: {} vocabulary: {}{}", PathIn(options.folder, options.path), vocabulary,
                                        id_bytes > 0 ? fmt::format(" id_bytes: {}", id_bytes) : "");
  draft.recipe = Head(options, fmt::format("{} token ids, to be written on", tokens->size()));
  draft.recipe +=
      "model {\n" + Lay({{kGpt, "a small Transformer; GPT-2 small has 12 layers, 12 heads, width 768"}}, 2) + "}\n\n";
  draft.recipe +=
      "data {\n" +
      Lay({{"block: 256", "tokens that it sees at once"},
           {fmt::format("train {{ tokens {{ {} end: 0.99 }} }}", files),
            gpt2 ? "GPT-2's vocabulary" : fmt::format("the largest id seen is {}: set the tokenizer's size", largest)},
           {fmt::format("test {{ tokens {{ {} begin: 0.99 }} }}", files), "the last hundredth is held out"}},
          2) +
      "}\n";
  draft.recipe += GptTraining(2000);
  draft.answer = "eval {run}";
  draft.notes.push_back("set data.tokenizer to write text with lockstep generate: files of ids have none");
  return draft;
}

Draft DraftSpeech(std::span<const std::byte> manifest, const DraftOptions& options) {
  const std::vector<data::ManifestEntry> entries = data::ReadManifest(manifest, {options.path, "DATA"});
  std::set<std::string> speakers;
  for (const data::ManifestEntry& entry : entries)
    if (!entry.speaker.empty()) speakers.insert(entry.speaker);
  constexpr size_t kEnoughSpeakers = 10;
  const bool grouped = speakers.size() >= kEnoughSpeakers;
  Draft draft;
  draft.recipe = Head(options, fmt::format("{} recordings with transcripts{}", entries.size(),
                                           speakers.empty() ? "" : fmt::format(", of {} speakers", speakers.size())));
  draft.recipe +=
      "model {\n" +
      Lay({{"recurrent { layers: 2 hidden: 128 bidirectional: true dropout: 0.2 }", "LSTM, read by CTC"}}, 2) +
      "}\n\ndata {\n  train {\n    speech {\n" +
      Lay({{fmt::format("manifest: {}", PathIn(options.folder, options.path))},
           {"compose: true", "letters and their marks are one (macOS writes them apart)"},
           {"lower_case: true", "large letters are not heard"}},
          6) +
      "    }\n  }\n" +
      Lay({{grouped ? "split { test: 0.1 group: \"speaker\" }" : "split { test: 0.1 }",
            grouped ? "a tenth is kept to test on, of other speakers" : "a tenth is kept to test on"},
           {"speech_features { stack: 2 }", "80 mel bands every 10 ms, two frames at once"},
           {"augment { speed { min: 0.9 max: 1.1 } mask_bands { count: 2 width: 10 } }",
            "each epoch hears them otherwise"}},
          2) +
      "}\n";
  const auto epochs = static_cast<uint64_t>(std::clamp(80000.0 / static_cast<double>(entries.size()), 10.0, 60.0));
  draft.recipe += Training({{fmt::format("epochs: {}", epochs), "passes over the recordings"},
                            {"global_batch: 16", "recordings of a step, all ranks together"},
                            {"seed: 1", "another seed, another run"}},
                           {{"adamw { beta2: 0.99 }"},
                            {"learning_rate: 2e-3"},
                            {"weight_decay: 0.01"},
                            {"clip_norm: 1", "a single odd batch can't undo much"},
                            {"schedule { cosine {} warmup_fraction: 0.05 }", "the rate falls to 0 at the end"}});
  draft.answer = "predict {run} RECORDING.wav";
  return draft;
}

Draft DraftTranslation(const std::string& translation, const DraftOptions& options) {
  const data::Origin source{options.path, "DATA"}, target{translation, "DATA"};
  const auto source_bytes = data::LoadSourceFile(source), target_bytes = data::LoadSourceFile(target);
  const size_t sentences = data::ReadLines(source_bytes, source).size(),
               others = data::ReadLines(target_bytes, target).size();
  if (sentences != others)
    throw Error(ErrorKind::kData,
                fmt::format("it has {} lines, and its translation {} has {}", sentences, translation, others),
                options.path, "line N of one is the translation of line N of the other");
  Draft draft;
  draft.recipe = Head(options, fmt::format("{} sentences and their translations", sentences));
  draft.recipe +=
      "model {\n" +
      Lay({{"seq2seq { layers: 3 width: 128 heads: 4 inner: 512 dropout: 0.1 }", "a small Transformer"},
           {"loss { softmax_cross_entropy { label_smoothing: 0.1 } }"}},
          2) +
      "}\n\ndata {\n  train {\n    parallel {\n" +
      Lay({{fmt::format("source: {}", PathIn(options.folder, options.path)), "what is translated"},
           {fmt::format("target: {}", PathIn(options.folder, translation)), "its translation, line by line"}},
          6) +
      "    }\n  }\n" +
      Lay({{"split { test: 0.02 }", "a fiftieth is kept to test on"},
           {"tokenizer { characters {} }", "better: pieces of words, by lockstep tokenizer; see the README"}},
          2) +
      "}\n";
  draft.recipe += Training({{"epochs: 8", "passes over the sentences"},
                            {"batch_tokens: 3000", "tokens of a step, padding included"},
                            {"lanes: 2"},
                            {"seed: 1", "another seed, another run"}},
                           {{"adamw { beta2: 0.98 epsilon: 1e-9 }"},
                            {"learning_rate: 3e-3"},
                            {"weight_decay: 0.01"},
                            {"clip_norm: 1", "a single odd batch can't undo much"},
                            {"schedule { cosine { final_factor: 0.01 } warmup_steps: 400 }"}});
  draft.answer = "predict {run} --text \"...\"";
  return draft;
}

}  // namespace lockstep::launch
