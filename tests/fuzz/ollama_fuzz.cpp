// Any body through the decoders of Ollama's requests.
#include "api/ollama/decode.h"
#include "base/check.h"
#include "fuzz/seeds.h"

using namespace hearth::api::ollama;

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  hearth::fuzz::use_seeds(
      {R"({"model":"m","messages":[{"role":"user","content":"hi","images":[]}],"tools":[{"type":"function","function":{
          "name":"f","parameters":{"type":"object"}}}],"think":"high","format":"json","keep_alive":"1h30m"})",
       R"({"model":"m","prompt":"p","suffix":"s","context":[1,2],"options":{"temperature":0.5,"num_ctx":8192,"stop":["a"],
          "seed":1},"stream":false,"logprobs":true,"top_logprobs":2,"keep_alive":-1})"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& ask : {decode_chat(text), decode_generate(text)}) {
    hearth::sampling::Options options;
    // What was decoded passes one by one; together only the number of stops may be too much.
    if (ask && !ask->request.settings.stop) CHECK(apply(ask->request.settings, options).ok());
  }
  return 0;
}
