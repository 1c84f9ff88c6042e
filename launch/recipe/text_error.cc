#include "launch/recipe/text_error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <regex>
#include <sstream>
#include <vector>

#include "launch/recipe/recipe_fields.h"
#include "launch/recipe/suggestions.h"

namespace lockstep::launch {
namespace {

namespace pb = google::protobuf;

class NoComplaints : public pb::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

const pb::Descriptor* MessageAt(const pb::Descriptor& root, const std::string& path) {
  const pb::Descriptor* message = &root;
  std::istringstream names(path);
  for (std::string name; message != nullptr && std::getline(names, name, '.');) {
    const pb::FieldDescriptor* field = message->FindFieldByName(name);
    message = field == nullptr ? nullptr : field->message_type();
  }
  return message;
}

std::string Joined(const std::string& a, const std::string& b) { return a.empty() || b.empty() ? a + b : a + "." + b; }

/// `path` as it is written inside the message at `where`.
std::string Inside(const std::string& path, const std::string& where) {
  const bool beside = path.starts_with(where + ".") && path.find('.', where.size() + 1) == std::string::npos;
  return beside ? path.substr(where.size() + 1) : path;
}

TextComplaint UnknownField(const std::string& name, const pb::Descriptor& message, const std::string& where,
                           const TextPlace& place) {
  std::vector<std::string> meant, known;
  for (int i = 0; i < message.field_count(); ++i) known.push_back(message.field(i)->name());
  if (place.what == "recipe") {
    for (const std::string& path : FieldsMeantBy(name, where, place.recipe)) meant.push_back(Inside(path, where));
  } else if (const std::string near = Nearest(name, known); !near.empty()) {
    meant.push_back(near);
  }
  return {fmt::format("{} has no field \"{}\"", where.empty() ? "the " + place.what : where, name),
          meant.empty() && !known.empty() ? fmt::format("known here: {};", fmt::join(known, ", ")) : DidYouMean(meant)};
}

TextComplaint UnknownValue(const std::string& value, const pb::FieldDescriptor& field, const std::string& where) {
  const std::vector<std::string> values = ValuesOf(*field.enum_type());
  TextComplaint explained;
  explained.message = fmt::format("{} can't be \"{}\"", Joined(where, field.name()), value);
  const std::string meant = ValueMeantBy(value, values);
  explained.hint = meant.empty() ? fmt::format("one of {};", fmt::join(values, ", ")) : DidYouMean(meant);
  return explained;
}

}  // namespace

std::string PathAt(const std::string& text, int line, int column) {
  pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  NoComplaints quiet;
  pb::io::Tokenizer tokenizer(&stream, &quiet);
  tokenizer.set_comment_style(pb::io::Tokenizer::SH_COMMENT_STYLE);
  tokenizer.set_allow_f_after_float(true);
  std::vector<std::string> names;
  std::string last;
  while (tokenizer.Next()) {
    const auto& token = tokenizer.current();
    if (std::pair(token.line + 1, token.column + 1) >= std::pair(line, column)) break;
    if (token.type == pb::io::Tokenizer::TYPE_IDENTIFIER) {
      last = token.text;
    } else if (token.text == "{" || token.text == "<") {
      names.push_back(last);
    } else if ((token.text == "}" || token.text == ">") && !names.empty()) {
      last = names.back();  // of a list of messages the next one has the same name
      names.pop_back();
    }
  }
  return fmt::format("{}", fmt::join(names, "."));
}

TextComplaint Explain(const FirstError& complaint, const std::string& text, const pb::Descriptor& root,
                      const TextPlace& place) {
  static const std::regex kUnknownField(R"re(Message type ".*" has no field named "(.*)"\.)re");
  static const std::regex kUnknownValue(R"re(Unknown enumeration value of "(.*)" for field "(.*)"\.)re");
  const std::string inside = PathAt(text, complaint.at_line, complaint.at_column);
  const std::string where = Joined(place.path, inside);
  const pb::Descriptor* message = MessageAt(root, inside);
  TextComplaint explained{complaint.text, ""};
  std::smatch found;
  if (message != nullptr && std::regex_match(complaint.text, found, kUnknownField)) {
    explained = UnknownField(found[1], *message, where, place);
  } else if (message != nullptr && std::regex_match(complaint.text, found, kUnknownValue)) {
    const pb::FieldDescriptor* field = message->FindFieldByName(found[2]);
    if (field != nullptr && field->enum_type() != nullptr) explained = UnknownValue(found[1], *field, where);
  } else if (complaint.text == "Expected \":\", found \"=\".") {
    explained.message = "a field and its value are separated by \":\", not by \"=\"";
  }
  explained.hint += fmt::format("{}see lockstep help {}", explained.hint.empty() ? "" : " ", place.what);
  if (place.what == "recipe" && message != nullptr && !where.empty()) explained.hint += " " + where;
  return explained;
}

Recipe ReadWhatIsKnown(const std::string& text) {
  FirstError ignored;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&ignored);
  parser.AllowUnknownField(true);
  Recipe recipe;
  parser.ParseFromString(text, &recipe);
  return recipe;
}

}  // namespace lockstep::launch
