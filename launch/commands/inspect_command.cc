#include "launch/commands/inspect_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "launch/commands/commands.h"
#include "launch/commands/inspect_flight.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/weights_hash.h"

namespace lockstep::launch {
namespace {

using checkpoint::Manifest;
using checkpoint::Reader;
using Json = nlohmann::ordered_json;

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

uint64_t BytesOf(const Manifest& manifest) {
  uint64_t bytes = 0;
  for (const checkpoint::ShardFile& file : manifest.files()) bytes += file.bytes();
  return bytes;
}

/// "17 B", "1.2 MiB".
std::string SizeText(uint64_t bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

int64_t Parameters(const Manifest& manifest) {
  int64_t parameters = 0;
  for (const checkpoint::Tensor& tensor : manifest.tensors())
    if (!tensor.statistic()) parameters += checkpoint::ElementsOf(tensor);
  return parameters;
}

/// One line, or object, of the run's list.
struct Listed {
  uint64_t step = 0;
  std::string folder;
  Manifest manifest;
  std::string damage;  ///< of the manifest; the chunks are verify's to read
};

std::vector<Listed> ListCheckpoints(FileSystem& files, const std::string& checkpoints) {
  std::vector<Listed> list;
  for (const uint64_t step : checkpoint::ListSteps(files, checkpoints)) {
    Listed listed{step, checkpoints + "/" + checkpoint::FolderName(step), {}, ""};
    try {
      listed.manifest = Reader::Open(files, listed.folder)->manifest();
    } catch (const Error& error) {
      listed.damage = error.message();
    }
    list.push_back(std::move(listed));
  }
  return list;
}

Json LoopJson(const checkpoint::LoopState& loop) {
  Json json = {{"updates_applied", loop.updates_applied()},
               {"ledger", HashText(Hash64(loop.ledger()))},
               {"stopped_early", loop.stopped_early()}};
  if (loop.has_best()) {
    json["best_score"] = loop.best_score();
    json["best_step"] = loop.best_step();
    json["evaluations_without_gain"] = loop.evaluations_without_gain();
  }
  json["evaluations"] = Json::array();
  for (const checkpoint::Evaluation& evaluation : loop.evaluations()) {
    Json one = {{"split", evaluation.split()}, {"step", evaluation.step()}, {"loss", evaluation.loss()}};
    const std::map<std::string, double> metrics(evaluation.metrics().begin(), evaluation.metrics().end());
    for (const auto& [name, value] : metrics) one[name] = value;
    json["evaluations"].push_back(std::move(one));
  }
  return json;
}

Json CheckpointJson(const Reader& reader) {
  const Manifest& manifest = reader.manifest();
  Json json = {{"checkpoint", reader.folder()},
               {"step", manifest.step()},
               {"attempt", manifest.attempt()},
               {"world_size", manifest.world_size()},
               {"format_version", manifest.format_version()},
               {"lockstep_version", manifest.lockstep_version()},
               {"build_hash", manifest.build_hash()},
               {"recipe_hash", manifest.recipe_hash()},
               {"weights_hash", HashText(checkpoint::WeightsHash(reader, 0))},
               {"parameters", Parameters(manifest)},
               {"arena_elements", manifest.arena_elements()},
               {"bytes", BytesOf(manifest)},
               {"arrays", std::vector<std::string>(manifest.arrays().begin(), manifest.arrays().end())}};
  json["tensors"] = Json::array();
  for (const checkpoint::Tensor& tensor : manifest.tensors())
    json["tensors"].push_back({{"name", tensor.name()},
                               {"shape", std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end())},
                               {"offset", tensor.offset()},
                               {"statistic", tensor.statistic()}});
  json["files"] = Json::array();
  for (const checkpoint::ShardFile& file : manifest.files())
    json["files"].push_back({{"name", file.name()},
                             {"rank", file.rank()},
                             {"host", file.host()},
                             {"offset", file.offset()},
                             {"bytes", file.bytes()},
                             {"chunks", file.chunks_size()}});
  json["loop"] = LoopJson(manifest.loop());
  return json;
}

void PrintCheckpoints(const std::vector<Listed>& list) {
  Print(fmt::format("checkpoints\n  {:>12}  {:>7}  {:>5}  {:>10}\n", "step", "attempt", "ranks", "size"));
  for (const Listed& listed : list) {
    if (listed.damage.empty())
      Print(fmt::format("  {:>12}  {:>7}  {:>5}  {:>10}\n", listed.step, listed.manifest.attempt(),
                        listed.manifest.world_size(), SizeText(BytesOf(listed.manifest))));
    else
      Print(fmt::format("  {:>12}  {}\n", listed.step, listed.damage));
  }
  Print("\n");
}

void PrintLoop(const checkpoint::LoopState& loop) {
  Print(fmt::format("updates       {}\n", loop.updates_applied()));
  if (loop.has_best())
    // A score that is less than 0 is a loss turned around (trainer/run/early_stopping.h).
    Print(fmt::format("best          {} {:.6g} at step {}, {} evaluations without gain since{}\n",
                      loop.best_score() < 0 ? "loss" : "accuracy", std::abs(loop.best_score()), loop.best_step(),
                      loop.evaluations_without_gain(), loop.stopped_early() ? "; stopped early" : ""));
  for (const checkpoint::Evaluation& evaluation : loop.evaluations()) {
    std::string line =
        fmt::format("{:<12}  step {}, loss {:.6g}", evaluation.split(), evaluation.step(), evaluation.loss());
    const std::map<std::string, double> metrics(evaluation.metrics().begin(), evaluation.metrics().end());
    for (const auto& [name, value] : metrics) line += fmt::format(", {} {:.6g}", name, value);
    Print(line + "\n");
  }
}

void PrintCheckpoint(const Reader& reader) {
  const Manifest& manifest = reader.manifest();
  Print(fmt::format("checkpoint    {}\nstep          {}\nweights hash  {}\nparameters    {}\n", reader.folder(),
                    manifest.step(), HashText(checkpoint::WeightsHash(reader, 0)), Parameters(manifest)));
  Print(fmt::format("arrays        {} of {} elements each\n", checkpoint::ArrayNames(manifest),
                    manifest.arena_elements()));
  PrintLoop(manifest.loop());
  Print(fmt::format("recipe        {}\nwritten by    Lockstep {}, build {}, attempt {}\nsize          {}\n",
                    manifest.recipe_hash(), manifest.lockstep_version(), manifest.build_hash(), manifest.attempt(),
                    SizeText(BytesOf(manifest))));
  Print(fmt::format("\nranks ({})\n", manifest.world_size()));
  for (const checkpoint::ShardFile& file : manifest.files())
    Print(fmt::format("  {:>5}  {:<20}  {:>10}  {}{}\n", file.rank(), file.host(), SizeText(file.bytes()), file.name(),
                      file.offset() > 0 ? fmt::format(" from byte {}", file.offset()) : ""));
  size_t width = 4;
  for (const checkpoint::Tensor& tensor : manifest.tensors()) width = std::max(width, tensor.name().size());
  Print(fmt::format("\ntensors ({})\n", manifest.tensors_size()));
  for (const checkpoint::Tensor& tensor : manifest.tensors())
    Print(fmt::format("  {:<{}}  {:<20}  {:>12}{}\n", tensor.name(), width, checkpoint::ShapeOf(tensor).ToString(),
                      checkpoint::ElementsOf(tensor), tensor.statistic() ? "  statistic" : ""));
}

}  // namespace

int InspectCommand(const InspectOptions& options) {
  FileSystem& files = FileSystem::Real();
  if (IsFlightPath(files, options.path)) return InspectFlight(files, options.path, options.last, options.json);
  const bool is_checkpoint = files.Exists(options.path + "/" + checkpoint::kManifestName);
  const std::string checkpoints = is_checkpoint ? "" : checkpoint::CheckpointsOf(files, options.path);
  std::vector<Listed> list;
  if (!checkpoints.empty()) list = ListCheckpoints(files, checkpoints);
  const std::unique_ptr<Reader> reader = checkpoint::OpenPath(files, options.path);
  if (!options.json) {
    if (!list.empty()) PrintCheckpoints(list);
    PrintCheckpoint(*reader);
    return 0;
  }
  Json json = CheckpointJson(*reader);
  for (const Listed& listed : list) {
    Json one = {{"step", listed.step}, {"folder", listed.folder}};
    if (listed.damage.empty()) {
      one["attempt"] = listed.manifest.attempt();
      one["world_size"] = listed.manifest.world_size();
      one["bytes"] = BytesOf(listed.manifest);
    } else {
      one["damage"] = listed.damage;
    }
    json["checkpoints"].push_back(std::move(one));
  }
  Print(DumpJson(json, 2) + "\n");
  return 0;
}

void AddInspectCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("inspect", "Show what a run, a checkpoint or flight records hold");
  auto options = std::make_shared<InspectOptions>();
  command
      ->add_option("PATH", options->path,
                   "a run folder (its newest good checkpoint), a checkpoint folder,\n"
                   "or flight records (DIR/flight)")
      ->required();
  command->add_option("--last", options->last, "of flight records: how many collectives (default: 20)");
  command->add_flag("--json", options->json, "print one JSON object, for programs");
  command->footer(
      "Examples:\n"
      "  lockstep inspect runs/mnist\n"
      "  lockstep inspect runs/mnist/checkpoints/step-00002343 --json | jq .weights_hash\n"
      "  lockstep inspect runs/mnist/flight/attempt-2");
  command->callback([options, exit_code] { *exit_code = InspectCommand(*options); });
}

}  // namespace lockstep::launch
