// Calls as Gemma 4 and FunctionGemma write them: call:temp{city:<|"|>Oslo<|"|>,n:3}. Names are bare, texts stand
// between marks and have no escapes.
#pragma once

#include <string>

#include "chat/calls.h"
#include "chat/loose_value.h"

namespace hearth::chat {

class GemmaCalls : public CallReader {
 public:
  GemmaCalls(const LooseForm& form, const Markers& markers);
  ReadResult read(Input& in, Calls& calls) override;

 private:
  const Literals name_ends_;
  std::string name_;
  LooseValue value_;
};

}  // namespace hearth::chat
