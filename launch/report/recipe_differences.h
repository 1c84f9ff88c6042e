// In what recipes differ, side by side, and messages of recipes on one line.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

namespace lockstep::launch {

struct FieldDifference {
  std::string field;                ///< "optimizer.learning_rate"
  std::vector<std::string> values;  ///< one a recipe; empty where it is not set
};

/// The fields in which `recipes`, messages of one type, are not all alike, in the order of the .proto files; the name
/// is none of them. A message that some lack is one field.
std::vector<FieldDifference> CompareFields(const std::vector<const google::protobuf::Message*>& recipes);

/// "mlp { hidden: [256, 256] }", cut to `most` bytes.
std::string OneLine(const google::protobuf::Message& message, size_t most);

/// At most `most` bytes of `text`, with "..." where something is missing; characters stay whole.
std::string Cut(const std::string& text, size_t most);

}  // namespace lockstep::launch
