#include "launch/draft/draft_data.h"

#include <filesystem>

#include "base/error.h"
#include "data/source_file.h"
#include "launch/draft/draft_table.h"

namespace lockstep::launch {

Draft DraftData(const std::vector<std::string>& paths, DraftOptions options) {
  options.path = paths.front();
  return DraftTable(data::LoadSourceFile({options.path, "DATA"}), options);
}

}  // namespace lockstep::launch
