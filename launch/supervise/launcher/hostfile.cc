#include "launch/supervise/launcher/hostfile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "base/log.h"

namespace lockstep::launch {
namespace {

using Tokens = std::vector<std::string>;

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool IsSlots(std::string_view word) { return IsOneOf(word, {"slots", "cpu", "count"}); }

bool IsMost(std::string word) {
  std::replace(word.begin(), word.end(), '-', '_');
  return IsOneOf(word, {"max_slots", "slots_max", "max_cpu", "cpu_max", "max_count", "count_max"});
}

/// The text without comments; ends of lines stay. A block comment ends the line that it stands in.
std::string WithoutComments(const std::string& text) {
  std::string plain;
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = std::string_view(text).substr(at);
    if (rest.starts_with("/*")) {
      const size_t end = std::min(text.find("*/", at + 2), text.size() - 1);
      plain += '\f';  // the end of a line that doesn't count
      for (; at <= end; ++at)
        if (text[at] == '\n') plain += '\n';
      at = std::min(end + 2, text.size());
    } else if (rest.starts_with("//") || rest.starts_with("#")) {
      at = std::min(text.find('\n', at), text.size());
    } else {
      plain += text[at++];
    }
  }
  return plain;
}

/// Words and "=" of a line.
Tokens Split(std::string_view line) {
  Tokens tokens;
  bool in_word = false;
  for (const char c : line) {
    const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!blank && (c == '=' || !in_word)) tokens.emplace_back();
    if (!blank) tokens.back() += c;
    in_word = !blank && c != '=';
  }
  return tokens;
}

class HostfileReader {
 public:
  explicit HostfileReader(std::string name) : name_(std::move(name)) {}

  void ReadLine(std::string_view line, int number) {
    where_ = fmt::format("{}:{}", name_, number);
    const Tokens tokens = Split(line);
    if (tokens.empty()) return;
    if (tokens.front() == "rank" && tokens.size() >= 4 && tokens[2] == "=") return ReadRank(tokens[3]);
    if (tokens.front() == "=" || IsSlots(tokens.front()) || IsMost(tokens.front()))
      throw Error(ErrorKind::kUsage, fmt::format("\"{}\" stands where a host's name is due", tokens.front()), where_,
                  kForm);
    Entry& entry = Find(ParseHost(tokens.front(), where_));
    for (size_t i = 1; i < tokens.size();) i = ReadWord(tokens, i, entry);
    if (entry.most && !entry.given) entry.host.slots = *entry.most;
    entry.given = entry.given || entry.most;
  }

  std::vector<Host> Hosts() const {
    std::vector<Host> hosts;
    for (const Entry& entry : entries_)
      if (entry.host.slots > 0 || !entry.given) hosts.push_back(entry.host);
    return hosts;
  }

 private:
  static constexpr char kForm[] = "one host a line, for example: h1 slots=4";

  struct Entry {
    Host host;
    bool given = false;  ///< its slots
    std::optional<int> most;
  };

  /// A host of that name, new or named before.
  Entry& Find(const Host& host) {
    const auto same = std::find_if(entries_.begin(), entries_.end(),
                                   [&](const Entry& entry) { return IsSameHost(entry.host.name, host.name); });
    if (same == entries_.end()) return entries_.emplace_back(Entry{host, host.slots > 0, {}});
    // Named before without a number, it had one slot.
    same->host.slots = (same->given ? same->host.slots : 1) + std::max(host.slots, 1);
    same->given = true;
    return *same;
  }

  void ReadRank(const std::string& host) {
    Entry& entry = Find(ParseHost(host, where_));
    if (!entry.given) entry.host.slots = 1;
    entry.given = true;
  }

  /// Reads what begins at token `at`; returns where the next begins.
  size_t ReadWord(const Tokens& tokens, size_t at, Entry& entry) {
    const std::string& word = tokens[at];
    const bool has_value = at + 1 < tokens.size() && tokens[at + 1] == "=";
    if (IsSlots(word)) {
      const int slots = Number(tokens, at);
      if (entry.given)
        throw Error(ErrorKind::kUsage, fmt::format("the slots of {} are given twice", entry.host.name), where_,
                    "name a host once with slots=N, or once for each slot");
      entry.host.slots = slots;
      entry.given = true;
    } else if (IsMost(word)) {
      entry.most = Number(tokens, at);
      if (entry.given && *entry.most < entry.host.slots)
        throw Error(ErrorKind::kUsage, fmt::format("max_slots={} is less than slots={}", *entry.most, entry.host.slots),
                    where_, "raise it, or leave it out");
    } else if (has_value && IsOneOf(word, {"username", "user_name", "user-name"}) && at + 2 < tokens.size()) {
      entry.host.user = ParseHost(tokens[at + 2] + "@" + entry.host.name, where_).user;
    } else if (has_value && word == "port") {
      throw Error(ErrorKind::kUsage, "port= is not passed on: hosts are given to mpirun by user and name alone", where_,
                  "put it into ~/.ssh/config (Host ..., Port ...)");
    } else if (has_value || word == "=" || word == "slot" || word.find('.') != std::string::npos) {
      throw Error(ErrorKind::kUsage, fmt::format("\"{}{}\" is nothing that Open MPI knows", word, has_value ? "=" : ""),
                  where_, kForm);
    } else {
      LogWarning("{}: \"{}\" means nothing to Open MPI, which takes one host a line", where_, word);
      return at + 1;
    }
    return at + 3;
  }

  /// The number in "word = number", where `at` is the word.
  int Number(const Tokens& tokens, size_t at) const {
    const std::string value = at + 2 < tokens.size() && tokens[at + 1] == "=" ? tokens[at + 2] : "";
    if (value.empty() || value.size() > 5 || value.find_first_not_of("0123456789") != std::string::npos)
      throw Error(ErrorKind::kUsage, fmt::format("{} wants a number, as in {}=4", tokens[at], tokens[at]), where_);
    return std::stoi(value);
  }

  const std::string name_;
  std::string where_;
  std::vector<Entry> entries_;
};

}  // namespace

std::vector<Host> ParseHostfile(const std::string& text, const std::string& name) {
  HostfileReader reader(name);
  int number = 1;
  std::string line;
  for (const char c : WithoutComments(text) + "\n") {
    if (c != '\n' && c != '\f') {
      line += c;
      continue;
    }
    reader.ReadLine(line, number);
    line.clear();
    number += c == '\n';
  }
  std::vector<Host> hosts = reader.Hosts();
  if (hosts.empty())
    throw Error(ErrorKind::kUsage, "there are no hosts in it", name, "one host a line, for example: h1 slots=4");
  return hosts;
}

std::vector<Host> ReadHosts(const std::string& hosts, const std::string& hostfile) {
  if (!hosts.empty()) return ParseHosts(hosts);
  if (hostfile.empty()) return {};
  std::ifstream file(hostfile);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    throw Error(ErrorKind::kUsage, "the hostfile can't be read, or is empty", hostfile);
  return ParseHostfile(text.str(), hostfile);
}

}  // namespace lockstep::launch
