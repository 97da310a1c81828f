// Calls whose name stands before their arguments, which are JSON: NAME marker {...}.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chat/arguments.h"
#include "chat/calls.h"

namespace hearth::chat {

// Must outlive its readers.
struct NamedJsonForm {
  std::vector<std::string_view> name_ends;  // any of them ends the name and is passed; "{" is not
  std::string_view name_begins = {};        // what stands before the name, if anything, is dropped up to here
  std::string_view name_stops = {};         // what stands behind the name before its end is dropped from here
  std::string_view id_begins = {};          // behind the name: the model's own id of the call
  bool id_first = false;                    // what stands before name_begins is the id
  bool kind_first = false;  // the name may be a kind, behind which name and line break follow (DeepSeek)
  bool name_in_id = false;  // the text is an id, "functions.temp:0", which holds the name (Kimi)
  std::vector<std::string_view> text_names = {};  // what is no call but content ("all")
  std::vector<std::string_view> code_names = {};  // what is followed by code, not by JSON ("python")
  std::vector<std::string_view> code_ends = {};   // what the code ends before
};

class NamedJson : public CallReader {
 public:
  NamedJson(const NamedJsonForm& form, const Markers& markers);
  ReadResult read(Input& in, Calls& calls) override;

 private:
  enum class At { kName, kKind, kSecondName, kFence, kArguments, kCode };

  ReadResult next(Input& in, Calls& calls);
  ReadResult name(Input& in, const Literals& ends);
  ReadResult parse_name(Calls& calls);
  ReadResult begin(Calls& calls);
  ReadResult arguments(Input& in, Calls& calls);

  const NamedJsonForm& form_;
  const Literals name_ends_, line_end_, fences_, code_ends_;
  At at_ = At::kName;
  std::string name_, id_;
  bool infers_ = false;  // the name is none; the arguments' names may tell which tool is meant
  std::string waiting_;  // arguments that were read meanwhile
  ArgumentsReader arguments_;
};

// Code to the end, or to one of `ends`, as the arguments {"code": ...} of the call that was begun.
ReadResult read_code(Input& in, const Literals& ends, Calls& calls);

}  // namespace hearth::chat
