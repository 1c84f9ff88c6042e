// Any text as a recipe: a resolved recipe that is read back as it was, or Error(kUsage), and nothing else.
//
// What follows a line "--set" is one setting a line.
#include <google/protobuf/util/message_differencer.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/recipe_identity.h"
#include "launch/recipe/resolve_recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> settings;
  constexpr char kSettings[] = "\n--set\n";
  if (const size_t at = text.find(kSettings); at != std::string::npos) {
    std::string setting;
    for (char c : text.substr(at + sizeof(kSettings) - 1) + "\n") {
      if (c != '\n') {
        setting += c;
        continue;
      }
      settings.push_back(setting);
      setting.clear();
    }
    text.resize(at);
  }
  try {
    Recipe recipe = launch::ParseRecipe(text, "fuzz.textproto", "/recipes", settings);
    launch::ResolveRecipe(recipe);
    const Recipe identity = launch::IdentityOf(recipe);
    const Recipe again = launch::ParseRecipe(launch::ToText(recipe), "again.textproto", "/elsewhere", {});
    // Compared as text: NaN equals NaN there.
    CHECK(launch::ToText(again) == launch::ToText(recipe), "{}", launch::ToText(recipe));
    CHECK(launch::IdentityOfRun(again).Compare(launch::IdentityOfRun(recipe)).empty());
    CHECK(launch::ToText(launch::IdentityOf(again)) == launch::ToText(identity));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
  }
  return 0;
}
