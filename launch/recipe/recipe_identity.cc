#include "launch/recipe/recipe_identity.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "base/error.h"
#include "launch/recipe/recipe_fields.h"
#include "trainer/optim/schedule.h"

namespace lockstep::launch {

namespace pb = google::protobuf;

Recipe IdentityOf(const Recipe& recipe) {
  Recipe identity = recipe;
  identity.clear_name();
  identity.clear_checkpoint();
  identity.clear_watchdog();
  identity.mutable_data()->clear_threads();
  identity.mutable_data()->clear_verify();
  // Letters and vocabularies are part of the data, and compared as these are.
  identity.mutable_data()->clear_alphabet();
  if (identity.data().has_tokenizer()) identity.mutable_data()->mutable_tokenizer()->clear_fingerprint();
  if (identity.data().tokenizer().has_characters()) identity.mutable_data()->clear_tokenizer();
  plan::TrainConfig& train = *identity.mutable_train();
  train.clear_init_from();
  train.clear_log_every_steps();
  train.clear_on_other_hardware();
  train.clear_on_nonfinite();
  train.clear_recompute_activations();
  train.clear_certificate_every_steps();
  if (!train.has_early_stopping()) {  // what evaluations find decides nothing then
    train.clear_evaluate_every_steps();
    train.clear_evaluation_block();
  }
  VisitFields(identity, "", [](pb::Message& message, const pb::FieldDescriptor& field, const std::string&) {
    if (IsPath(field)) message.GetReflection()->ClearField(&message, &field);
  });
  return identity;
}

std::vector<std::string> DifferingFields(const Recipe& a, const Recipe& b) {
  struct Collector : pb::util::MessageDifferencer::Reporter {
    void Note(const std::vector<pb::util::MessageDifferencer::SpecificField>& path) {
      std::string text;
      for (const auto& part : path)
        if (part.field != nullptr) text += (text.empty() ? "" : ".") + part.field->name();
      if (std::find(fields.begin(), fields.end(), text) == fields.end()) fields.push_back(text);
    }
    void ReportAdded(const pb::Message&, const pb::Message&,
                     const std::vector<pb::util::MessageDifferencer::SpecificField>& path) override {
      Note(path);
    }
    void ReportDeleted(const pb::Message&, const pb::Message&,
                       const std::vector<pb::util::MessageDifferencer::SpecificField>& path) override {
      Note(path);
    }
    void ReportModified(const pb::Message&, const pb::Message&,
                        const std::vector<pb::util::MessageDifferencer::SpecificField>& path) override {
      // A message that holds a field that differs is reported after the field.
      const pb::FieldDescriptor* last = path.back().field;
      if (last == nullptr || last->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) Note(path);
    }
    std::vector<std::string> fields;
  } collector;
  pb::util::MessageDifferencer differencer;
  differencer.ReportDifferencesTo(&collector);
  differencer.Compare(a, b);
  return collector.fields;
}

void CheckContinues(const Recipe& before, const Recipe& now, bool change_numerics) {
  Recipe old_identity = IdentityOf(before), new_identity = IdentityOf(now);
  const plan::TrainConfig &was = before.train(), &is = now.train();
  const bool longer = (is.steps() > 0) == (was.steps() > 0) && (is.epochs() > was.epochs() || is.steps() > was.steps());
  const bool extendable = optim::IsExtendable(now.optimizer().schedule());
  if (longer && extendable) {
    old_identity.mutable_train()->set_epochs(is.epochs());
    old_identity.mutable_train()->set_steps(is.steps());
  }
  if (change_numerics) {
    plan::TrainConfig& old_train = *old_identity.mutable_train();
    old_train.set_device(is.device());
    old_train.set_precision(is.precision());
    old_train.set_isa(is.isa());
    old_train.set_lanes(is.lanes());
  }
  const std::vector<std::string> fields = DifferingFields(old_identity, new_identity);
  if (fields.empty()) return;
  const bool only_numerics = std::all_of(fields.begin(), fields.end(), [](const std::string& field) {
    return field == "train.device" || field == "train.precision" || field == "train.isa" || field == "train.lanes";
  });
  if (only_numerics)
    throw Error(ErrorKind::kUsage,
                fmt::format("this run began with other numerics: they differ in {}", fmt::join(fields, ", ")), "--out",
                "go on all the same with --change-numerics (recorded; the bits differ from here on), or use another "
                "--out, or --fresh");
  throw Error(ErrorKind::kUsage,
              fmt::format("this run began with another recipe: they differ in {}", fmt::join(fields, ", ")), "--out",
              longer && !extendable ? "this learning-rate schedule (or its warmup_fraction) is drawn over the whole "
                                      "run, so it can't be made longer; use another "
                                      "--out, or --fresh"
                                    : "use another --out, or --fresh to move the old run aside");
}

}  // namespace lockstep::launch
