#include "launch/commands/data/data_pack_command.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "data/pictures/pack_pictures.h"

namespace lockstep::launch {
namespace {

struct Options {
  data::PackOptions pack;
  uint64_t archive_mib = 0;
};

int Pack(Options& options) {
  constexpr uint64_t kMib = uint64_t{1} << 20;
  uint64_t broken = 0;
  options.pack.archive_bytes = options.archive_mib * kMib;
  options.pack.folder = std::filesystem::absolute(options.pack.folder).lexically_normal().string();
  options.pack.on_broken = [&](const Error& error) {
    ++broken;
    fmt::print("broken  {}\n", error.what());
  };
  const data::PackedResult result = data::PackPictures(options.pack);
  fmt::print("{} pictures of {} classes, {:.1f} MiB: {}", result.pictures, result.classes,
             static_cast<double>(result.bytes) / static_cast<double>(kMib), result.archives.front());
  if (result.archives.size() > 1) fmt::print(" to {}", result.archives.back());
  fmt::print(", each with its .index\n");
  if (broken > 0) fmt::print("{} broken, left out\n", broken);
  return broken > 0 ? ExitCodeOf(ErrorKind::kData) : 0;
}

}  // namespace

void AddDataPackCommand(CLI::App& data, int* exit_code) {
  CLI::App* command = data.add_subcommand(
      "pack", "Write a folder of pictures, a class a subfolder, as tar archives with an index (WebDataset's layout)");
  auto options = std::make_shared<Options>();
  command->add_option("FOLDER", options->pack.folder, "The folder")->required();
  command->add_option("OUT.tar", options->pack.archive, "The archive")->required();
  command->add_option("--archive-mib", options->archive_mib,
                      "Begins another archive, OUT-00001.tar and so on, where one would be larger; 0: one for all");
  command->footer(
      "A recipe reads them by packed { files: }. The index holds the names of classes: copy it with its archive.\n"
      "Example:\n  lockstep data pack imagenet/train train.tar --archive-mib 1024");
  command->callback([options, exit_code] { *exit_code = Pack(*options); });
}

}  // namespace lockstep::launch
