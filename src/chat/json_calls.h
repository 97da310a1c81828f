// Calls as JSON: {"name": ..., "arguments": {...}} or a list of such objects, with the names of members that models
// use ("parameters", "tool_name", {"function": {...}}), or with the tool's name as the only key.
#pragma once

#include <string>

#include "chat/arguments.h"
#include "chat/calls.h"

namespace hearth::chat {

struct JsonForm {
  bool name_is_key = false;       // [{"temp": {"city": "Oslo"}}]
  std::string_view no_call = {};  // a name that stands for answering directly
  // Members' names, beside the common ones; must outlive the readers.
  std::string_view name_key = {}, arguments_key = {}, id_key = {};
  std::string_view nested_key = "function";  // of an object that holds name and arguments
};

class JsonCalls : public CallReader {
 public:
  explicit JsonCalls(JsonForm form = {}) : form_(form) {}
  ReadResult read(Input& in, Calls& calls) override;

 private:
  enum class At { kBefore, kKey, kColon, kValue, kKeyText, kName, kId, kOther, kArguments };
  enum class Member { kName, kArguments, kId, kOther };

  ReadResult next(Input& in, Calls& calls);
  ReadResult before(Input& in);
  ReadResult key(Input& in, Calls& calls);
  ReadResult value(Input& in);
  ReadResult text(Input& in);
  ReadResult end_text(Calls& calls);
  ReadResult read_arguments(Input& in, Calls& calls);
  ReadResult end_object(Input& in, Calls& calls);
  Member member(std::string_view key) const;
  bool announce(Calls& calls);

  JsonForm form_;
  At at_ = At::kBefore;
  size_t objects_ = 0, begin_ = 0;  // how many were read; where this one begins
  int depth_ = 0;                   // of objects around the members
  JsonScanner scanner_;
  std::string text_;  // a member's name or value
  Member member_ = Member::kOther;
  std::string name_, id_, waiting_;  // waiting_: arguments that stand before the name
  ArgumentsReader arguments_;
  bool has_arguments_ = false, whole_ = false, bad_ = false;
};

}  // namespace hearth::chat
