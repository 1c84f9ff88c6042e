// Any bytes as the two files of parallel text: pairs that come back as they are, or Error(kData), and nothing else.
//
// The two files are what stands before and behind the first byte 0xFE.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "data/formats/lines.h"
#include "data/text/sentences/parallel_text.h"
#include "data/text/tokenizers/character_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::data;
  const auto bytes = std::as_bytes(std::span(data, size));
  size_t middle = 0;
  while (middle < size && data[middle] != 0xFE) ++middle;
  try {
    ParallelLines lines{ReadLines(bytes.first(middle), {"source", "data.train.parallel.source"}),
                        ReadLines(bytes.subspan(std::min(middle + 1, size)), {"target", "data.train.parallel.target"})};
    const size_t pairs = std::min(lines.source.size(), lines.target.size());
    lines.source.resize(pairs);
    lines.target.resize(pairs);
    const auto dataset = MakeParallelText(lines, SentenceVocabulary(MakeByteTokenizer()), Parallel(), size % 7);
    Sample sample;
    for (uint64_t id = 0; id < dataset->size(); ++id) {
      dataset->Read(0, id, sample);
      CHECK(dataset->TextOf(sample.tensors[1].As<int32_t>()) == dataset->Reference(0, id));
      CHECK(StripBlanks(dataset->Reference(0, id)) == dataset->Reference(0, id));
    }
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  return 0;
}
