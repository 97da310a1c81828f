#include "http/framing.h"

#include <fmt/format.h>

#include <iterator>

namespace hearth::http {

Framing::Framing(const Outbox::Batch& batch, const Headers& more, const AskedFraming& asked) {
  ResponseHead head = *batch.head;
  const bool bodiless = head.status == 204 || head.status == 304;
  const std::optional<uint64_t> length = batch.whole ? batch.bytes.size() : head.content_length;
  chunked_ = !length && !asked.old_version;
  keeps_alive_ = asked.keeps_alive && (length || chunked_);
  drops_content_ = asked.is_head || bodiless;
  std::string lines;
  if (length && !bodiless) lines = fmt::format("Content-Length: {}\r\n", *length);
  if (chunked_) lines += "Transfer-Encoding: chunked\r\n";
  if (!keeps_alive_) lines += "Connection: close\r\n";
  if (keeps_alive_ && asked.old_version) lines += "Connection: keep-alive\r\n";
  for (const Header& header : more) head.headers.add(header.name, header.value);
  head_ = head_text(head, lines);
}

void Framing::append(std::string_view content, std::string& wire) const {
  if (content.empty() || drops_content_) return;
  if (chunked_) fmt::format_to(std::back_inserter(wire), "{:x}\r\n", content.size());
  wire += content;
  if (chunked_) wire += "\r\n";
}

void Framing::append_end(std::string& wire) const {
  if (chunked_ && !drops_content_) wire += "0\r\n\r\n";
}

}  // namespace hearth::http
