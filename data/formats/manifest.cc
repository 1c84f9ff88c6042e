#include "data/formats/manifest.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

#include "data/utf8.h"

namespace lockstep::data {
namespace {

/// One line of the manifest, and the errors that name it.
struct Line {
  std::string_view text;
  uint64_t number;
  const Origin& origin;

  Error Bad(std::string message, std::string hint) const {
    return origin.Bad(std::move(message), std::move(hint), fmt::format("{}", number));
  }
};

constexpr char kColumns[] =
    "a line is PATH, a tab, TRANSCRIPT, and if speakers are known a tab and SPEAKER; or a JSON object";
constexpr char kKeys[] = "a line is {\"audio\": \"PATH\", \"text\": \"TRANSCRIPT\"}, with \"speaker\" if that is known";

ManifestEntry FromTabs(const Line& line) {
  std::vector<std::string> columns;
  for (std::string_view rest = line.text;;) {
    const size_t tab = rest.find('\t');
    columns.emplace_back(rest.substr(0, tab));
    if (tab == std::string_view::npos) break;
    rest.remove_prefix(tab + 1);
  }
  if (columns.size() < 2 || columns.size() > 3) {
    throw line.Bad(columns.size() < 2 ? "there is no tab, and so no transcript"
                                      : fmt::format("there are {} columns between tabs", columns.size()),
                   kColumns);
  }
  columns.resize(3);
  return {std::move(columns[0]), std::move(columns[1]), std::move(columns[2]), line.number};
}

/// The text under the one of `keys` that is there; empty where none is and it is not required.
std::string TextUnder(const nlohmann::json& object, std::initializer_list<const char*> keys, bool required,
                      const Line& line) {
  const nlohmann::json* found = nullptr;
  for (const char* key : keys) {
    const auto value = object.find(key);
    if (value == object.end() || value->is_null()) continue;
    if (found != nullptr) throw line.Bad(fmt::format("\"{}\" is not the only key for its purpose", key), kKeys);
    if (!value->is_string()) throw line.Bad(fmt::format("\"{}\" is no text", key), kKeys);
    found = &*value;
  }
  if (found == nullptr && required) throw line.Bad(fmt::format("there is no \"{}\"", *keys.begin()), kKeys);
  return found == nullptr ? "" : found->get<std::string>();
}

ManifestEntry FromJson(const Line& line) {
  const auto object = nlohmann::json::parse(line.text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw line.Bad("the line is no JSON object", kKeys);
  const auto offset = object.find("offset");
  if (offset != object.end() && !offset->is_null() && *offset != 0) {
    throw line.Bad("\"offset\" asks for a part of a recording", "cut the recordings apart, one file each");
  }
  return {TextUnder(object, {"audio", "audio_filepath", "path"}, true, line),
          TextUnder(object, {"text", "transcript"}, true, line), TextUnder(object, {"speaker"}, false, line),
          line.number};
}

bool IsControl(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

void RequireText(const std::string& text, const char* what, const Line& line) {
  for (size_t at = 0; at < text.size();) {
    const Character character = CharacterAt(text, at);
    if (!character.valid || IsControl(character.code_point)) {
      throw line.Bad(fmt::format("the {} has {}{}", what, character.valid ? "the control character " : "",
                                 NameCharacter(text, at)),
                     "manifests are UTF-8 without control characters: correct this line");
    }
    at += character.bytes;
  }
}

}  // namespace

std::vector<ManifestEntry> ReadManifest(std::span<const std::byte> bytes, const Origin& origin) {
  std::string_view text = WithoutByteOrderMark(bytes);
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string_view::npos && text[first] == '{';
  std::vector<ManifestEntry> entries;
  for (uint64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    Line line{text.substr(0, end), number, origin};
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.text.ends_with('\r')) line.text.remove_suffix(1);
    if (line.text.find_first_not_of(" \t") == std::string_view::npos) continue;
    ManifestEntry entry = json ? FromJson(line) : FromTabs(line);
    RequireText(entry.path, "path", line);
    RequireText(entry.transcript, "transcript", line);
    RequireText(entry.speaker, "speaker", line);
    if (entry.path.empty()) throw line.Bad("the path is empty", json ? kKeys : kColumns);
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) throw origin.Bad("the manifest is empty", json ? kKeys : kColumns);
  return entries;
}

}  // namespace lockstep::data
