// A value that stands as plain text between tags, as JSON. The tool's schema decides what it is; where it may be a
// text, the text is never interpreted.
#pragma once

#include <string>
#include <string_view>

#include "chat/tools.h"

namespace hearth::chat {

class ValueWriter {
 public:
  // One line break at each end belongs to the tags if `strips`. `parameter`: null if it is unknown.
  ValueWriter(const Parameter* parameter, bool strips);

  // Appends JSON that is certain.
  void text(std::string_view part, std::string* out);
  void end(std::string* out);

 private:
  enum class Form {
    kText,        // streamed
    kTextOrNull,  // streamed once it cannot be null
    kJson,        // when it is whole; a text if it is no JSON
    kGuess,       // JSON if it begins like an object or a list, else a text
  };
  void write(std::string_view part, std::string* out);

  Form form_;
  const bool strips_;
  bool began_ = false, open_ = false;  // anything came; a JSON string was opened
  std::string held_;                   // what is not decided, or the line break that the closing tag may follow
};

}  // namespace hearth::chat
