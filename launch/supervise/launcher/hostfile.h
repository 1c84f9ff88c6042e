// Hostfiles, as Open MPI reads them: the grammar of its own reader, tried against mpirun 4.1.
//
//   file    = line*                     "#" and "//" begin a comment up to the line's end, "/*" one up to "*/"
//   line    = [user "@"] name word* | "rank" N "=" name ...
//   word    = slots "=" N | max_slots "=" N | username "=" user        blanks around "=" are allowed; see below for
//   other spellings
//
// slots (cpu, count): ranks that fit; 0 leaves the host out. max_slots (max-slots, slots_max, max_cpu, cpu-max,
// count_max, ...): the limit of slots, and what they are where only it is given; less than slots is an error. A host
// that is named again has one slot more; to say how many again is an error, as every other word with "=" is. A bare
// word behind the name means nothing to Open MPI: it is warned of. "name:N", as MPICH's files have it, gives slots too.
// A line "rank N=name slot=..." of a rankfile is one slot.
#pragma once

#include <string>
#include <vector>

#include "launch/supervise/launcher/hosts.h"

namespace lockstep::launch {

/// `name` is the file's, for messages. Throws Error(kUsage) with file and line.
std::vector<Host> ParseHostfile(const std::string& text, const std::string& name);

/// Of --hosts, a list, or --hostfile, a path; of neither none. Throws Error(kUsage), also where there is no such file.
std::vector<Host> ReadHosts(const std::string& hosts, const std::string& hostfile);

}  // namespace lockstep::launch
