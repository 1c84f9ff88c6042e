// What a process owes to whoever started it, and to whoever reads what it writes.
#pragma once

namespace lockstep::launch {

/// First of all that a process does. Standard streams that are closed (cron, "<&- >&-" of ssh) become /dev/null, so
/// that no file that is opened later takes their numbers. A limit on the size of files (ulimit -f) fails writes, as a
/// full disk does, instead of ending the process.
void PrepareStandardStreams();

/// For what must outlive its reader: a terminal that is dropped, a pipe into head. Writes to nobody fail from now on,
/// without ending the process.
void OutliveReaders();

/// Writes out what was printed on standard output. Throws Error(kStorage), once, where that or an earlier write to it
/// fails: results are lost. A reader that has gone away is no error: it has what it wanted.
void FlushStandardOutput();

}  // namespace lockstep::launch
