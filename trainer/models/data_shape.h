// What a model knows of the data: the fields of a sample, with their shapes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/shape.h"
#include "trainer/graph/builder.h"
#include "trainer/models/graph.pb.h"

namespace lockstep::models {

/// A field of the samples' that a model may read, or learn.
struct DataField {
  std::string name;
  Shape shape;  ///< of one sample; [] of one integer
  DType dtype = DType::kF32;
  int classes = 0;      ///< of i32: values are -1 (none) to classes - 1
  bool answer = false;  ///< what is to be learned: in the batches of training and evaluation alone
};

/// What the data says about the model's ends.
struct DataShape {
  std::string input;  ///< name of the input field: "image", "features", "tokens" or "source"
  /// Of one sample: [height, width, channels], [n] or [time]; of speech [-1, channels], of pairs of sentences [-1].
  Shape sample;
  int classes = 0;  ///< of labels, tokens of the vocabulary, letters and CTC's blank; 0: no labels
  int targets = 0;  ///< width of "target"; 0: none
  graph::RowTargets rows = graph::RowTargets::kLabel;  ///< of training
  int64_t target_positions = 0;  ///< of pairs, where their sides' lengths differ; 0: those of the source
  /// Of columns that are embedded: the words of each. The further input "categories" i32 [columns] numbers them all
  /// through; -1 is none.
  std::vector<int> categories = {};
  bool boxes = false;  ///< pictures with boxes of `classes` kinds
  /// Those that the recipe names (data.train.arrays), for graphs. Where no image and no features are among the samples,
  /// the first of them is `input`.
  std::vector<DataField> fields = {};

  bool pairs() const { return input == "source"; }
  bool speech() const { return input == "features" && sample.rank() == 2; }
  /// The field of that name: one of `fields`, `input`, "label", "target" or "categories".
  std::optional<DataField> Find(std::string_view name) const;
};

/// What a graph declares of its inputs (GraphModel::input), for a model that has met no data. Throws Error(kUsage)
/// where an input has no shape.
DataShape DataShapeOfGraph(const GraphModel& graph);

}  // namespace lockstep::models
