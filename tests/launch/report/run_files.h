// A folder of runs for tests of what reads them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/base/temporary_folder.h"

namespace lockstep::launch {

class RunFiles {
 public:
  /// Writes RUN/NAME.
  void Write(const std::string& run, const std::string& name, const std::string& text) const {
    const std::string path = folder_ / (run + "/" + name);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  /// A run of 40 steps that overfits, was killed behind step 30 and started again.
  void WriteWholeRun(const std::string& run) const {
    Write(run, "recipe.textproto",
          "name: \"" + run +
              "\" model { mlp { hidden: 8 } } train { steps: 40 global_batch: 16 seed: 3 }"
              " optimizer { adam {} learning_rate: 0.5 }");
    Write(run, "attempts.jsonl",
          "{\"attempt\":1,\"from_step\":0,\"host\":\"h<1>\",\"ranks\":2,\"time\":1000}\n"
          "{\"attempt\":2,\"from_step\":20,\"host\":\"h2\",\"ranks\":3,\"time\":1070}\n");
    Write(run, "supervisor.jsonl",
          "{\"event\":\"end\",\"message\":\"rank 1 on h1 was killed\",\"restart\":true,\"time\":1061}\n");
    std::string rows;
    for (int step = 10; step <= 40; step += 10) {
      const std::string place = "\"step\":" + std::to_string(step) + ",\"epoch\":" + std::to_string(step / 10) +
                                ",\"attempt\":" + (step <= 20 ? "1" : "2") + ",\"time\":";
      const int time = step <= 20 ? 1000 + 2 * step : 1040 + 2 * step;
      rows +=
          "{" + place + std::to_string(time) + ",\"loss\":" + std::to_string(1.0 / step) +
          ",\"accuracy\":0.5,\"learning_rate\":0.5,\"samples_per_s\":100,\"grad_norm\":1,\"checkpoint_seconds\":0.5}\n";
      rows += "{" + place + std::to_string(time + 1) +
              ",\"split\":\"validation\",\"loss\":" + std::to_string(step == 20 ? 0.25 : 0.75) +
              ",\"accuracy\":0.625}\n";
    }
    Write(run, "metrics.jsonl", rows);
    Write(run, "metrics.discarded.jsonl", "{\"step\":30,\"epoch\":3,\"loss\":1,\"attempt\":1,\"time\":1060}\n");
    Write(run, "checkpoints/step-00000020/manifest.pb", "x");
    Write(run, "verdict.json", "{\"attempt\":2,\"exit_code\":0,\"kind\":\"done\",\"message\":\"\"}");
    Write(run, "done.json", "{\"line\":\"done name=" + run + " step=40\",\"identity_hash\":\"1\",\"step\":40}");
  }
  std::string operator/(const std::string& name) const { return folder_ / name; }
  const std::string& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

}  // namespace lockstep::launch
