// Any bytes as an annotation of Pascal VOC: boxes, or Error(kData), and nothing else.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "data/boxes/voc_xml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::data;
  try {
    const BoxData boxes = MakeVocData({ReadVocXml(std::as_bytes(std::span(data, size)), {"1.xml", "data.train"})});
    for (const BoxAnnotation& box : boxes.images.at(0).boxes) {
      CHECK(static_cast<size_t>(box.category) < boxes.categories.size() && !boxes.categories[box.category].empty());
      CHECK(std::isfinite(box.x) && std::isfinite(box.y) && box.width > 0 && box.height > 0);
    }
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  return 0;
}
