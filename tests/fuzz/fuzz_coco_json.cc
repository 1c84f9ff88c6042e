// Any bytes as COCO's annotations: boxes, or Error(kData), and nothing else.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "data/boxes/coco_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::data;
  try {
    BoxData boxes = ReadCocoJson(std::as_bytes(std::span(data, size)), {"instances.json", "data.train"});
    CHECK(boxes.categories.size() == boxes.category_ids.size());
    for (const AnnotatedImage& image : boxes.images)
      for (const BoxAnnotation& box : image.boxes)
        CHECK(static_cast<size_t>(box.category) < boxes.categories.size() && box.width > 0 && box.height > 0);
    MatchCategories({"cat"}, boxes);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  return 0;
}
