// Any text through the readers of the JSON documents and names of a model store.
#include <cstdlib>

#include "fuzz/seeds.h"
#include "store/manifest.h"
#include "store/model_name.h"

using namespace hearth;
using namespace hearth::store;

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const std::string layer =
      R"({"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" + std::string(64, '0') + R"(","size":12})";
  fuzz::use_seeds({R"({"schemaVersion":2,"config":)" + layer + R"(,"layers":[)" + layer + "," + layer + "]}",
                   R"({"remote_host":"h","remote_model":"m"})", R"({"stop":["a"],"top_k":1,"top_p":0.5,"x":true,"seed":-1})",
                   R"([{"role":"user","content":"hi"}])", "hf.co/user/model:tag", "https://localhost:80/a/b:c"},
                  argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto manifest = parse_manifest(text)) {
    for (const Layer& layer : manifest->layers) {
      if (!is_digest(layer.digest)) std::abort();
    }
  }
  (void)parse_configuration(text);
  (void)parse_parameters(text);
  (void)parse_messages(text);
  if (const auto name = ModelName::parse(text)) {
    for (const std::string* part : {&name->host, &name->space, &name->model, &name->tag}) {
      if (part->empty() || part->find('/') != std::string::npos || part->starts_with('.')) std::abort();
    }
    if (!ModelName::parse(name->display())) std::abort();
  }
  return 0;
}
