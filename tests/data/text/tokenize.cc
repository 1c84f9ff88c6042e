// Tokens of the text on standard input, for compare_tokenizers.py:
//   tokenize [--repeat N] characters CORPUS | bytes | bpe VOCABULARY MERGES | json FILE | sentencepiece MODEL
// Each text of the input has its length in bytes and a line end in front. A line of ids is written for each; where
// Decode gives another text, that line ends in "!". With --repeat nothing is written but MB for a second of
// processor time.
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>

#include "base/error.h"
#include "data/text/sentencepiece/sentencepiece_tokenizer.h"
#include "data/text/tokenizers/bpe_files.h"
#include "data/text/tokenizers/character_tokenizer.h"
#include "data/text/tokenizers/tokenizer.h"
#include "data/text/tokenizers/tokenizer_json.h"

namespace {

using namespace lockstep::data;

std::unique_ptr<Tokenizer> Open(int words, char** word) {
  const std::string kind = words > 0 ? word[0] : "";
  if (kind == "bytes" && words == 1) return MakeByteTokenizer();
  if (kind == "characters" && words == 2) {
    std::ifstream file(word[1], std::ios::binary);
    return MakeCharacterTokenizer(std::string(std::istreambuf_iterator<char>(file), {}));
  }
  if (kind == "bpe" && words == 3) return OpenByteLevelBpe(word[1], word[2]);
  if (kind == "json" && words == 2) return OpenTokenizerJson(word[1]);
  if (kind == "sentencepiece" && words == 2) return OpenSentencePiece(word[1]);
  throw lockstep::Error(lockstep::ErrorKind::kUsage, "see the first lines of tokenize.cc for its arguments");
}

std::vector<std::string_view> Records(std::string_view input) {
  std::vector<std::string_view> records;
  while (!input.empty()) {
    const size_t line = input.find('\n');
    const size_t bytes = std::stoul(std::string(input.substr(0, line)));
    records.push_back(input.substr(line + 1, bytes));
    input.remove_prefix(line + 1 + bytes);
  }
  return records;
}

void Time(const Tokenizer& tokenizer, const std::vector<std::string_view>& records, int repeat) {
  for (int round = 0; round < repeat; ++round) {
    size_t bytes = 0, count = 0;
    std::vector<int32_t> ids;
    const std::clock_t begin = std::clock();
    for (std::string_view record : records) {
      ids.clear();
      tokenizer.Encode(record, ids);
      bytes += record.size();
      count += ids.size();
    }
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    fmt::print("{:.1f} MB/s, {} tokens\n", static_cast<double>(bytes) / seconds / 1e6, count);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  int first = 1, repeat = 0;
  if (argc > 3 && std::strcmp(argv[1], "--repeat") == 0) {
    repeat = std::stoi(argv[2]);
    first = 3;
  }
  const auto tokenizer = Open(argc - first, argv + first);
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  if (repeat > 0) {
    Time(*tokenizer, Records(input), repeat);
    return 0;
  }
  std::string out;
  for (std::string_view record : Records(input)) {
    std::vector<int32_t> ids;
    tokenizer->Encode(record, ids);
    for (int32_t id : ids) fmt::format_to(std::back_inserter(out), "{} ", id);
    out += tokenizer->Decode(ids) == record ? "\n" : "!\n";
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
