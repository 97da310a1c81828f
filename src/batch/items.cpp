#include "batch/items.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

#include "base/base64.h"
#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "template/unicode.h"

namespace hearth::batch {
namespace {

namespace json = boost::json;

Error too_large(const std::string& name, size_t line) {
  return error(ErrorKind::kUsage, "{}:{}: an item is larger than {}", name, line, size_text(kMost_item_bytes));
}

// Records of RFC 4180; a line end may be LF alone.
class Csv {
 public:
  Csv(std::istream& in, const std::string& name) : in_(*in.rdbuf()), name_(name) {}

  size_t line() const { return begun_; }  // of the last record's begin
  // False at the end. Errors: kUsage, with line and column.
  Result<bool> next(std::vector<std::string>& fields) {
    fields.clear();
    bytes_ = 0;
    begun_ = line_;
    if (in_.sgetc() == EOF) return false;
    while (true) {
      fields.emplace_back();
      const bool quoted = in_.sgetc() == '"';
      TRY(quoted ? quoted_field(fields.back()) : plain_field(fields.back()));
      const int c = in_.sbumpc();
      ++column_;
      if (c == ',') continue;
      if (c == '\r' && in_.sgetc() == '\n') in_.sbumpc();
      ++line_;
      column_ = 1;
      return true;
    }
  }

 private:
  Error fault(size_t line, size_t column, const char* what) const {
    return error(ErrorKind::kUsage, "{}:{}:{}: {}", name_, line, column, what);
  }
  static bool ends(int c) { return c == ',' || c == '\n' || c == '\r' || c == EOF; }

  Status put(std::string& field, int c) {
    field += static_cast<char>(c);
    return ++bytes_ > kMost_item_bytes ? Status(too_large(name_, begun_)) : Status();
  }
  Status plain_field(std::string& field) {
    while (!ends(in_.sgetc())) {
      const int c = in_.sbumpc();
      if (c == '"')
        return fault(line_, column_,
                     "a quotation mark inside a field; fields with one begin and end with one, and have "
                     "it twice inside");
      ++column_;
      TRY(put(field, c));
    }
    return {};
  }
  Status quoted_field(std::string& field) {
    const size_t line = line_, column = column_;
    in_.sbumpc();
    ++column_;
    while (true) {
      const int c = in_.sbumpc();
      ++column_;
      if (c == EOF) return fault(line, column, "a field begins with a quotation mark here and never ends");
      if (c == '"') {
        if (in_.sgetc() != '"') break;
        in_.sbumpc();
        ++column_;
      }
      if (c == '\n') {
        ++line_;
        column_ = 1;
      }
      TRY(put(field, c));
    }
    if (ends(in_.sgetc())) return {};
    return fault(line_, column_, "something stands between a field's last quotation mark and the comma");
  }

  std::streambuf& in_;
  const std::string& name_;
  size_t line_ = 1, column_ = 1, begun_ = 1, bytes_ = 0;
};

Status check_text(const std::string& text, const std::string& name, size_t line) {
  if (templates::unicode::valid(text)) return {};
  return error(ErrorKind::kUsage, "{}:{}: the text is not UTF-8", name, line);
}

Status check_header(const std::vector<std::string>& header, const std::string& name, const std::string& key) {
  std::set<std::string> seen;
  for (const std::string& column : header) {
    if (column.empty()) return error(ErrorKind::kUsage, "{}:1: a column has no name", name);
    if (!seen.insert(column).second)
      return error(ErrorKind::kUsage, "{}:1: two columns are called \"{}\"", name, printable(column));
    TRY(check_text(column, name, 1));
  }
  if (key.empty() || seen.contains(key)) return {};
  return error(ErrorKind::kUsage, "{}:1: there is no column \"{}\" for the items' keys; there are {}", name,
               printable(key), printable(fmt::format("{}", fmt::join(header, ", "))));
}

// A line without its end; false at the end of the stream.
Result<bool> next_line(std::istream& in, std::string& line, const std::string& name, size_t number) {
  line.clear();
  std::streambuf& bytes = *in.rdbuf();
  if (bytes.sgetc() == EOF) return false;
  for (int c; (c = bytes.sbumpc()) != EOF && c != '\n';) {
    line += static_cast<char>(c);
    if (line.size() > kMost_item_bytes) return too_large(name, number);
  }
  if (line.ends_with('\r')) line.pop_back();
  if (number == 1) drop_byte_order_mark(line);
  TRY(check_text(line, name, number));
  return true;
}

Status each_text_line(std::istream& in, const std::string& name, const TakeItem& take) {
  std::string line;
  for (size_t number = 1;; ++number) {
    ASSIGN_OR_RETURN(const bool more, next_line(in, line, name, number));
    if (!more) return {};
    if (!line.empty()) TRY(take({std::to_string(number), json::serialize(json::object{{"text", line}})}));
  }
}

Result<std::string> read_whole(const std::filesystem::path& path) {
  auto content = read_file(path.string());
  if (!content) return error(ErrorKind::kIo, "cannot read {}", path.string());
  if (content->size() > kMost_item_bytes) return too_large(path.string(), 1);
  return content;
}

// Puts the pictures in the place of their paths.
Status read_images(const ItemSource& source, IsPicture is_picture, NewItem& item) {
  json::object data = json::parse(item.data).as_object();
  for (const std::string& name : source.images) {
    json::value* path = data.if_contains(name);
    if (path == nullptr || !path->is_string() || path->get_string().empty())
      return error(ErrorKind::kUsage, "{}: item {} has no \"{}\" that could be the path of a picture", source.file,
                   printable(item.key), printable(name));
    const auto file = std::filesystem::path(source.file).parent_path() / std::string(path->get_string());
    ASSIGN_OR_RETURN(const std::string content, read_whole(file));
    if (!is_picture(content))
      return error(ErrorKind::kUsage, "{}: this is no picture of a kind that is read (item {})", file.string(),
                   printable(item.key));
    *path = base64(content);
  }
  item.data = json::serialize(data);
  return item.data.size() > kMost_item_bytes ? Status(too_large(source.file, 1)) : Status();
}

Status each_file(const std::string& folder, IsPicture is_picture, const TakeItem& take) {
  std::vector<std::filesystem::path> paths;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed))
    if (entry.is_regular_file(failed)) paths.push_back(entry.path());
  if (failed) return error(ErrorKind::kNotFound, "{}: {}", folder, failed.message());
  if (paths.empty()) return error(ErrorKind::kUsage, "{}: there is no file in this folder", folder);
  std::ranges::sort(paths);
  for (const auto& path : paths) {
    const std::string name = path.filename().string();
    ASSIGN_OR_RETURN(std::string text, read_whole(path));
    if (is_picture(text)) {
      TRY(take({name, json::serialize(json::object{{"name", name}, {"image", base64(text)}})}));
      continue;
    }
    drop_byte_order_mark(text);
    TRY(check_text(text, path.string(), 1));
    TRY(take({name, json::serialize(json::object{{"name", name}, {"text", text}})}));
  }
  return {};
}

std::string format_of(const ItemSource& source, std::istream& in) {
  if (!source.format.empty()) return source.format;
  for (const auto& [ending, format] : {std::pair{".csv", "csv"}, {".jsonl", "jsonl"}, {".ndjson", "jsonl"}})
    if (source.file.ends_with(ending)) return format;
  return in.peek() == '{' ? "jsonl" : "lines";
}

}  // namespace

Status each_csv_item(std::istream& in, const std::string& name, const std::string& key, const TakeItem& take) {
  Csv csv(in, name);
  std::vector<std::string> header, fields;
  ASSIGN_OR_RETURN(const bool any, csv.next(header));
  if (!any) return error(ErrorKind::kUsage, "{}: the file is empty; its first line must name the columns", name);
  drop_byte_order_mark(header[0]);
  TRY(check_header(header, name, key));
  for (size_t number = 1;; ++number) {
    ASSIGN_OR_RETURN(const bool more, csv.next(fields));
    if (!more) return {};
    if (fields.size() == 1 && fields[0].empty()) continue;  // an empty line
    if (fields.size() != header.size())
      return error(ErrorKind::kUsage, "{}:{}: {} fields, and the first line names {} columns", name, csv.line(),
                   fields.size(), header.size());
    json::object data;
    NewItem item{std::to_string(number), {}};
    for (size_t i = 0; i < fields.size(); ++i) {
      TRY(check_text(fields[i], name, csv.line()));
      if (header[i] == key) item.key = fields[i];
      data[header[i]] = fields[i];
    }
    if (item.key.empty()) return error(ErrorKind::kUsage, "{}:{}: the key \"{}\" is empty", name, csv.line(), key);
    item.data = json::serialize(data);
    TRY(take(std::move(item)));
  }
}

Status each_json_line(std::istream& in, const std::string& name, const std::string& key, const TakeItem& take) {
  std::string line;
  for (size_t number = 1;; ++number) {
    ASSIGN_OR_RETURN(const bool more, next_line(in, line, name, number));
    if (!more) return {};
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    json::stream_parser parser;
    boost::system::error_code failed;
    const size_t read = parser.write_some(line.data(), line.size(), failed);
    if (!failed) parser.finish(failed);
    const bool rest = !failed && line.find_first_not_of(" \t", read) != std::string::npos;
    if (failed || rest)
      return error(ErrorKind::kUsage, "{}:{}:{}: {}", name, number, read + 1,
                   rest ? "something stands behind the object" : "this is no JSON: " + failed.message());
    const json::value value = parser.release();
    if (!value.is_object()) return error(ErrorKind::kUsage, "{}:{}:1: an item must be a JSON object", name, number);
    NewItem item{std::to_string(number), json::serialize(value)};
    if (!key.empty()) {
      const json::value* named = value.get_object().if_contains(key);
      if (named == nullptr || named->is_structured() || named->is_null())
        return error(ErrorKind::kUsage, "{}:{}: the item has no \"{}\" that could be its key", name, number, key);
      item.key = named->is_string() ? std::string(named->get_string()) : json::serialize(*named);
    }
    TRY(take(std::move(item)));
  }
}

Status each_item(const ItemSource& source, IsPicture is_picture, const TakeItem& taking) {
  if (!source.folder.empty()) return each_file(source.folder, is_picture, taking);
  const TakeItem take = [&](NewItem item) -> Status {
    if (!source.images.empty()) TRY(read_images(source, is_picture, item));
    return taking(std::move(item));
  };
  std::ifstream file;
  const bool standard = source.file == "-";
  if (!standard) {
    std::error_code failed;
    if (!std::filesystem::is_regular_file(source.file, failed))
      return error(ErrorKind::kNotFound, "there is no file {} for the items", source.file);
    file.open(source.file, std::ios::binary);
    if (!file) return error(ErrorKind::kIo, "cannot read {}", source.file);
  }
  std::istream& in = standard ? std::cin : file;
  const std::string name = standard ? "standard input" : source.file;
  const std::string format = format_of(source, in);
  if (format == "csv") return each_csv_item(in, name, source.key, take);
  if (format == "jsonl") return each_json_line(in, name, source.key, take);
  return each_text_line(in, name, take);
}

}  // namespace hearth::batch
