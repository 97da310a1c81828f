// The arguments of a call that are written as JSON: an object, whose own bytes are passed on as they come. Also
// accepted: a text that holds an object, a list of one object, and null or an empty text, which mean {}.
#pragma once

#include <string>

#include "chat/calls.h"
#include "chat/json_scanner.h"

namespace hearth::chat {

class ArgumentsReader {
 public:
  ReadResult read(Input& in, std::string* out);
  // Nothing but spaces was read, whether because nothing came yet or because something else stands there.
  bool absent() const { return form_ == Form::kUnknown; }
  const std::vector<std::string>& keys() const { return scanner_.keys(); }

 private:
  enum class Form { kUnknown, kObject, kText, kNull };
  ReadResult begin(Input& in);
  ReadResult scan(Input& in, std::string* out);
  ReadResult unwrap(std::string* out);

  Form form_ = Form::kUnknown;
  bool in_list_ = false;
  size_t list_begin_ = 0;
  JsonScanner scanner_;
  std::string held_;  // a text, until it is whole
};

}  // namespace hearth::chat
