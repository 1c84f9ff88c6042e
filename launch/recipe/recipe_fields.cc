#include "launch/recipe/recipe_fields.h"

#include <algorithm>
#include <sstream>

#include "launch/recipe/recipe.pb.h"

namespace lockstep::launch {

namespace pb = google::protobuf;

Bits::Value BitsOf(const pb::FieldDescriptor& field) { return field.options().GetExtension(bits); }

Bits::Value BitsOf(const std::string& path) {
  const pb::Descriptor* message = Recipe::descriptor();
  const pb::FieldDescriptor* field = nullptr;
  std::istringstream names(path);
  for (std::string name; std::getline(names, name, '.'); message = field->message_type()) {
    field = message == nullptr ? nullptr : message->FindFieldByName(name);
    if (field == nullptr) return Bits::UNSAID;
  }
  return field == nullptr ? Bits::UNSAID : BitsOf(*field);
}

bool IsPath(const pb::FieldDescriptor& field) { return field.options().GetExtension(path); }

std::vector<const pb::FieldDescriptor*> AlternativesOf(const pb::FieldDescriptor& field) {
  const std::string choice = field.options().GetExtension(one_of);
  std::vector<const pb::FieldDescriptor*> others;
  for (int i = 0; !choice.empty() && i < field.containing_type()->field_count(); ++i) {
    const pb::FieldDescriptor* other = field.containing_type()->field(i);
    if (other != &field && other->options().GetExtension(one_of) == choice) others.push_back(other);
  }
  return others;
}

namespace {

void AddFieldPaths(const FieldPath& parent, const pb::Descriptor& message, std::vector<const pb::Descriptor*>& above,
                   std::vector<FieldPath>& all) {
  if (std::find(above.begin(), above.end(), &message) != above.end()) return;
  above.push_back(&message);
  for (int i = 0; i < message.field_count(); ++i) {
    const pb::FieldDescriptor& field = *message.field(i);
    const FieldPath path{parent.path.empty() ? field.name() : parent.path + "." + field.name(), &field, parent.in_list};
    all.push_back(path);
    if (field.message_type() == nullptr) continue;
    AddFieldPaths({path.path, &field, path.in_list || field.is_repeated()}, *field.message_type(), above, all);
  }
  above.pop_back();
}

}  // namespace

std::vector<FieldPath> AllFieldPaths(const pb::Descriptor& root) {
  std::vector<FieldPath> all;
  std::vector<const pb::Descriptor*> above;
  AddFieldPaths({}, root, above, all);
  return all;
}

std::vector<std::string> ValuesOf(const pb::EnumDescriptor& type) {
  std::vector<std::string> values;
  for (int i = 0; i < type.value_count(); ++i) values.push_back(type.value(i)->name());
  return values;
}

}  // namespace lockstep::launch
