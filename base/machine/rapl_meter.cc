#include "base/machine/rapl_meter.h"

#include <filesystem>
#include <fstream>
#include <vector>

namespace lockstep {
namespace {

std::optional<uint64_t> ReadNumber(const std::filesystem::path& path) {
  std::ifstream file(path);
  uint64_t value;
  if (!(file >> value)) return std::nullopt;
  return value;
}

/// One package's counter of microjoules, which begins again at zero after `range`.
struct Package {
  std::filesystem::path counter;
  uint64_t range = 0, last = 0, used = 0;
};

class RaplMeter final : public EnergyMeter {
 public:
  explicit RaplMeter(std::vector<Package> packages) : packages_(std::move(packages)) {}

  std::optional<double> Joules() override {
    uint64_t all = 0;
    for (Package& package : packages_) {
      const std::optional<uint64_t> now = ReadNumber(package.counter);
      if (!now) return std::nullopt;
      package.used += *now >= package.last ? *now - package.last : *now + package.range - package.last;
      package.last = *now;
      all += package.used;
    }
    return static_cast<double>(all) * 1e-6;
  }

 private:
  std::vector<Package> packages_;
};

}  // namespace

std::unique_ptr<EnergyMeter> MakeRaplMeter(const std::string& folder) {
  std::vector<Package> packages;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    // "intel-rapl:0" is a package (AMD's, too); "intel-rapl:0:1" is a part of one.
    const std::string name = entry.path().filename();
    if (!name.starts_with("intel-rapl:") || name.find(':', 11) != std::string::npos) continue;
    const auto now = ReadNumber(entry.path() / "energy_uj"), range = ReadNumber(entry.path() / "max_energy_range_uj");
    if (!now || !range) return nullptr;
    packages.push_back({entry.path() / "energy_uj", *range, *now, 0});
  }
  if (packages.empty()) return nullptr;
  return std::make_unique<RaplMeter>(std::move(packages));
}

}  // namespace lockstep
