#include "launch/supervise/out_of_memory.h"

#include <fmt/format.h>

#include <regex>

#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher/own_program.h"

namespace lockstep::launch {
namespace {

constexpr auto kPlanLimit = std::chrono::seconds(60);

/// Empty where the plan does not say.
std::string NeedAndLimit(const std::vector<std::string>& plan, int ranks) {
  std::vector<std::string> words = {OwnProgram(), "plan", "-n", std::to_string(ranks)};
  words.insert(words.end(), plan.begin(), plan.end());
  const std::string said = RunForOutput(words, kPlanLimit).output;
  static const std::regex all(R"(\n  all +(\S+ \S+) of (\S+ \S+))");
  std::smatch found;
  if (!std::regex_search(said, found, all)) return "";
  return fmt::format(": by its plan, each of {} ranks needs {}, and the limit is {}", ranks, found[1].str(),
                     found[2].str());
}

}  // namespace

Error OutOfMemory(const std::vector<std::string>& plan, int ranks, const StartCause& cause) {
  return Error(ErrorKind::kMemory, "the kernel killed it for want of memory" + NeedAndLimit(plan, ranks),
               cause.sentence.substr(0, cause.sentence.find(" was ")),
               "use fewer ranks on a host, fewer --executors, smaller lanes (a smaller train.global_batch, or more "
               "train.lanes), or give it more memory");
}

}  // namespace lockstep::launch
