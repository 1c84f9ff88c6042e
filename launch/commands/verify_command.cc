#include "launch/commands/verify_command.h"
#include "launch/commands/standard_streams.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "base/hash.h"
#include "launch/commands/commands.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/damage.h"
#include "trainer/checkpoint/weights_hash.h"

namespace lockstep::launch {
namespace {

/// What is wrong with the checkpoint in `folder`, after every byte of it was read; empty where nothing is.
std::string DamageOf(FileSystem& files, const std::string& folder, std::string* summary) {
  try {
    const std::unique_ptr<checkpoint::Reader> reader = checkpoint::Reader::Open(files, folder);
    reader->Verify();
    const checkpoint::Manifest& manifest = reader->manifest();
    const std::string hash = HashText(checkpoint::WeightsHash(*reader, 0));
    if (!manifest.weights_hash().empty() && manifest.weights_hash() != hash)
      return fmt::format("{}: the weights have hash {}, not {} as the manifest says", folder, hash,
                         manifest.weights_hash());
    uint64_t bytes = 0;
    std::set<std::string> names;
    for (const checkpoint::ShardFile& file : manifest.files()) {
      bytes += file.bytes();
      names.insert(file.name());
    }
    *summary = fmt::format("step {}, {} files, {} bytes, weights={}", manifest.step(), names.size(), bytes, hash);
    return "";
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCheckpoint) throw;
    return checkpoint::DamageText(error);
  }
}

}  // namespace

int VerifyCommand(const VerifyOptions& options) {
  FileSystem& files = FileSystem::Real();
  std::vector<std::string> folders;
  const bool is_checkpoint = files.Exists(options.path + "/" + checkpoint::kManifestName);
  const std::string checkpoints = is_checkpoint ? "" : checkpoint::CheckpointsOf(files, options.path);
  if (checkpoints.empty()) {
    folders.push_back(options.path);
  } else {
    for (const uint64_t step : checkpoint::ListSteps(files, checkpoints))
      folders.push_back(checkpoints + "/" + checkpoint::FolderName(step));
  }
  if (folders.empty()) throw Error(ErrorKind::kCheckpoint, "the run has no checkpoint yet", options.path);
  bool damaged = false;
  for (const std::string& folder : folders) {
    std::string summary;
    const std::string damage = DamageOf(files, folder, &summary);
    if (damage.empty())
      fmt::print("good     {}: {}\n", folder, summary);
    else
      fmt::print("damaged  {}\n", damage);
    FlushStandardOutput();
    damaged |= !damage.empty();
  }
  return damaged ? ExitCodeOf(ErrorKind::kCheckpoint) : 0;
}

void AddVerifyCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand(
      "verify", "Read every byte of a checkpoint, or of all of a run's; exit 0 (good) or 4 (damaged)");
  auto options = std::make_shared<VerifyOptions>();
  command->add_option("PATH", options->path, "a run folder (all its checkpoints) or a checkpoint folder")->required();
  command->footer(
      "Examples:\n"
      "  lockstep verify runs/mnist\n"
      "  lockstep verify runs/mnist/checkpoints/step-00002343");
  command->callback([options, exit_code] { *exit_code = VerifyCommand(*options); });
}

}  // namespace lockstep::launch
