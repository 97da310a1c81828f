// Reads one answer as it is written and says what is reasoning, what content and what a call.
//
//   chat::Parser parser(format, {.tools = tools, .prompt_end = "<|im_start|>assistant\n"});
//   for each token: parser.feed({tokenizer.piece(token, false), token}, sink);
//   parser.finish(chat::Ending::kStop, sink);
//
// The result does not depend on where the answer was cut. Work is linear in the answer's length. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "chat/delta.h"
#include "chat/format.h"
#include "chat/protocol.h"
#include "text/utf8_stream.h"

namespace hearth::chat {

struct ParserOptions {
  std::shared_ptr<const ToolSet> tools = {};  // that the request offers; null: none
  bool reads_calls = true;                    // false: tool_choice "none"; whatever looks like a call is content
  bool reads_bare_calls = true;               // false: the answer is JSON by request, and JSON alone is no call
  bool separates_reasoning = true;            // false: reasoning stays in the content, with its markers
  // What the prompt adds to open the answer, and the answer's beginning if the client has given it: tells whether the
  // answer begins inside reasoning.
  std::string prompt_end = {};
  uint64_t id_seed = 0;  // of the ids of calls
};

// Where the answer to a prompt with this end begins.
Beginning find_beginning(const Format& format, std::string_view prompt_end);

// What one token is: its bytes, which may be cut inside a character and are empty for special tokens. The id matters
// where it is a marker's.
struct Piece {
  std::string_view text;
  text::Token token = text::kNoToken;
};

class Parser {
 public:
  // `format` must outlive it.
  Parser(const Format& format, ParserOptions options);
  Parser(const Parser&) = delete;

  void feed(const Piece& piece, const Sink& sink);
  // Once, at the end: what was held back.
  void finish(Ending ending, const Sink& sink);

  uint64_t examined_bytes() const { return in_.examined_bytes(); }

 private:
  const Format& format_;
  const ParserOptions options_;
  const ToolSet no_tools_;
  text::Utf8Stream utf8_;
  Input in_;
  Output output_;
  std::unique_ptr<Protocol> protocol_;
};

}  // namespace hearth::chat
