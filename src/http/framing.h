// How one answer lies on the wire: its head, then its content, of a length that is told, in chunks, or until the
// connection is closed (RFC 9112, section 6).
#pragma once

#include <string>
#include <string_view>

#include "http/message.h"
#include "http/outbox.h"

namespace hearth::http {

// What of a request decides that.
struct AskedFraming {
  bool keeps_alive = false;  // the client would send more on this connection
  bool old_version = false;  // HTTP/1.0
  bool is_head = false;      // the answer has no content
};

class Framing {
 public:
  // Of the batch with the head. `more` are headers beside its own.
  Framing(const Outbox::Batch& batch, const Headers& more, const AskedFraming& asked);

  const std::string& head() const { return head_; }
  bool keeps_alive() const { return keeps_alive_; }
  bool drops_content() const { return drops_content_; }

  // Content as it is written.
  void append(std::string_view content, std::string& wire) const;
  void append_end(std::string& wire) const;

 private:
  std::string head_;
  bool keeps_alive_, chunked_, drops_content_;
};

}  // namespace hearth::http
