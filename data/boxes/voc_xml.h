// Pascal VOC's annotations: an XML file for each picture (host.robots.ox.ac.uk/pascal/VOC), as labelImg writes them
// too.
//
// Of corners xmin, ymin, xmax, ymax x is xmin and width is xmax - xmin, as torchvision and most converters have it;
// that VOC counts pixels from 1 and includes the last is left aside. A "difficult" object becomes a crowd: in VOC's
// metric too it need not be found, and finding it is no error. "truncated", "pose" and "part" are not read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/boxes/box_data.h"
#include "data/origin.h"

namespace lockstep::data {

struct VocObject {
  std::string name;
  double xmin = 0, ymin = 0, xmax = 0, ymax = 0;
  bool difficult = false;
  uint64_t line = 0;  ///< where it begins, from 1
};

struct VocImage {
  std::string path;               ///< Origin::path, for problems
  std::string file;               ///< as <filename> has it; empty where there is none
  int64_t width = 0, height = 0;  ///< 0 where there is no <size>
  std::vector<VocObject> objects;
};

/// One file. Throws Error(kData) with the line where it is no XML, no <annotation>, has a document type (which nothing
/// that writes such files needs, and which can make a small file a huge one), an object lacks its name or a corner, or
/// a number is none.
VocImage ReadVocXml(std::span<const std::byte> xml, const Origin& origin);

/// All files as one data set; categories are the names in alphabetical order (of bytes).
BoxData MakeVocData(const std::vector<VocImage>& images);

}  // namespace lockstep::data
