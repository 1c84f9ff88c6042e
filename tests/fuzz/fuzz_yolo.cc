// Any bytes as YOLO's text of boxes, or as its data.yaml: boxes, names, or Error(kData), and nothing else.
//
// The first byte's bit 0 says which.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "data/boxes/yolo_txt.h"
#include "data/boxes/yolo_yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::data;
  if (size < 1) return 0;
  const auto text = std::as_bytes(std::span(data, size)).subspan(1);
  try {
    if ((data[0] & 1) != 0) {
      CHECK(!ReadYoloYaml(text, {"data.yaml", "data.train"}).names.empty());
      return 0;
    }
    const BoxData boxes =
        MakeYoloData({"cat", "dog"}, {{"1.txt", "1.jpg", 640, 480, ReadYoloTxt(text, {"1.txt", "data.train"})}});
    for (const BoxAnnotation& box : boxes.images.at(0).boxes)
      CHECK(box.category >= 0 && box.category < 2 && box.width > 0 && box.height > 0);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  return 0;
}
