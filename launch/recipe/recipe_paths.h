// The files that a recipe names.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "launch/recipe/recipe.pb.h"

namespace lockstep::launch {

/// Makes the path, or paths, that `field` of `message` holds absolute: they start at `folder`. `path` names the field
/// in messages. Throws Error(kUsage).
void ResolvePathsIn(google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field,
                    const std::string& folder, const std::string& path);

/// Those of all fields.
void ResolvePaths(Recipe& recipe, const std::string& folder);

}  // namespace lockstep::launch
