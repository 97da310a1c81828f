// An answer as blocks: text, thinking and calls in whatever order they come.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <string>

#include "api/anthropic/ask.h"
#include "chat/delta.h"

namespace hearth::api::anthropic {

// Makes the events of a stream between message_start and message_delta, one block after the other. Both forms of a
// reply come from them, so that they cannot differ.
class BlockStream {
 public:
  struct Emit {
    std::function<void(const char* type, boost::json::object data)> event;  // a block begins or ends
    // More of the block's text: a delta of this kind, whose member is the text.
    std::function<void(size_t index, const char* kind, const char* member, std::string_view text)> delta;
  };
  BlockStream(const ReplyForm& form, Emit emit) : form_(form), emit_(std::move(emit)) {}

  void add(const chat::Delta& delta);
  void end();  // closes what is open
  size_t complete_calls() const { return complete_calls_; }

 private:
  enum class Block { kNone, kText, kThinking, kCall };

  void open(Block block, boost::json::object content);
  void close();
  void text(const std::string& more);
  void thinking(const std::string& more);
  void delta(const char* kind, const char* member, std::string_view text) const;

  const ReplyForm form_;
  const Emit emit_;
  Block block_ = Block::kNone;
  size_t index_ = 0;
  std::string thought_, held_;  // of the block; white space that is text only if more text follows
  bool has_arguments_ = false;
  size_t complete_calls_ = 0;
};

// The blocks that these events amount to.
class BlockList {
 public:
  void take(std::string_view type, const boost::json::object& data);
  void add(std::string_view kind, const char* member, std::string_view text);
  // Calls whose input is no object are no calls: they are left out.
  boost::json::array blocks() &&;

 private:
  boost::json::array blocks_;
  std::string input_;
};

}  // namespace hearth::api::anthropic
