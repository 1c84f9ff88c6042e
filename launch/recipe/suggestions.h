// What somebody may have meant who wrote a word that is not there: a field of a recipe, a value, an option, a command.
#pragma once

#include <string>
#include <vector>

#include "launch/recipe/recipe.pb.h"

namespace lockstep::launch {

/// The steps from one word to the other: letters left out, added, replaced or swapped with their neighbours.
int EditDistance(const std::string& from, const std::string& to);

/// The candidate that `word` is most likely a misspelling or the beginning of; empty where none is near. Small and
/// capital letters, "-" and "_" count as equal.
std::string Nearest(const std::string& word, const std::vector<std::string>& candidates);

/// Paths of the recipe's fields that `name` may mean, the likeliest first, at most three: what other frameworks call so
/// ("lr" is optimizer.learning_rate), fields of this name, and misspelled ones. `where` is the path of the message that
/// it was looked for in ("" for the recipe itself). Fields inside lists are among them only where `where` is inside
/// one. Where several models, formats or rules have such a field, the one that `recipe` has is meant.
std::vector<std::string> FieldsMeantBy(const std::string& name, const std::string& where = "",
                                       const Recipe& recipe = {});
/// Those of them that `name` surely means: another framework's word, or the name of a field as it is.
std::vector<std::string> FieldsNamed(const std::string& name);

/// The one of an enum's values that `value` may mean, by its spelling or by what others call it ("CUDA", "FP32").
std::string ValueMeantBy(const std::string& value, const std::vector<std::string>& values);

/// "did you mean a, b or c?"; empty without any.
std::string DidYouMean(const std::vector<std::string>& meant);
std::string DidYouMean(const std::string& meant);

}  // namespace lockstep::launch
