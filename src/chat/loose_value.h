// A value in a notation that is nearly JSON, turned into JSON as it comes: Python's literals, or Gemma's objects with
// bare names and marked texts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chat/calls.h"

namespace hearth::chat {

struct LooseForm {
  // What opens and closes a text. Python's may also stand inside one ('It's'): they close it only where the value could
  // end.
  std::vector<std::string_view> quotes;
  bool python = false;  // backslash escapes; True, False, None

  static const LooseForm& of_python();
};

class LooseValue {
 public:
  LooseValue(const LooseForm& form, const Markers& markers);
  // Appends JSON. A bare word ends before a comma, a closing bracket, a colon or a space. Repeated names of an
  // object's members stay as they are.
  ReadResult read(Input& in, std::string* out);
  void restart();
  // The names in the outermost object so far.
  const std::vector<std::string>& keys() const { return keys_; }
  // Between two members of the outermost object: all that was written is whole.
  bool between_members() const { return stack_ == "{" && (at_ == At::kAfter || at_ == At::kKey); }

 private:
  enum class At { kValue, kFirst, kKey, kColon, kWord, kText, kQuote, kAfter };

  ReadResult next(Input& in, std::string* out);
  ReadResult begin_value(Input& in, std::string* out);
  ReadResult open_text(Input& in, std::string* out);
  void put_comma(std::string* out);
  ReadResult word(Input& in, std::string* out);
  ReadResult text(Input& in, std::string* out);
  ReadResult quote(Input& in, std::string* out);
  ReadResult escape(Input& in, std::string* out);
  ReadResult after(Input& in, std::string* out);
  ReadResult end_value();
  void put_word(std::string* out);
  void put_text(std::string_view part, std::string* out);
  void put_code(uint32_t code, std::string* out);
  void end_text(std::string* out);

  LooseForm form_;
  Literals quotes_;
  std::vector<Literals> ends_;  // of a text that each of the quotes has opened; with a backslash
  At at_ = At::kValue;
  std::string stack_;   // open brackets
  bool key_ = false;    // the text or word names a member
  bool comma_ = false;  // one was read
  int quote_ = 0;
  uint32_t high_surrogate_ = 0;  // of a pair whose other half must follow; 0: none
  std::string word_, pending_, key_text_;
  std::vector<std::string> keys_;
};

}  // namespace hearth::chat
