#include "base/error.h"
#include "base/text.h"
#include "serve/openai_files.h"

namespace hearth::serve {
namespace {

constexpr size_t kMost_parts = 100;

// The value of name="..." or name=... in a header's value; empty if there is none.
std::string parameter(std::string_view header, std::string_view name) {
  for (size_t at = 0; (at = header.find(name, at)) != std::string_view::npos; at += name.size()) {
    const bool begins = at == 0 || header[at - 1] == ' ' || header[at - 1] == ';';
    std::string_view rest = header.substr(at + name.size());
    if (!begins || !rest.starts_with('=')) continue;
    rest.remove_prefix(1);
    if (rest.starts_with('"')) return std::string(rest.substr(1, rest.find('"', 1) - 1));
    return std::string(rest.substr(0, rest.find_first_of("; \t")));
  }
  return {};
}

FormPart read_head(std::string_view head) {
  FormPart part;
  while (!head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !same_ignoring_case(line.substr(0, colon), "Content-Disposition")) continue;
    part.name = parameter(line.substr(colon + 1), "name");
    part.filename = parameter(line.substr(colon + 1), "filename");
  }
  return part;
}

}  // namespace

Result<std::vector<FormPart>> parse_form(std::string_view content_type, std::string_view body) {
  const std::string boundary = parameter(content_type, "boundary");
  if (!content_type.starts_with("multipart/form-data") || boundary.empty())
    return error(ErrorKind::kUsage, "the body must be multipart/form-data with a boundary");
  const std::string opens = "--" + boundary, closes = "\r\n--" + boundary;
  if (!body.starts_with(opens)) return error(ErrorKind::kUsage, "the form does not begin with its boundary");
  body.remove_prefix(opens.size());
  std::vector<FormPart> parts;
  while (body.starts_with("\r\n")) {
    body.remove_prefix(2);
    const size_t head = body.find("\r\n\r\n"), end = body.find(closes, head);
    if (head == std::string_view::npos || end == std::string_view::npos || end < head + 4)
      return error(ErrorKind::kUsage, "the form breaks off in a part");
    if (parts.size() == kMost_parts) return error(ErrorKind::kUsage, "the form has too many parts");
    FormPart part = read_head(body.substr(0, head));
    part.text = body.substr(head + 4, end - head - 4);
    parts.push_back(std::move(part));
    body.remove_prefix(end + closes.size());
  }
  if (!body.starts_with("--")) return error(ErrorKind::kUsage, "the form has no end");
  return parts;
}

}  // namespace hearth::serve
