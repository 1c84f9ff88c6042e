#include "trainer/checkpoint/same_tensors.h"

#include <fmt/format.h>

#include <iterator>

#include "base/error.h"

namespace lockstep::checkpoint {

void RequireSameTensors(const Reader& reader, const engine::ParameterLayout& layout) {
  const Manifest& manifest = reader.manifest();
  const auto other = [&](const std::string& what) {
    return Error(ErrorKind::kCheckpoint, "it holds another model than the recipe's: " + what, reader.folder(),
                 "has the text or vocabulary changed that the run was trained with? Put it back as it was");
  };
  for (const Tensor& tensor : manifest.tensors()) {
    const Shape shape = ShapeOf(tensor);
    const engine::ArenaEntry* entry = layout.Find(tensor.name());
    if (entry == nullptr) throw other(fmt::format("the recipe's has no {}", tensor.name()));
    if (entry->shape != shape || entry->offset != tensor.offset())
      throw other(fmt::format("{} is {}, not {}", tensor.name(), shape.ToString(), entry->shape.ToString()));
  }
  if (manifest.arena_elements() != layout.elements() || manifest.tensors().size() != std::ssize(layout.entries()))
    throw other("it has other tensors");
}

}  // namespace lockstep::checkpoint
