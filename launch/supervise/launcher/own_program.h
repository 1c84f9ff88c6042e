// Where this program lies, for starting it again.
#pragma once

#include <string>

namespace lockstep::launch {

/// The path of this program. One that is installed anew while this process runs is another file under the old path:
/// then it is that path, or the one that this process was started by (a link, say), where only that leads to a program.
/// Whether it is the same build, ranks compare.
std::string OwnProgram();

/// Whether a program is there.
bool IsProgram(const std::string& path);

/// The two ways to this program, and what is there now decides between them. `executed`: as /proc/self/exe said;
/// `called`: by which this process was started, absolute. For tests.
std::string ChooseProgram(std::string executed, const std::string& called);

}  // namespace lockstep::launch
