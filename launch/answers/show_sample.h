// A sample as people can look at it: its name, its columns, its words, a small picture of it.
#pragma once

#include <cstdint>

#include "data/dataset.h"
#include "trainer/records/evaluation_record.h"

namespace lockstep::launch {

/// Whether samples are pictures.
bool HasPictures(const data::Dataset& samples);

/// What `sample` is called and was made of, with no answer yet: of a table the first few columns, of a pair of
/// sentences the source, of a picture a thumbnail (thumbnail.h).
records::WorstAnswer ShowSample(const data::Dataset& samples, uint64_t sample);

}  // namespace lockstep::launch
