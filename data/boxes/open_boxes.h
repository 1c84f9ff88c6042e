// A recipe's sources of pictures with boxes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/memory_dataset.h"
#include "data/pictures/picture_list.h"

namespace lockstep::data {

struct BoxOptions {
  std::vector<std::string> class_names = {};  ///< what a model answers with; empty: the source's own
  int classes = 0;                            ///< what data.classes says; 0: nothing
  BrokenFunction on_broken = nullptr;
};

/// As OpenDataset, which calls them. `field`: of the message ("data.train.voc"). What is wrong with annotations
/// (box_problems.h) is told to on_broken; without one, what makes nonsense of all boxes throws Error(kData), and the
/// rest is warned of.
std::unique_ptr<Dataset> OpenVocBoxes(const VocBoxes& config, const std::string& field,
                                      const FingerprintOptions& fingerprint, const BoxOptions& options);
std::unique_ptr<Dataset> OpenCocoBoxes(const CocoBoxes& config, const std::string& field,
                                       const FingerprintOptions& fingerprint, const BoxOptions& options);
std::unique_ptr<Dataset> OpenYoloBoxes(const YoloBoxes& config, const std::string& field,
                                       const FingerprintOptions& fingerprint, const BoxOptions& options);

/// The parts that a data.yaml names, of train, val and test.
std::vector<std::string> PartsOfYolo(const std::string& file);

}  // namespace lockstep::data
