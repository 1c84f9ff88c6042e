#include "launch/recipe/recipe_identity.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "launch/recipe/recipe_fields.h"

namespace lockstep::launch {

namespace pb = google::protobuf;

namespace {

/// Whether a field of this kind is left out of the identity.
bool IsLeftOut(Bits::Value bits, bool evaluations_may_stop) {
  switch (bits) {
    case Bits::NOTHING:
    case Bits::DATA:
      return true;
    case Bits::STEERING:
      return !evaluations_may_stop;
    default:
      return false;
  }
}

}  // namespace

Recipe IdentityOf(const Recipe& recipe) {
  Recipe identity = recipe;
  const bool evaluations_may_stop = recipe.train().has_early_stopping();
  VisitFields(identity, "", [&](pb::Message& message, const pb::FieldDescriptor& field, const std::string&) {
    if (IsLeftOut(BitsOf(field), evaluations_may_stop)) message.GetReflection()->ClearField(&message, &field);
  });
  // A recipe without a tokenizer reads text as characters, so that saying it makes no difference.
  if (identity.data().tokenizer().has_characters()) identity.mutable_data()->clear_tokenizer();
  return identity;
}

namespace {

std::string ValueText(const pb::Message& message, const pb::FieldDescriptor& field) {
  const auto one = [&](int index) {
    std::string text;
    pb::TextFormat::PrintFieldValueToString(message, &field, index, &text);
    return text;
  };
  if (!field.is_repeated()) return one(-1);
  std::string text;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) text += (i > 0 ? "," : "") + one(i);
  return text;
}

/// Adds `field` with `value`; of elements of a repeated message, one field holds all values.
void AddValue(const std::string& path, const std::string& value, bool numerics,
              std::vector<plan::RunIdentity::Field>& fields) {
  const auto found = std::ranges::find(fields, path, &plan::RunIdentity::Field::name);
  if (found == fields.end())
    fields.push_back({path, value, numerics});
  else
    found->value += "," + value;
}

void AddFields(const pb::Message& message, const std::string& prefix, std::vector<plan::RunIdentity::Field>& fields) {
  std::vector<const pb::FieldDescriptor*> set;
  const pb::Reflection& reflection = *message.GetReflection();
  reflection.ListFields(message, &set);
  for (const pb::FieldDescriptor* field : set) {
    const std::string path = prefix + field->name();
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      AddValue(path, ValueText(message, *field), BitsOf(*field) == Bits::NUMERICS, fields);
    } else if (!field->is_repeated()) {
      AddValue(path, "", false, fields);
      AddFields(reflection.GetMessage(message, field), path + ".", fields);
    } else {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        AddValue(path, "", false, fields);
        AddFields(reflection.GetRepeatedMessage(message, field, i), path + ".", fields);
      }
    }
  }
}

}  // namespace

plan::RunIdentity IdentityOfRun(const Recipe& recipe) {
  const Recipe identity = IdentityOf(recipe);
  std::vector<plan::RunIdentity::Field> fields;
  AddFields(identity, "", fields);
  return {ToText(recipe), ToText(identity), std::move(fields)};
}

plan::RunIdentity ReadIdentity(const std::string& resolved) {
  return IdentityOfRun(ParseRecipe(resolved, "recipe.textproto", ".", {}));
}

}  // namespace lockstep::launch
