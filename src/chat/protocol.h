// What turns an answer into deltas: one for families that are described by markup, one for gpt-oss's messages.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "chat/calls.h"
#include "chat/family.h"
#include "chat/output.h"

namespace hearth::chat {

// Where an answer begins, by what the prompt ends with.
struct Beginning {
  enum class Reasoning {
    kOpen,    // inside
    kMay,     // it may be opened
    kClosed,  // it was opened and closed
  };
  Reasoning reasoning = Reasoning::kMay;
  size_t thinking = 0;           // kOpen: which of the markers
  std::string_view opener = {};  // the prompt ends with this marker of a call or section
};

// What the parsers of one answer share. Must outlive them.
struct Context {
  const Markers& markers;
  const ToolSet& tools;
  bool reads_calls, reads_bare_calls;
  bool separates_reasoning;
  CallIds ids;
  Output& output;
};

class Protocol {
 public:
  virtual ~Protocol() = default;
  // Reads as far as the input allows; all of it if it has ended.
  virtual void read(Input& in) = 0;
};

}  // namespace hearth::chat
