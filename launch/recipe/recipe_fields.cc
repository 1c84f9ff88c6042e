#include "launch/recipe/recipe_fields.h"

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

}  // namespace lockstep::launch
