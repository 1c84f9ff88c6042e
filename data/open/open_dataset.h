// From a recipe's Source message to a Dataset: the one place that knows all formats.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/audio/open_speech.h"
#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// How sources become samples. Each format is given what concerns it.
struct OpenOptions {
  bool training = false;  ///< samples are trained on: epochs cut text anew, `longest` leaves pairs out
  int classes = 0;        ///< of labels that are numbers; 0: the largest + 1
  std::vector<std::string> class_names = {};     ///< of labels that are words; empty: those of the source, sorted
  std::shared_ptr<const Table> table = nullptr;  ///< of tables, what the training rows said; null: this is them
  const Split* split = nullptr;  ///< of the training data, so that what is trained on can be told; null: all is
  std::string group = {};        ///< Split::group, which the model doesn't see
  // Of sequences.
  std::shared_ptr<const Tokenizer> tokenizer = nullptr;
  int64_t block = 0;  ///< tokens of a sample
  SpeechOptions speech = {};
  uint32_t longest = 0;  ///< pairs of sentences with a longer side are not trained on; 0: all are
  /// Where given, it is told of each sample that is found to be wrong while data are opened, or Read finds it: for a
  /// caller who wants all of them. (Of speech the options have one of their own.)
  std::function<void(const Error&)> on_broken = nullptr;
};

/// Opens `source` and loads it into memory. Its paths are absolute by now. `field_path` ("data.train") is where the
/// message stands in the recipe, so that errors can name the field. `seed` chooses synthetic samples and, in data above
/// 1 GiB, the blocks that the fingerprint hashes. Throws Error(kData) for what is wrong with files, Error(kUsage) for
/// what is wrong with the message.
std::unique_ptr<Dataset> OpenDataset(const Source& source, const std::string& field_path, uint64_t seed,
                                     Verify::Value verify = Verify::AUTO, const OpenOptions& options = {});

/// Throws Error(kData) where what trains on `train` can't be evaluated on `other`: fields of other names, types or
/// shapes, or a label that `train` has no class for. `other_path` is as for OpenDataset ("data.test").
void CheckCompatible(const Dataset& train, const Dataset& other, const std::string& other_path);

/// Samples [first, first + count) of `whole`. REQUIRES: they exist. Classes are those of the whole.
std::unique_ptr<Dataset> TakeSlice(std::unique_ptr<Dataset> whole, uint64_t first, uint64_t count);

}  // namespace lockstep::data
