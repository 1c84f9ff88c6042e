// What the parser of protobuf text complains of, in words that help.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

#include "launch/recipe/first_error.h"
#include "launch/recipe/recipe.pb.h"

namespace lockstep::launch {

/// Where in a message's text a line and column (from 1) lie: the names of the messages around it, "data.train.csv".
std::string PathAt(const std::string& text, int line, int column);

/// A complaint in words, without its place.
struct TextComplaint {
  std::string message, hint;
};

/// What a text is: of a recipe or a site ("recipe", "site", as `lockstep help` takes them), where in it it stands (""
/// for all of it), and what is known of the recipe so far.
struct TextPlace {
  std::string what = "recipe", path;
  Recipe recipe;
};
/// Explains `complaint` about `text`, a text of a `root`. Unknown fields and values of enums come with what may be
/// meant.
TextComplaint Explain(const FirstError& complaint, const std::string& text, const google::protobuf::Descriptor& root,
                      const TextPlace& place);

/// What can be read of a text that has unknown fields: an explanation is better where the rest is known.
Recipe ReadWhatIsKnown(const std::string& text);

}  // namespace lockstep::launch
