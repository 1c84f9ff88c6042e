// Files that hold lists of pictures (picture_files.proto), and the folder for those that only save time.
#pragma once

#include <google/protobuf/message.h>

#include <optional>
#include <string>
#include <string_view>

#include "data/pictures/picture_files.pb.h"
#include "data/pictures/picture_list.h"

namespace lockstep::data {

void StoreList(const PictureList& list, StoredList& stored);
/// Nothing where it contradicts itself.
std::optional<PictureList> RestoreList(const StoredList& stored);

/// Replaces the file, at once and whole. Throws Error as files do.
void WriteStored(const std::string& path, const google::protobuf::MessageLite& message);
/// False where there is no such file, or it is damaged or of another version.
bool ReadStored(const std::string& path, google::protobuf::MessageLite& message);
/// The same, of the file's bytes.
bool ParseStored(std::string_view bytes, google::protobuf::MessageLite& message);

/// A file of $XDG_CACHE_HOME/lockstep, or of ~/.cache/lockstep, for what is known of `path`; empty where neither
/// variable is set.
std::string CacheFileOf(const std::string& path, const char* extension);

}  // namespace lockstep::data
