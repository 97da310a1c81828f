// A page that shows people what a model is, and what it would take to run it.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "store/ollama_models.h"

namespace hearth::fleet {

struct PageOptions {
  uint32_t context = 0;         // tokens, for the estimate of memory; 0: the usual
  std::string kv_type = "f16";  // likewise; "q8_0", "f32"
  bool tensors = false;         // each of them, too
};

// Errors: those of gguf::File::open(); kUsage: a context that the model cannot have.
Result<std::string> model_page(const store::ModelFiles& found, const PageOptions& options);

}  // namespace hearth::fleet
