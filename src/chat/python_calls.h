// Calls as Python writes them: [temp(city="Oslo"), add(a=1, b=2.5)], or one or several without the brackets.
#pragma once

#include <string>

#include "chat/calls.h"
#include "chat/loose_value.h"

namespace hearth::chat {

class PythonCalls : public CallReader {
 public:
  explicit PythonCalls(const Markers& markers) : value_(LooseForm::of_python(), markers) {}
  ReadResult read(Input& in, Calls& calls) override;

 private:
  enum class At { kBefore, kName, kArgument, kKey, kEquals, kValue, kAfter };

  ReadResult next(Input& in, Calls& calls);
  ReadResult before(Input& in);
  ReadResult name(Input& in, Calls& calls);
  ReadResult argument(Input& in, Calls& calls);
  ReadResult key(Input& in);
  ReadResult equals(Input& in, Calls& calls);
  ReadResult value(Input& in, Calls& calls);
  ReadResult after(Input& in, Calls& calls);
  void begin_value(Calls& calls, std::string_view key);
  void end(Calls& calls);

  At at_ = At::kBefore;
  bool in_list_ = false;
  size_t calls_ = 0;
  std::string word_;
  size_t argument_begin_ = 0, positional_ = 0;
  LooseValue value_;
  bool repeated_ = false;  // the argument was given before: the first counts
};

}  // namespace hearth::chat
