// Heartbeats and flight records as files. A file is a protobuf message whose last field is the XXH3 of what precedes
// it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/files/file.h"
#include "comm/flight.pb.h"
#include "comm/flight_recorder.h"

namespace lockstep::comm {

/// "rank-3.pb"
std::string RankFileName(int rank);

std::string Encode(Heartbeat heartbeat);
std::string Encode(FlightRecord record);

// Throw Error(kCheckpoint) at `where`: cut off, changed, of a newer format, or with content that can't be.
Heartbeat DecodeHeartbeat(std::string_view bytes, const std::string& where);
FlightRecord DecodeFlightRecord(std::string_view bytes, const std::string& where);

/// Replaces `path` by way of a temporary name, without waiting for the disk: whole after a crash of this process, not
/// after one of the machine.
void ReplaceFile(FileSystem& files, const std::string& path, std::string_view bytes);

/// Writes the recorder's record to FOLDER/rank-N.pb; `ending` says why the rank ends. Never throws and takes two
/// seconds at most, so that a rank whose disk is dead still ends: returns whether the file is there. `files` must
/// outlive the process in that case.
bool WriteFlightRecord(FileSystem& files, const FlightRecorder& recorder, const std::string& folder,
                       const std::string& ending);

/// The records in a folder, or of one file, by rank. Throws Error(kCheckpoint) where there is none that can be read;
/// says in `damaged` what is wrong with the others.
std::vector<FlightRecord> ReadFlightRecords(FileSystem& files, const std::string& path,
                                            std::vector<std::string>* damaged);

}  // namespace lockstep::comm
