// The whole message that a parser's deltas amount to, for replies that are not streamed.
#pragma once

#include <string>
#include <vector>

#include "chat/delta.h"
#include "chat/message.h"

namespace hearth::chat {

class Collector {
 public:
  void add(const Delta& delta);
  Sink sink() {
    return [this](const Delta& delta) { add(delta); };
  }
  // Role "assistant". A call whose arguments are not complete says so.
  const Message& message() const { return message_; }
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  Message message_{.role = "assistant", .content = {}};
  std::vector<std::string> problems_;
};

}  // namespace hearth::chat
