// Follows the bytes of one JSON value as they come (RFC 8259) and says which of them are certain. Nothing is guessed
// or completed. Habits of models inside strings are repaired on the way: raw control characters (a real line break)
// become escapes, backslashes that escape nothing become backslashes, and half a surrogate pair becomes U+FFFD.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::chat {

class JsonScanner {
 public:
  enum class State {
    kInside,
    kDone,        // the value ended with this byte
    kDoneBefore,  // the value, a number, ended before this byte
    kInvalid,
  };
  // Appends what is certain: everything but an escape sequence, or half of a surrogate pair, that is not whole yet.
  State feed(char c, std::string* out);
  // The answer ended: a number at the outermost level is whole.
  State finish() const;
  // The names in the outermost object so far, as they are written.
  const std::vector<std::string>& keys() const { return keys_; }

 private:
  enum class Expect { kValue, kValueOrEnd, kKey, kKeyOrEnd, kColon, kComma, kString, kEscape, kHex, kNumber, kWord };

  State value(char c, std::string* out);
  State open(char c, std::string* out);
  State close(char c, std::string* out);
  State string(char c, std::string* out);
  State escape(char c, std::string* out);
  State hex(char c, std::string* out);
  State number(char c, std::string* out);
  State word(char c, std::string* out);
  State structure(char c, std::string* out);
  State end_value();
  void flush_escape(std::string* out);
  void give_up_pair(std::string* out);

  Expect expect_ = Expect::kValue;
  std::string stack_;   // the open brackets
  std::string escape_;  // an escape sequence that is not whole
  size_t hex_digits_ = 0;
  std::string_view word_;  // what must still come of true, false, null
  char number_state_ = 0;
  bool is_key_ = false;
  std::string key_;
  std::vector<std::string> keys_;
};

// `text`, if it is one JSON value with spaces around it or none: trimmed, and repaired as above.
std::optional<std::string> as_json(std::string_view text);
// The text as the inside of a JSON string.
void append_escaped(std::string_view text, std::string* out);

}  // namespace hearth::chat
