// The fields of a recipe, whichever message they are in.
#pragma once

#include <fmt/format.h>
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "base/recipe_field.pb.h"

namespace lockstep::launch {

/// What the field has to do with the bits of the trained weights, as its .proto says (base/recipe_field.proto); UNSAID
/// of fields that hold messages, whose fields say it.
Bits::Value BitsOf(const google::protobuf::FieldDescriptor& field);
/// The same of the field of a recipe that `path` names, e.g. "train.lanes". UNSAID where there is none.
Bits::Value BitsOf(const std::string& path);

/// Whether the field holds paths of files.
bool IsPath(const google::protobuf::FieldDescriptor& field);

/// The fields of `field`'s message that can't be set beside it, as their .proto says: train.steps of train.epochs.
std::vector<const google::protobuf::FieldDescriptor*> AlternativesOf(const google::protobuf::FieldDescriptor& field);

/// A field that a message may hold, however deep.
struct FieldPath {
  std::string path;  ///< "data.train.csv.file"
  const google::protobuf::FieldDescriptor* field = nullptr;
  bool in_list = false;  ///< inside a repeated message: a path without numbers can't name one
};
/// All of them, depth first, in the order of the .proto files. A message that holds itself is entered once.
std::vector<FieldPath> AllFieldPaths(const google::protobuf::Descriptor& root);

/// The words of an enum, in order.
std::vector<std::string> ValuesOf(const google::protobuf::EnumDescriptor& type);

/// Calls `visit(message, field, path)` for every field that is set, depth first. `visit` may clear the field.
template <typename Visit>
void VisitFields(google::protobuf::Message& message, const std::string& prefix, const Visit& visit) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    const std::string path = prefix.empty() ? field->name() : prefix + "." + field->name();
    visit(message, *field, path);
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      if (!message.GetReflection()->HasField(message, field)) continue;
      VisitFields(*message.GetReflection()->MutableMessage(&message, field), path, visit);
      continue;
    }
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i)
      VisitFields(*message.GetReflection()->MutableRepeatedMessage(&message, field, i), fmt::format("{}[{}]", path, i),
                  visit);
  }
}

}  // namespace lockstep::launch
