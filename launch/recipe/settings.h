// --set PATH=VALUE: what the command line changes in a recipe.
//
// A value is what the field's text would be; strings need no quotes. A message replaces the one that was there; of a
// part of the recipe itself (train, optimizer, ...) it replaces the fields that it names. A list replaces the whole
// list: 8,8 or [8,8], "a,b.bin","c.bin" where items have commas. Of fields that exclude each other (a oneof of the
// schema, or one_of of base/recipe_field.proto) the one that is set replaces the others.
#pragma once

#include <string>

#include "launch/recipe/recipe.pb.h"

namespace lockstep::launch {

/// Throws Error(kUsage) at "--set PATH=VALUE".
void ApplySetting(Recipe& recipe, const std::string& setting);

}  // namespace lockstep::launch
