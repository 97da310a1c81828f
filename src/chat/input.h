// The answer as it arrives, between what wrote it and the readers of formats. Readers take text and look for
// literals; what depends on bytes that have not come yet waits, so that no result depends on how the answer was cut.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chat/delta.h"

namespace hearth::chat {

// A set of texts to look for. Which of them the vocabulary has as one token is known beforehand: such a one counts only
// where that token stands, not where a user's words are spelled like it.
class Literals {
 public:
  static constexpr int kNone = -1;  // none of them
  static constexpr int kMore = -2;  // more of the answer decides

  // The index of the text. Must not be empty.
  int add(std::string_view text, bool token);
  size_t size() const { return all_.size(); }
  std::string_view text(int index) const { return all_[static_cast<size_t>(index)].text; }

 private:
  friend class Input;
  struct Literal {
    std::string text;
    bool token;
  };
  std::vector<Literal> all_;
  std::array<bool, 256> first_bytes_ = {};
};

class Input {
 public:
  void add_text(std::string_view text);
  void add_token(std::string_view text);  // a special token, by its text
  void end(Ending ending);

  bool ended() const { return ended_; }
  Ending ending() const { return ending_; }
  bool empty() const { return cursor_ == buffer_.size(); }
  bool finished() const { return ended_ && empty(); }
  char peek() const { return buffer_[cursor_]; }  // must not be empty
  void skip(size_t bytes) { cursor_ += bytes; }
  void skip_space();

  // The longest literal at the cursor, which is moved behind it.
  int match(const Literals& literals);
  // Text up to the first literal, at most `most` bytes; a literal that is found is passed as well. `found` is
  // kNone at the end of the answer or of `most` bytes. The text is valid until more is added.
  std::string_view take_until(const Literals& literals, int* found, size_t most = std::string::npos);

  // Bytes since the answer began. What lies behind hold() can be read again.
  size_t position() const { return base_ + cursor_; }
  void hold(size_t position) { held_ = position; }
  void release() { held_ = std::string::npos; }
  std::string_view slice(size_t from, size_t to) const;
  void rewind(size_t to) { cursor_ = to - base_; }

  uint64_t examined_bytes() const { return examined_; }  // how much work it was

 private:
  void make_room();
  bool is_token(size_t at, std::string_view text) const;
  int match_at(size_t at, const Literals& literals);

  std::string buffer_;
  size_t base_ = 0, cursor_ = 0;  // where the buffer and, in it, what is unread begin
  size_t held_ = std::string::npos;
  std::vector<size_t> tokens_;  // where special tokens begin, in bytes of the answer
  bool ended_ = false;
  Ending ending_ = Ending::kStop;
  uint64_t examined_ = 0;
};

inline constexpr std::string_view kSpace = " \t\n\v\f\r";
inline bool is_space(char c) {
  return kSpace.find(c) != std::string_view::npos;
}
std::string_view trimmed(std::string_view text);

}  // namespace hearth::chat
