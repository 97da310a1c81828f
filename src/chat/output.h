// What a parser has found, on its way to the receiver: neighbours of one kind are joined, and what may still turn out
// to be no call waits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chat/delta.h"

namespace hearth::chat {

class Output {
 public:
  void text(Delta::Kind kind, std::string_view text);
  void begin_call(std::string id, std::string name);
  void arguments(std::string_view json);
  void end_call(bool complete);
  void problem(std::string text);

  bool in_call() const { return in_call_; }

  // What follows waits until commit(), or is forgotten by discard(), which returns it. May be nested.
  void wait() { waits_.push_back({waiting_.size(), calls_}); }
  void commit();
  std::vector<Delta> discard();
  // Again, after it was discarded.
  void add(const Delta& delta);
  // Whether the newest call is whole.
  bool whole() const { return whole_; }

  // Hands over what does not wait.
  void flush(const Sink& sink);

 private:
  struct Wait {
    size_t begin, calls;
  };
  std::vector<Delta> ready_, waiting_;
  std::vector<Wait> waits_;
  bool in_call_ = false, whole_ = false;
  size_t calls_ = 0;
};

// Reasoning or content: spaces at its borders with markers are no part of it.
class TextChannel {
 public:
  TextChannel(Output& output, Delta::Kind kind) : output_(&output), kind_(kind) {}

  void text(std::string_view text);
  void trim();    // a marker stands here
  void finish();  // the answer ends here: spaces count

 private:
  Output* output_;
  Delta::Kind kind_;
  bool skips_ = false;
  std::string held_;  // spaces that a marker may follow
};

}  // namespace hearth::chat
