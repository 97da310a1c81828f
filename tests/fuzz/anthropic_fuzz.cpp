// Any body through the decoder of Anthropic's messages.
#include "api/anthropic/ask.h"
#include "base/check.h"
#include "fuzz/seeds.h"

using namespace hearth::api;

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  hearth::fuzz::use_seeds(
      {R"({"model":"m[1m]","max_tokens":5,"system":[{"type":"text","text":"x-anthropic-a"}],"messages":[{"role":"user",
          "content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]},{"role":"assistant","content":[
          {"type":"thinking","thinking":"","signature":"aGVhcnRoMVRobQ=="},{"type":"tool_use","id":"toolu_1","name":"f",
          "input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text",
          "text":"r"}],"is_error":true}]}],"tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"bash_20250124",
          "name":"bash"}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"thinking":{"type":"enabled",
          "budget_tokens":2000},"output_config":{"effort":"low"},"stop_sequences":["a"],"metadata":{"user_id":"u"}})"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Blame blame;
  for (const bool counts_only : {false, true}) {
    const auto ask = anthropic::decode_messages(text, counts_only, &blame);
    CHECK(!ask || !std::get<ChatInput>(ask->request.input).messages.empty());
  }
  return 0;
}
