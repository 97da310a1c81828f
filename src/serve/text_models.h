// Models as far as texts need them: vocabulary and template. They are read without the weights, so that a prompt can be
// counted before a model is loaded, and while it answers others.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "api/service.h"
#include "chat/chat_model.h"
#include "store/ollama_models.h"

namespace hearth::serve {

struct TextModel {
  store::ModelFiles found;
  std::shared_ptr<const gguf::File> file;
  std::shared_ptr<const chat::ChatModel> chat, raw;  // by its template, and without one
};

// Those that were asked for last are kept. Any thread.
class TextModels {
 public:
  // Errors: those of fleet::find_named_model(), of the file and of its vocabulary.
  Result<std::shared_ptr<const TextModel>> get(const std::string& name);

 private:
  struct Kept {
    std::string name;
    int64_t modified;
    std::shared_ptr<const TextModel> model;
  };
  std::mutex mutex_;
  std::list<Kept> kept_;  // the newest first
};

// See the functions of these names of api::Service. `context`: of an answer of the model.
Result<api::PromptView> render(TextModels& models, const api::AnswerRequest& request, uint32_t context);
Result<std::vector<api::TokenView>> tokenize(TextModels& models, const api::TokenizeRequest& request);
Result<std::string> detokenize(TextModels& models, const std::string& model, const std::vector<int32_t>& tokens);

}  // namespace hearth::serve
