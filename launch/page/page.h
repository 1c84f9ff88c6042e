// What all pages are made of: the document around them, and tables.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/page/html_writer.h"

namespace lockstep::launch {

/// A table of cells, for pages and, aligned, for terminals. A row with fewer cells than the heading has says its last
/// one in the place of the others.
struct TextTable {
  std::vector<std::string> heading = {};
  std::vector<std::vector<std::string>> rows = {};
};

void DrawTable(const TextTable& table, HtmlWriter& html);

/// A page that stands alone, headed `title`, with what `draw` writes.
std::string Page(const std::string& title, const std::function<void(HtmlWriter& html)>& draw);

}  // namespace lockstep::launch
