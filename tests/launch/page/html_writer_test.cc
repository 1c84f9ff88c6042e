#include "launch/page/html_writer.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace lockstep::launch {
namespace {

TEST(HtmlWriter, ClosesElementsInTheirOrder) {
  HtmlWriter html;
  html.AddDoctype();
  {
    const auto list = html.Open("ul", {{"class", "a"}});
    html.Add("li", "one");
    const auto item = html.Open("li");
    html.AddEmpty("br");
    html.AddText("two");
  }
  EXPECT_EQ(html.Take(), "<!DOCTYPE html>\n<ul class=\"a\"><li>one</li><li><br/>two</li></ul>");
}

TEST(HtmlWriter, TextsAndAttributesAreEscaped) {
  HtmlWriter html;
  html.Add("p", {{"title", "\"><script>alert('1')</script>"}}, "<script>&amp;</script>");
  EXPECT_EQ(html.Take(),
            "<p title=\"&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;\">"
            "&lt;script&gt;&amp;amp;&lt;/script&gt;</p>");
}

TEST(HtmlWriter, BytesThatAreNoTextAreReplaced) {
  EXPECT_EQ(EscapeHtml("Größe 東京 👍"), "Größe 東京 👍");
  // A lone continuation byte, a cut character, an overlong form and a surrogate; two of each two bytes.
  EXPECT_EQ(EscapeHtml("a\x80z"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(EscapeHtml("\xE6\x9D"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(EscapeHtml("\xC0\xBC"), "\xEF\xBF\xBD\xEF\xBF\xBD") << "an overlong < must not come through";
  EXPECT_EQ(EscapeHtml("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  // Control characters are no text in HTML; blanks are.
  EXPECT_EQ(EscapeHtml(std::string("\0\x1B\t\n\x7F\xC2\x85", 7)),
            "\xEF\xBF\xBD\xEF\xBF\xBD\t\n\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(HtmlWriter, StyleSheetsCantBreakOut) {
  HtmlWriter html;
  EXPECT_THROW(html.AddStyle("p{}</style><script>"), Error);
  EXPECT_NO_THROW(html.AddStyle("p>a{color:red}"));
}

}  // namespace
}  // namespace lockstep::launch
