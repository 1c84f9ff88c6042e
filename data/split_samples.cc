#include "data/split_samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/philox.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

void CheckShares(const Split& config) {
  const auto check = [](double share, const char* field) {
    if (!(share >= 0 && share < 1))
      throw Error(ErrorKind::kUsage, fmt::format("{} is not a share from 0 to less than 1", share), field,
                  "for example test: 0.2");
  };
  check(config.test(), "data.split.test");
  check(config.validation(), "data.split.validation");
  if (config.test() + config.validation() >= 1)
    throw Error(ErrorKind::kUsage, "the shares of test and validation leave nothing to train on", "data.split",
                "for example test: 0.2 validation: 0.1");
  if (config.test() + config.validation() == 0)
    throw Error(ErrorKind::kUsage, "neither test nor validation has a share", "data.split", "for example test: 0.2");
}

uint64_t DrawnKey(uint64_t seed, uint64_t unit) {
  const Philox4 bits = RandomStream{seed, 0, kSplitKey, unit}.Group(0);
  return uint64_t{bits.x[0]} << 32 | bits.x[1];
}

uint64_t Share(double share, uint64_t of) {
  return static_cast<uint64_t>(std::llround(share * static_cast<double>(of)));
}

/// Deals the samples of classes one after the other.
class SampleDealer {
 public:
  SampleDealer(const Split& config, uint64_t samples) : config_(config), parts_(samples, SplitPart::kTrain) {}

  void Deal(std::vector<uint64_t> ids, bool keep_one) {
    std::vector<std::pair<uint64_t, uint64_t>> drawn;
    for (const uint64_t id : ids) drawn.emplace_back(DrawnKey(config_.seed(), id), id);
    std::sort(drawn.begin(), drawn.end());
    seen_ += ids.size();
    uint64_t most = ids.size() - (keep_one ? 1 : 0);
    const uint64_t test = std::min(most, Share(config_.test(), seen_) - std::min(test_, Share(config_.test(), seen_)));
    most -= test;
    const uint64_t wanted = Share(config_.validation(), seen_);
    const uint64_t validation = std::min(most, wanted - std::min(validation_, wanted));
    test_ += test;
    validation_ += validation;
    for (uint64_t i = 0; i < test + validation; ++i)
      parts_[drawn[i].second] = i < test ? SplitPart::kTest : SplitPart::kValidation;
  }

  std::vector<SplitPart> Take() { return std::move(parts_); }

 private:
  const Split& config_;
  std::vector<SplitPart> parts_;
  uint64_t seen_ = 0, test_ = 0, validation_ = 0;
};

std::vector<SplitPart> DealGroups(const Split& config, std::span<const std::string> groups) {
  struct Group {
    uint64_t key = 0, first = 0, samples = 0;
    SplitPart part = SplitPart::kTrain;
  };
  constexpr uint64_t kUnitBits = (uint64_t{1} << 48) - 1;
  std::unordered_map<std::string, Group> by_name;
  for (uint64_t id = 0; id < groups.size(); ++id) {
    Group& group =
        by_name.try_emplace(groups[id], Group{DrawnKey(config.seed(), Hash64(groups[id]) & kUnitBits), id, 0})
            .first->second;
    ++group.samples;
  }
  std::vector<Group*> order;
  for (auto& [name, group] : by_name) order.push_back(&group);
  std::sort(order.begin(), order.end(),
            [](const Group* a, const Group* b) { return std::pair(a->key, a->first) < std::pair(b->key, b->first); });
  const uint64_t test = Share(config.test(), groups.size()), validation = Share(config.validation(), groups.size());
  uint64_t in_test = 0, in_validation = 0;
  for (size_t i = 0; i + 1 < order.size(); ++i) {  // the last is trained on
    if (in_test < test) {
      order[i]->part = SplitPart::kTest;
      in_test += order[i]->samples;
    } else if (in_validation < validation) {
      order[i]->part = SplitPart::kValidation;
      in_validation += order[i]->samples;
    }
  }
  std::vector<SplitPart> parts;
  for (const std::string& group : groups) parts.push_back(by_name.at(group).part);
  return parts;
}

}  // namespace

std::vector<SplitPart> DealSamples(const Split& config, const SplitSamples& samples) {
  CheckShares(config);
  const bool grouped = !config.group().empty();
  const bool stratified = config.has_stratified() ? config.stratified() : !samples.labels.empty() && !grouped;
  if (stratified && samples.labels.empty())
    throw Error(ErrorKind::kUsage, "the samples have no classes", "data.split.stratified", "remove it");
  if (grouped && stratified)
    throw Error(ErrorKind::kUsage, "groups can't be parted so that all classes have their share",
                "data.split.stratified", "remove it, or data.split.group");
  if (grouped && samples.groups.empty())
    throw Error(ErrorKind::kUsage, "the samples have no groups", "data.split.group",
                "columns of csv are groups, and speakers of speech");
  if (grouped) return DealGroups(config, samples.groups);

  SampleDealer dealer(config, samples.samples);
  std::map<int32_t, std::vector<uint64_t>> classes;
  for (uint64_t id = 0; id < samples.samples; ++id) classes[stratified ? samples.labels[id] : 0].push_back(id);
  for (auto& [label, ids] : classes) dealer.Deal(std::move(ids), stratified || classes.size() == 1);
  return dealer.Take();
}

}  // namespace lockstep::data
