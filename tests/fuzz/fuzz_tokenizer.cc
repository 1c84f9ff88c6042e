// Any bytes as files of tokenizers, and any bytes as text: tokens that decode, Error(kData) or Error(kUsage), and
// nothing else.
//
// The first byte says which: tokenizer.json; a vocabulary and, behind a zero byte, merges; a SentencePiece model.
// Behind another zero byte is the text; without one the file is the text as well.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/text/sentencepiece/sentencepiece_tokenizer.h"
#include "data/text/tokenizers/bpe_files.h"
#include "data/text/tokenizers/tokenizer_json.h"

namespace {

using namespace lockstep::data;

std::unique_ptr<Tokenizer> Read(uint8_t kind, std::string_view file) {
  if (kind % 3 == 0) return ReadTokenizerJson(file, "tokenizer.json");
  if (kind % 3 == 1) {
    const size_t end = std::min(file.find('\0'), file.size());
    const std::string_view merges = file.substr(std::min(end + 1, file.size()));
    return ReadByteLevelBpe(file.substr(0, end), "vocab.json", merges.substr(0, merges.find('\0')), "merges.txt");
  }
  return ReadSentencePiece(file, "spm.model");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    const size_t end = data[0] % 3 == 2 ? bytes.size() : std::min(bytes.rfind('\0'), bytes.size());
    const auto tokenizer = Read(data[0], data[0] % 3 == 0 ? bytes.substr(0, end) : bytes);
    std::vector<int32_t> ids;
    tokenizer->Encode(end < bytes.size() ? bytes.substr(end + 1) : bytes, ids);
    tokenizer->Decode(ids);
    tokenizer->fingerprint();
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData && error.kind() != lockstep::ErrorKind::kUsage) throw;
  }
  return 0;
}
