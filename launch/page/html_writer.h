// Writes HTML, and SVG inside it: elements are closed in their order, and texts and values of attributes are escaped,
// whatever bytes they hold. Bytes that are no UTF-8, and control characters that HTML forbids, become U+FFFD.
//
//   HtmlWriter html;
//   {
//     const auto row = html.Open("tr", {{"class", "total"}});
//     html.Add("td", "a < b");
//   }
//   html.Take();  // <tr class="total"><td>a &lt; b</td></tr>
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::launch {

class HtmlWriter {
 public:
  struct Attribute {
    const char* name;
    std::string value;
  };
  using Attributes = std::initializer_list<Attribute>;

  /// An element that is open as long as this lives.
  class [[nodiscard]] Element {
   public:
    explicit Element(HtmlWriter& html) : html_(html) {}
    ~Element() { html_.Close(); }
    Element(const Element&) = delete;
    Element& operator=(const Element&) = delete;

   private:
    HtmlWriter& html_;
  };

  /// `<!DOCTYPE html>`.
  void AddDoctype();
  Element Open(const char* name, Attributes attributes = {});
  /// An element with nothing inside, closed at once: of HTML only those that never hold anything (br, img, col), of SVG
  /// any.
  void AddEmpty(const char* name, Attributes attributes = {});
  void Add(const char* name, std::string_view text) { Add(name, {}, text); }
  void Add(const char* name, Attributes attributes, std::string_view text);
  void AddText(std::string_view text);
  /// A style sheet. REQUIRES: it is ours, and holds no "</".
  void AddStyle(std::string_view css);

  size_t size() const { return text_.size(); }
  /// All that was written. REQUIRES: every element is closed.
  std::string Take();

 private:
  void Begin(const char* name, Attributes attributes);
  void Close();

  std::string text_;
  std::vector<const char*> open_;
};

/// `text` as HTML shows it, between tags and inside quotes.
std::string EscapeHtml(std::string_view text);

}  // namespace lockstep::launch
