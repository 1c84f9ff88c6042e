// lockstep doctor: what this machine has, and what to do about it. Runs without MPI.
#pragma once

namespace CLI {
class App;
}

namespace lockstep::launch {

void AddDoctorCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch
