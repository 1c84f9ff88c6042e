// Any bytes as a file of token ids: blocks of tokens, or Error(kData), and nothing else.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "base/error.h"
#include "data/text/token_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string path = "/tmp/fuzz_token_files." + std::to_string(getpid());
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return 0;
  std::fwrite(data, 1, size, file);
  std::fclose(file);
  try {
    lockstep::data::TokenFilesOptions options;
    options.vocabulary = 50257;
    options.begin = 0.1;
    const auto blocks = lockstep::data::MakeTokenBlocks(
        lockstep::data::OpenTokenFiles({path}, "data.train.tokens", options),
        {.block = 3, .vocabulary = options.vocabulary, .cut_anew = size % 2 == 0, .seed = size}, path);
    lockstep::data::Sample sample;
    for (uint64_t id = 0; id < blocks->size(); ++id) blocks->Read(size % 5, id, sample);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  std::remove(path.c_str());
  return 0;
}
