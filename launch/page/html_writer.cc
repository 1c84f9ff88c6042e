#include "launch/page/html_writer.h"

#include <utility>

#include "base/error.h"
#include "data/utf8.h"

namespace lockstep::launch {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool IsForbidden(char32_t c) {
  const bool blank = c == '\t' || c == '\n' || c == '\r';
  return (c < 0x20 && !blank) || (c >= 0x7F && c < 0xA0);
}

void AppendEscaped(std::string_view text, std::string& to) {
  for (size_t at = 0; at < text.size();) {
    const data::Character character = data::CharacterAt(text, at);
    const std::string_view bytes = text.substr(at, character.bytes);
    at += character.bytes;
    if (!character.valid || IsForbidden(character.code_point))
      to += kReplacement;
    else if (bytes == "&")
      to += "&amp;";
    else if (bytes == "<")
      to += "&lt;";
    else if (bytes == ">")
      to += "&gt;";
    else if (bytes == "\"")
      to += "&quot;";
    else if (bytes == "'")
      to += "&#39;";
    else
      to += bytes;
  }
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  AppendEscaped(text, escaped);
  return escaped;
}

void HtmlWriter::AddDoctype() { text_ += "<!DOCTYPE html>\n"; }

void HtmlWriter::Begin(const char* name, Attributes attributes) {
  text_.append("<").append(name);
  for (const Attribute& attribute : attributes) {
    text_.append(" ").append(attribute.name).append("=\"");
    AppendEscaped(attribute.value, text_);
    text_ += "\"";
  }
}

HtmlWriter::Element HtmlWriter::Open(const char* name, Attributes attributes) {
  Begin(name, attributes);
  text_ += ">";
  open_.push_back(name);
  return Element(*this);
}

void HtmlWriter::Close() {
  // Lines that an editor can show; between table cells and in texts no blank is added.
  const std::string_view name = open_.back();
  text_.append("</").append(name).append(name == "tr" || name == "svg" || name == "section" ? ">\n" : ">");
  open_.pop_back();
}

void HtmlWriter::AddEmpty(const char* name, Attributes attributes) {
  Begin(name, attributes);
  text_ += "/>";
}

void HtmlWriter::Add(const char* name, Attributes attributes, std::string_view text) {
  const Element element = Open(name, attributes);
  AddText(text);
}

void HtmlWriter::AddText(std::string_view text) { AppendEscaped(text, text_); }

void HtmlWriter::AddStyle(std::string_view css) {
  CHECK(css.find("</") == std::string_view::npos, "a style sheet would end in its middle");
  text_.append("<style>").append(css).append("</style>\n");
}

std::string HtmlWriter::Take() {
  CHECK(open_.empty(), "{} is still open", open_.back());
  return std::move(text_);
}

}  // namespace lockstep::launch
