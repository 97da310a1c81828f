// Incremental UTF-8: holds back an incomplete sequence at the end of what was fed so far, so that a
// stream of token pieces is cut only between characters.
#pragma once

#include <string>
#include <string_view>

namespace hearth::text {

class Utf8Stream {
 public:
  // The text that is complete now. Bytes that can never become valid UTF-8 come out as U+FFFD.
  std::string feed(std::string_view bytes);
  // What was still held back (as U+FFFD if incomplete); empties the stream.
  std::string finish();

 private:
  std::string held_;
};

}  // namespace hearth::text
