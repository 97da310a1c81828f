// What a parser of answers says, piece by piece. Pieces only ever extend what was said: nothing is taken back.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace hearth::chat {

struct Delta {
  enum class Kind {
    kReasoning,  // text
    kContent,    // text
    kCallBegin,  // index, id, name: a call is certain
    kArguments,  // index, text: more of the JSON of the call's arguments
    kCallEnd,    // index, complete
    kProblem,    // text: why something is not what the model meant it to be; for the log
  };
  Kind kind;
  std::string text = {};
  size_t index = 0;  // of the call, in the order of calls in the answer
  std::string id = {}, name = {};
  bool complete = true;  // kCallEnd: the arguments are one whole JSON object
};

using Sink = std::function<void(const Delta&)>;

// Why the model wrote no more.
enum class Ending {
  kStop,    // an end-of-generation token or a stop string
  kLength,  // a limit, or somebody cancelled
};

}  // namespace hearth::chat
