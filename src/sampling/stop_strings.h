// Stop strings over a stream of text pieces: what may be the beginning of one is held back until it
// is decided, also across token borders.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth::sampling {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops);  // empty strings are ignored

  struct Output {
    std::string text;  // safe to show now
    bool stopped;      // a stop string was reached; it and what follows it are dropped
    std::string stop = {};  // that one
  };
  Output feed(std::string_view piece);
  std::string finish();  // the stream ended without a stop: what was still held back

 private:
  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace hearth::sampling
