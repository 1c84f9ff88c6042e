#include "launch/recipe/recipe_paths.h"

#include "data/source_file.h"
#include "launch/recipe/recipe_fields.h"

namespace lockstep::launch {

namespace pb = google::protobuf;

void ResolvePathsIn(pb::Message& message, const pb::FieldDescriptor& field, const std::string& folder,
                    const std::string& path) {
  const pb::Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated())
    return reflection.SetString(&message, &field,
                                data::ResolveDataPath(reflection.GetString(message, &field), folder, path));
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i)
    reflection.SetRepeatedString(&message, &field, i,
                                 data::ResolveDataPath(reflection.GetRepeatedString(message, &field, i), folder, path));
}

void ResolvePaths(Recipe& recipe, const std::string& folder) {
  VisitFields(recipe, "", [&](pb::Message& message, const pb::FieldDescriptor& field, const std::string& path) {
    if (IsPath(field)) ResolvePathsIn(message, field, folder, path);
  });
}

}  // namespace lockstep::launch
