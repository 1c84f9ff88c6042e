# Writes OUTPUT (build_info.cc) with a hash over the sources below SOURCE_DIR, COMPILER and FLAGS, and DEPFILE with what
# was read. It runs when one of these changes; the output is rewritten only where its text differs, so nothing else is
# rebuilt.
#
# Paths enter relative to SOURCE_DIR: two build directories, or two checkouts, give the same hash.

set(text "${COMPILER}\n${FLAGS}\n${VERSION}\n")
set(read "")
# CMake files are sources too: they hold the flags of single files.
foreach(folder base comm data trainer launch cmake)
  file(GLOB_RECURSE entries LIST_DIRECTORIES true RELATIVE ${SOURCE_DIR} ${SOURCE_DIR}/${folder}/*)
  list(SORT entries)
  list(APPEND read ${SOURCE_DIR}/${folder})
  foreach(entry ${entries})
    if(IS_DIRECTORY ${SOURCE_DIR}/${entry})
      list(APPEND read ${SOURCE_DIR}/${entry})  # a folder's time changes when a file comes or goes
    elseif(entry MATCHES "(\\.(h|cc|proto|cu|cuh|cmake)|/CMakeLists\\.txt)$" AND NOT entry MATCHES "/\\.")
      file(SHA256 ${SOURCE_DIR}/${entry} hash)
      string(APPEND text "${entry} ${hash}\n")
      list(APPEND read ${SOURCE_DIR}/${entry})
    endif()
  endforeach()
endforeach()
string(SHA256 hash "${text}")
string(SUBSTRING ${hash} 0 16 hash)

string(REPLACE "\\" "\\\\" description "${COMPILER}, ${FLAGS}")
string(REPLACE "\"" "\\\"" description "${description}")
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
#include "base/build_info.h"

namespace lockstep {

std::string_view Version() { return "@VERSION@"; }
std::string_view BuildHash() { return "@hash@"; }
std::string_view BuildDescription() { return "@description@"; }

}  // namespace lockstep
]])

list(TRANSFORM read REPLACE " " "\\\\ ")
list(JOIN read " \\\n  " read)
file(WRITE ${DEPFILE} "${OUTPUT}: \\\n  ${read}\n")
