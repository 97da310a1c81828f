// Where items come from: a table (CSV, RFC 4180), JSON lines, lines of text, a folder of texts or pictures, standard
// input. Read as a stream: of a file of any size one item at a time is in memory.
#pragma once

#include <functional>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "batch/queue.h"

namespace hearth::batch {

struct ItemSource {
  std::string file;    // path; "-": standard input
  std::string folder;  // in place of a file: each file in it is an item {"name", "text"}, or {"name", "image"}: base64
  std::string format;  // "csv", "jsonl", "lines"; empty: by the file's name, of standard input by its first character
  std::string key;     // the column or member that names an item; empty: its number, of a folder the file's name
  // Columns or members that are paths of pictures, from the file's folder on: the picture takes the path's place, as
  // base64.
  std::vector<std::string> images = {};
};

inline constexpr size_t kMost_item_bytes = 16 << 20;

using TakeItem = std::function<Status(NewItem item)>;
using IsPicture = bool (*)(std::string_view file);
// The first error of `take` ends it. Errors: kUsage with file, line and column of what is wrong; kNotFound, kIo.
Status each_item(const ItemSource& source, IsPicture is_picture, const TakeItem& take);
// Of a stream; `name` for messages.
Status each_csv_item(std::istream& in, const std::string& name, const std::string& key, const TakeItem& take);
Status each_json_line(std::istream& in, const std::string& name, const std::string& key, const TakeItem& take);

}  // namespace hearth::batch
