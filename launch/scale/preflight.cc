#include "launch/scale/preflight.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace lockstep::launch {
namespace {

constexpr double kBusy = 0.1;  ///< of a core for each core that is measured on

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

uint64_t NumberIn(const std::string& path) {
  const std::string line = FirstLine(path);
  return line.empty() || line.find_first_not_of("0123456789") != std::string::npos ? 0 : std::stoull(line);
}

/// "nr_throttled 12" of a cpu.stat.
uint64_t ThrottledIn(const std::string& path) {
  std::ifstream file(path);
  std::string name;
  uint64_t value = 0;
  while (file >> name >> value)
    if (name == "nr_throttled") return value;
  return 0;
}

/// Of the control group of this process, version 2 or 1.
uint64_t Throttled(const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::string line;
  uint64_t throttled = 0;
  while (std::getline(file, line)) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (controllers.empty())
      throttled += ThrottledIn(root + "/sys/fs/cgroup" + group + "/cpu.stat");
    else if (controllers == "cpu" || controllers == "cpu,cpuacct")
      throttled += ThrottledIn(root + "/sys/fs/cgroup/" + controllers + group + "/cpu.stat");
  }
  return throttled;
}

/// Ticks in which the cores did something, of /proc/stat.
double BusyTicks(const std::string& root, const std::vector<int>& cores) {
  std::ifstream file(root + "/proc/stat");
  std::string line;
  double busy = 0;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string name;
    fields >> name;
    if (!name.starts_with("cpu") || name.size() < 4) continue;
    if (std::find(cores.begin(), cores.end(), std::atoi(name.c_str() + 3)) == cores.end()) continue;
    double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft = 0, stolen = 0;
    fields >> user >> nice >> system >> idle >> waiting >> interrupts >> soft >> stolen;
    busy += user + nice + system + interrupts + soft + stolen;
  }
  return busy;
}

}  // namespace

MachineView LookAtMachine(std::chrono::milliseconds time, const std::string& root) {
  constexpr double kTicksPerSecond = 100;  // USER_HZ, of the kernel's interface
  MachineView view;
  view.cores = QueryCores();
  std::set<std::string> governors;
  for (const int core : view.cores.allowed) {
    const std::string cpu = fmt::format("{}/sys/devices/system/cpu/cpu{}", root, core);
    if (const std::string governor = FirstLine(cpu + "/cpufreq/scaling_governor"); !governor.empty())
      governors.insert(governor);
    view.hot += NumberIn(cpu + "/thermal_throttle/core_throttle_count");
  }
  view.governors.assign(governors.begin(), governors.end());
  view.throttled = Throttled(root);
  const double before = BusyTicks(root, view.cores.allowed);
  const auto begin = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(time);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (seconds > 0) view.busy_cores = (BusyTicks(root, view.cores.allowed) - before) / kTicksPerSecond / seconds;
  return view;
}

std::vector<Obstacle> ObstaclesOf(const MachineView& view, int ranks, int executors) {
  std::vector<Obstacle> obstacles;
  const int wanted = ranks * std::max(1, executors);
  if (static_cast<int>(view.cores.allowed.size()) < std::min(wanted, view.cores.machine))
    obstacles.push_back(
        {fmt::format("this process is bound to {} of {} cores, and {} are asked for: ranks would share cores",
                     view.cores.allowed.size(), view.cores.machine, wanted),
         "start it without a binding (srun --cpus-per-task or --cpu-bind=none, taskset), or measure fewer ranks"});
  else if (view.cores.usable < wanted)
    obstacles.push_back({fmt::format("{} threads on {} cores: ranks would share cores", wanted, view.cores.usable),
                         "measure fewer ranks, or on more hosts (--hosts)"});
  if (view.cores.quota > 0 && view.cores.quota < static_cast<int>(view.cores.allowed.size()))
    obstacles.push_back(
        {fmt::format("the control group allows {} cores' time on {} cores: it holds runs back in bursts",
                     view.cores.quota, view.cores.allowed.size()),
         "raise or remove the quota (cpu.max), or bind the study to that many cores"});
  for (const std::string& governor : view.governors)
    if (governor != "performance")
      obstacles.push_back({fmt::format("cores change their frequency (governor {})", governor),
                           "cpupower frequency-set -g performance"});
  if (view.busy_cores > kBusy * std::min(wanted, static_cast<int>(view.cores.allowed.size())))
    obstacles.push_back({fmt::format("others compute on {:.1f} of these cores", view.busy_cores),
                         "end them, or measure when the machine is idle (top shows who it is)"});
  return obstacles;
}

std::vector<Obstacle> ObstaclesBetween(const MachineView& before, const MachineView& after) {
  std::vector<Obstacle> obstacles;
  if (after.throttled > before.throttled)
    obstacles.push_back(
        {fmt::format("the control group was held back in {} periods", after.throttled - before.throttled),
         "raise or remove its quota (cpu.max)"});
  if (after.hot > before.hot)
    obstacles.push_back({fmt::format("cores were slowed {} times because they were hot", after.hot - before.hot),
                         "cool the machine, or run fewer cores"});
  return obstacles;
}

}  // namespace lockstep::launch
