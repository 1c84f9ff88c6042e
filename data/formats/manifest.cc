#include "data/formats/manifest.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

#include "data/table/cell.h"
#include "data/table/csv_rows.h"
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
constexpr char kTable[] = "a row has the columns path and sentence, and if speakers are known speaker";
constexpr char kKeys[] = "a line is {\"audio\": \"PATH\", \"text\": \"TRANSCRIPT\"}, with \"speaker\" if that is known";

std::vector<std::string> SplitAt(std::string_view text, char separator) {
  std::vector<std::string> cells;
  for (;;) {
    const size_t end = text.find(separator);
    cells.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return cells;
    text.remove_prefix(end + 1);
  }
}

ManifestEntry FromTabs(const Line& line) {
  std::vector<std::string> columns = SplitAt(line.text, '\t');
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

/// The columns of a table, which its heading names.
struct Heading {
  char separator = 0;  ///< 0: there is no heading
  int columns = 0, path = -1, transcript = -1, speaker = -1;
  const char* folder = "";  ///< in front of paths
};

constexpr std::string_view kPathNames[] = {"path",     "audio",     "audio_path", "audio_filepath", "file",
                                           "filename", "file_name", "wav",        "wav_filename"};
constexpr std::string_view kTranscriptNames[] = {"sentence", "text", "transcript", "transcription"};
constexpr std::string_view kSpeakerNames[] = {"client_id", "speaker", "speaker_id"};

template <size_t n>
int FindColumn(const std::vector<std::string>& cells, const std::string_view (&names)[n]) {
  for (const std::string_view name : names)
    for (size_t i = 0; i < cells.size(); ++i)
      if (LowerCase(TrimCell(cells[i])) == name) return static_cast<int>(i);
  return -1;
}

/// Of Common Voice, recordings lie in a folder beside the table.
Heading FindHeading(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  if (ValidPrefix(line) < line.size()) return {};
  for (const char separator : {'\t', ',', ';'}) {
    const std::vector<std::string> cells = SplitAt(line, separator);
    Heading heading{separator, static_cast<int>(cells.size()), FindColumn(cells, kPathNames),
                    FindColumn(cells, kTranscriptNames), FindColumn(cells, kSpeakerNames)};
    if (heading.path < 0 || heading.transcript < 0) continue;
    const bool common_voice =
        heading.speaker >= 0 && LowerCase(cells[static_cast<size_t>(heading.speaker)]) == "client_id";
    if (common_voice && LowerCase(cells[static_cast<size_t>(heading.transcript)]) == "sentence")
      heading.folder = "clips/";
    return heading;
  }
  return {};
}

ManifestEntry FromCells(const std::vector<std::string>& cells, const Heading& heading, const Line& line) {
  if (static_cast<int>(cells.size()) != heading.columns)
    throw line.Bad(fmt::format("{} columns where the heading has {}", cells.size(), heading.columns),
                   "quote cells that hold the separator");
  const auto at = [&](int column) { return column < 0 ? std::string() : cells[static_cast<size_t>(column)]; };
  return {heading.folder + at(heading.path), at(heading.transcript), at(heading.speaker), line.number};
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

void Add(ManifestEntry entry, const Line& line, const char* form, std::vector<ManifestEntry>& entries) {
  RequireText(entry.path, "path", line);
  RequireText(entry.transcript, "transcript", line);
  RequireText(entry.speaker, "speaker", line);
  if (entry.path.empty()) throw line.Bad("the path is empty", form);
  entries.push_back(std::move(entry));
}

/// Between commas cells may be quoted; between tabs quotes are letters.
std::vector<ManifestEntry> ReadTable(std::span<const std::byte> bytes, const Heading& heading, const Origin& origin) {
  std::vector<ManifestEntry> entries;
  CsvRows rows(bytes, heading.separator, 1, origin);
  CsvRow row;
  while (rows.Next(row)) {
    std::vector<std::string> cells;
    for (const std::string_view cell : row.cells) cells.push_back(UnquoteCell(cell));
    const Line line{{}, row.line, origin};
    Add(FromCells(cells, heading, line), line, kTable, entries);
  }
  return entries;
}

std::vector<ManifestEntry> ReadLines(std::string_view text, const Heading& heading, const Origin& origin) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string_view::npos && text[first] == '{';
  const bool table = heading.separator != 0;
  std::vector<ManifestEntry> entries;
  for (uint64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    Line line{text.substr(0, end), number, origin};
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.text.ends_with('\r')) line.text.remove_suffix(1);
    if (line.text.find_first_not_of(" \t") == std::string_view::npos || (table && number == 1)) continue;
    ManifestEntry entry = json    ? FromJson(line)
                          : table ? FromCells(SplitAt(line.text, heading.separator), heading, line)
                                  : FromTabs(line);
    Add(std::move(entry), line, json ? kKeys : table ? kTable : kColumns, entries);
  }
  if (entries.empty()) throw origin.Bad("the manifest is empty", json ? kKeys : table ? kTable : kColumns);
  return entries;
}

}  // namespace

std::vector<ManifestEntry> ReadManifest(std::span<const std::byte> bytes, const Origin& origin) {
  const std::string_view text = WithoutByteOrderMark(bytes);
  const Heading heading = FindHeading(text);
  if (heading.separator == 0 || heading.separator == '\t') return ReadLines(text, heading, origin);
  std::vector<ManifestEntry> entries = ReadTable(bytes, heading, origin);
  if (entries.empty()) throw origin.Bad("the manifest is empty", kTable);
  return entries;
}

}  // namespace lockstep::data
