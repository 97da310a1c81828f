// Any body through the decoders of OpenAI's requests.
#include "api/openai/ask.h"
#include "api/openai/response_ask.h"
#include "base/check.h"
#include "fuzz/seeds.h"

using namespace hearth::api;

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  hearth::fuzz::use_seeds(
      {R"({"model":"m","messages":[{"role":"assistant","content":[{"type":"text","text":"a"}],"tool_calls":[{"id":"c",
          "type":"function","function":{"name":"f","arguments":"{\"a\":"}}]},{"role":"tool","tool_call_id":"c","content":"1"}],
          "tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object"}}},{"type":"custom",
          "custom":{"name":"g","format":{"type":"grammar","syntax":"regex","definition":"a+"}}}],"tool_choice":"required",
          "logit_bias":{"1":-100},"stop":["a"],"n":2,"logprobs":true,"top_logprobs":2,"reasoning_effort":"low",
          "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}})",
       R"({"model":"m","prompt":[[1,2],"a"],"echo":true,"max_tokens":0,"logprobs":1,"suffix":"s","guided_choice":["a"]})",
       R"({"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"reasoning","summary":[],
          "encrypted_content":"aGVhcnRoMVQ="},{"type":"function_call","namespace":"n","call_id":"c","name":"f",
          "arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"o"}],"tools":[{"type":"namespace",
          "name":"n","tools":[{"type":"function","name":"f"}]}],"text":{"format":{"type":"json_object"}},"store":false})"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Blame blame;
  const auto chat = openai::decode_chat(text, &blame);
  CHECK(!chat || !chat->requests.empty());
  const auto completion = openai::decode_completion(text, &blame);
  CHECK(!completion || completion->requests.size() == completion->form.prompts);
  const auto nothing = [](const std::string&) { return std::shared_ptr<const openai::StoredResponse>(); };
  const auto response = openai::decode_response(text, nothing, &blame);
  CHECK(!response || !std::get<ChatInput>(response->request.input).messages.empty());
  return 0;
}
