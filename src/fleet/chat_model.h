// How one talks to a model that was found: by the template in its file or by the one that it has in an Ollama folder.
#pragma once

#include <memory>

#include "chat/chat_model.h"
#include "gguf/file.h"
#include "store/ollama_models.h"
#include "text/tokenizer.h"

namespace hearth::fleet {

// `raw`: without any template. OLLAMA_GO_TEMPLATE (1 or 0) decides which template wins, as it does for Ollama.
std::shared_ptr<const chat::ChatModel> make_chat_model(const store::ModelFiles& found, const gguf::File& file,
                                                       std::shared_ptr<const text::Tokenizer> tokenizer,
                                                       bool raw = false);

}  // namespace hearth::fleet
