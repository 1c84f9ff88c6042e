// A small GPT with weights that are all different, in a run's folder.
#pragma once

#include <string>
#include <vector>

#include "base/files/atomic_write.h"
#include "tests/base/temporary_folder.h"
#include "tests/launch/recipe/recipe_world.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/models/models.h"

namespace lockstep::launch {

inline constexpr int kGptVocabulary = 11;
inline constexpr int64_t kGptBlock = 6;

struct GptRun {
  /// `gpt`: fields of model.gpt; `data`: of the recipe's data.
  explicit GptRun(const std::string& gpt = "layers: 2 heads: 2 width: 4",
                  const std::string& data = "block: 6 train { synthetic { tokens: 6 classes: 11 samples: 100 } }")
      : recipe(ParseRecipe("name: \"small\" model { gpt { " + gpt + " } } data { " + data +
                               " } train { steps: 1 global_batch: 4 } optimizer { sgd {} learning_rate: 0.1 }",
                           "small.textproto", "/", {})),
        layout(models::Build(recipe.model(), {.input = "tokens", .sample = {kGptBlock}, .classes = kGptVocabulary},
                             graph::Mode::kTrain, 2)
                   .graph),
        arena(static_cast<size_t>(layout.elements())) {
    for (const engine::ArenaEntry& entry : layout.entries())
      for (int64_t i = 0; i < entry.size(); ++i) arena[static_cast<size_t>(entry.offset + i)] = ++last;
  }

  /// The values of a parameter.
  std::vector<float> At(const std::string& name) const {
    const engine::ArenaEntry* entry = layout.Find(name);
    CHECK(entry != nullptr, "{}", name);
    return {arena.begin() + entry->offset, arena.begin() + entry->offset + entry->size()};
  }

  /// A run's folder with one checkpoint, of step 10.
  void Write(const std::string& folder) const {
    FileSystem& files = FileSystem::Real();
    const std::string checkpoint = folder + "/checkpoints/" + checkpoint::FolderName(10);
    files.CreateFolders(folder + "/checkpoints");
    WriteFileAtomically(files, folder + "/recipe.textproto", ToText(recipe));
    checkpoint::Manifest manifest;
    manifest.set_step(10);
    manifest.set_attempt(1);
    manifest.set_world_size(1);
    manifest.set_lockstep_version("0.1");
    manifest.set_arena_elements(layout.elements());
    manifest.add_arrays("weights");
    for (const engine::ArenaEntry& entry : layout.entries()) {
      checkpoint::Tensor* tensor = manifest.add_tensors();
      tensor->set_name(entry.name);
      for (int64_t dim : entry.shape.dims()) tensor->add_shape(dim);
      tensor->set_offset(entry.offset);
    }
    const std::vector<checkpoint::OwnedRange> ranges = {{0, 0, arena}};
    *manifest.add_files() = checkpoint::WriteShard(files, checkpoint, 0, 1, "host", ranges);
    checkpoint::CommitManifest(files, checkpoint, std::move(manifest));
  }

  float last = 0;
  Recipe recipe;
  engine::ParameterLayout layout;
  std::vector<float> arena;
};

}  // namespace lockstep::launch
