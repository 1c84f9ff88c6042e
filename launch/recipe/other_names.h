// What other frameworks call what a recipe calls otherwise.
#pragma once

#include <string>
#include <vector>

namespace lockstep::launch {

/// Paths of the recipe's fields that `name` stands for elsewhere, the likeliest first; `name` in small letters, with
/// "_" between words. Nothing where no framework that is known has the word.
std::vector<std::string> FieldsOfOtherName(const std::string& name);

/// The value of an enum that `value` is called elsewhere, in capitals ("CUDA" is "GPU"); empty where there is none.
std::string ValueOfOtherName(const std::string& value);

/// All paths that FieldsOfOtherName may return.
std::vector<std::string> AllOfOtherNames();

}  // namespace lockstep::launch
