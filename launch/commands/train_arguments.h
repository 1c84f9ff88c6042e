// The options of `lockstep train` as `run` and `submit` take and pass them on.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lockstep::launch {

struct TrainArguments {
  std::string recipe, out, progress, grace;
  std::vector<std::string> settings;
  bool fresh = false, accept_build = false, change_numerics = false;
  std::string change;  ///< "recipe" or empty
  int executors = 0;

  void AddTo(CLI::App& command);
  /// Words after "lockstep train", without --fresh.
  std::vector<std::string> Words() const;
  /// The run's folder, absolute; `name` is the recipe's.
  std::string Folder(const std::string& name) const;
};

}  // namespace lockstep::launch
