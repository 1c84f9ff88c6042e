#include "trainer/plan/run_identity.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/hash.h"

namespace lockstep::plan {
namespace {

double Number(const RunIdentity& identity, const std::string& field) {
  const RunIdentity::Field* found = identity.Find(field);
  return found == nullptr ? 0 : std::strtod(found->value.c_str(), nullptr);
}

/// Whether `now` has more steps, or more epochs, and both runs are measured alike.
bool IsLonger(const RunIdentity& before, const RunIdentity& now) {
  const double was_steps = Number(before, "train.steps"), is_steps = Number(now, "train.steps");
  const double was_epochs = Number(before, "train.epochs"), is_epochs = Number(now, "train.epochs");
  return (is_steps > 0) == (was_steps > 0) && (is_epochs > was_epochs || is_steps > was_steps);
}

/// Adds what `a` has otherwise than `b`, or alone.
void AddDiffering(const RunIdentity& a, const RunIdentity& b, std::vector<std::string>& names) {
  std::string alone;  // the message, with its dot, that is set in one alone
  for (const RunIdentity::Field& field : a.fields()) {
    if (!alone.empty() && field.name.starts_with(alone)) continue;
    const RunIdentity::Field* other = b.Find(field.name);
    if (other != nullptr && other->value == field.value) continue;
    if (std::find(names.begin(), names.end(), field.name) == names.end()) names.push_back(field.name);
    if (other == nullptr) alone = field.name + ".";
  }
}

/// Whether a run's state fits after the field has changed.
bool Steers(const std::string& name) {
  constexpr const char* kFields[] = {
      "optimizer.learning_rate", "optimizer.weight_decay", "optimizer.clip_norm", "train.steps", "train.epochs",
      "train.global_batch",      "train.batch_tokens",     "train.lanes"};
  constexpr const char* kMessages[] = {
      "optimizer.schedule", "optimizer.adam.", "optimizer.adamw.", "train.early_stopping", "data.train",
      "data.validation",    "data.test",       "data.split",       "data.augment",         "data.class_weights"};
  return std::ranges::any_of(kFields, [&](const char* field) { return name == field; }) ||
         std::ranges::any_of(kMessages, [&](const char* message) { return name.starts_with(message); });
}

/// "0.001"; of a message or what is not set "set" or "none".
std::string ValueOf(const RunIdentity& identity, const std::string& name) {
  const RunIdentity::Field* field = identity.Find(name);
  if (field == nullptr) return "none";
  return field->value.empty() ? "set" : field->value;
}

}  // namespace

RunIdentity::RunIdentity(std::string resolved, std::string text, std::vector<Field> fields)
    : resolved_(std::move(resolved)), text_(std::move(text)), fields_(std::move(fields)) {}

std::string RunIdentity::Hash() const { return HashText(Hash64(text_)); }

const RunIdentity::Field* RunIdentity::Find(const std::string& name) const {
  const auto found =
      std::find_if(fields_.begin(), fields_.end(), [&](const Field& field) { return field.name == name; });
  return found == fields_.end() ? nullptr : &*found;
}

std::vector<std::string> RunIdentity::Compare(const RunIdentity& other) const {
  std::vector<std::string> names;
  AddDiffering(*this, other, names);
  AddDiffering(other, *this, names);
  return names;
}

std::vector<std::string> CheckContinues(const RunIdentity& before, const RunIdentity& now,
                                        const AllowedChanges& allowed) {
  const bool longer = IsLonger(before, now);
  const auto is_numerics = [&](const std::string& name) {
    const RunIdentity::Field* field = before.Find(name);
    if (field == nullptr) field = now.Find(name);
    return field->numerics;
  };
  std::vector<std::string> fields = before.Compare(now);
  std::erase_if(fields, [&](const std::string& name) {
    return (longer && allowed.longer && (name == "train.steps" || name == "train.epochs")) ||
           (allowed.numerics && is_numerics(name));
  });
  std::vector<std::string> changed;
  if (allowed.steering) {
    for (const std::string& name : fields)
      if (Steers(name)) changed.push_back(fmt::format("{}: {} -> {}", name, ValueOf(before, name), ValueOf(now, name)));
    std::erase_if(fields, Steers);
  }
  if (fields.empty()) return changed;
  if (std::ranges::all_of(fields, is_numerics))
    throw Error(ErrorKind::kMixed,
                fmt::format("this run began with other numerics: they differ in {}", fmt::join(fields, ", ")), "--out",
                "go on all the same with --change-numerics (recorded; the bits differ from here on), or use another "
                "--out, or --fresh");
  throw Error(ErrorKind::kMixed,
              fmt::format("this run began with another recipe: they differ in {}", fmt::join(fields, ", ")), "--out",
              longer && !allowed.longer
                  ? "this learning-rate schedule (or its warmup_fraction) is drawn over the whole "
                    "run, so it can't be made longer; use another "
                    "--out, or --fresh"
              : std::ranges::all_of(fields, Steers)
                  ? "--change recipe goes on from here with the new values (recorded), or use another --out, or --fresh"
                  : "use another --out, or --fresh to move the old run aside");
}

}  // namespace lockstep::plan
