// lockstep report RUN [RUN...]: one HTML page about runs, with their curves.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "launch/commands/commands.h"
#include "launch/report/report_page.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {
namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string out = "report.html";
};

void Report(const ReportOptions& options) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  records::RequireReplaceable(options.out);
  std::vector<RunRecord> runs;
  for (const std::string& run : options.runs) runs.push_back(ReadRun(run, std::chrono::duration<double>(now).count()));
  for (const RunRecord& run : runs)
    for (const std::string& note : run.notes) fmt::print(stderr, "note: {}: {}\n", run.folder, note);
  const size_t count = runs.size();
  const std::string page = ReportPage(std::move(runs));
  WriteFileAtomically(FileSystem::Real(), options.out, page);
  fmt::print("report of {} run{} ({:.0f} KB): {}\n", count, count == 1 ? "" : "s",
             static_cast<double>(page.size()) / 1000, options.out);
}

}  // namespace

void AddReportCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand("report", "Write curves and numbers of runs as one HTML page");
  command->add_option("RUN", options->runs, "Run folders; several are compared")->required();
  command->add_option("--out", options->out, "The page to write")->capture_default_str();
  command->footer(
      "The page needs no other file and no script, and shows a run that is still going as it is now.\n"
      "Examples:\n"
      "  lockstep report runs/mnist\n"
      "  lockstep report runs/small runs/large --out compared.html");
  command->callback([options, exit_code] {
    Report(*options);
    *exit_code = 0;
  });
}

}  // namespace lockstep::launch
