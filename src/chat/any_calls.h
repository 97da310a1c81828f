// Calls in whichever common notation the model has chosen behind a marker, or without one: JSON or Python, perhaps in a
// fence. What stands first decides.
#pragma once

#include <memory>

#include "chat/calls.h"
#include "chat/json_calls.h"

namespace hearth::chat {

class AnyCalls : public CallReader {
 public:
  AnyCalls(const Markers& markers, JsonForm form = {}, bool bare_python = false);
  ReadResult read(Input& in, Calls& calls) override;

 private:
  ReadResult choose(Input& in);

  const Markers& markers_;
  const JsonForm form_;
  const bool bare_python_;  // f(a=1) without brackets is meant as a call
  const Literals fences_;
  size_t begin_ = std::string::npos;
  std::unique_ptr<CallReader> chosen_;
};

// As a family's data names it.
std::unique_ptr<CallReader> any_calls(const Markers& markers);
std::unique_ptr<CallReader> any_calls_or_python(const Markers& markers);  // also f(a=1) without brackets

}  // namespace hearth::chat
