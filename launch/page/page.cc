#include "launch/page/page.h"

#include "launch/page/page_style.h"

namespace lockstep::launch {

void DrawTable(const TextTable& table, HtmlWriter& html) {
  const auto scroll = html.Open("div", {{"class", "scroll"}});
  const auto element = html.Open("table");
  {
    const auto head = html.Open("thead");
    const auto row = html.Open("tr");
    for (const std::string& cell : table.heading) html.Add("th", cell);
  }
  const auto body = html.Open("tbody");
  for (const std::vector<std::string>& cells : table.rows) {
    const auto row = html.Open("tr");
    for (size_t i = 0; i < cells.size(); ++i) {
      if (i + 1 == cells.size() && cells.size() < table.heading.size())
        html.Add("td", {{"colspan", std::to_string(table.heading.size() - i)}}, cells[i]);
      else
        html.Add("td", cells[i]);
    }
  }
}

std::string Page(const std::string& title, const std::function<void(HtmlWriter& html)>& draw) {
  HtmlWriter html;
  html.AddDoctype();
  {
    const auto page = html.Open("html", {{"lang", "en"}});
    {
      const auto head = html.Open("head");
      html.AddEmpty("meta", {{"charset", "utf-8"}});
      html.AddEmpty("meta", {{"name", "viewport"}, {"content", "width=device-width,initial-scale=1"}});
      html.AddEmpty("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
      html.Add("title", title);
      html.AddStyle(kPageStyle);
    }
    const auto body = html.Open("body");
    const auto main = html.Open("main");
    html.Add("h1", title);
    draw(html);
  }
  return html.Take() + "\n";
}

}  // namespace lockstep::launch
