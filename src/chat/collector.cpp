#include "chat/collector.h"

#include "base/check.h"

namespace hearth::chat {

void Collector::add(const Delta& delta) {
  using Kind = Delta::Kind;
  switch (delta.kind) {
    case Kind::kReasoning:
      message_.reasoning += delta.text;
      break;
    case Kind::kContent:
      message_.content += delta.text;
      break;
    case Kind::kCallBegin:
      CHECK(delta.index == message_.calls.size());
      message_.calls.push_back({.id = delta.id, .name = delta.name, .arguments = {}, .complete = false});
      break;
    case Kind::kArguments:
      message_.calls.at(delta.index).arguments += delta.text;
      break;
    case Kind::kCallEnd:
      message_.calls.at(delta.index).complete = delta.complete;
      break;
    case Kind::kProblem:
      problems_.push_back(delta.text);
      break;
  }
}

}  // namespace hearth::chat
