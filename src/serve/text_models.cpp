#include "serve/text_models.h"

#include <filesystem>

#include "base/error.h"
#include "chat/picture_marks.h"
#include "fleet/chat_model.h"
#include "fleet/find_model.h"
#include "fleet/sight.h"
#include "serve/pictures.h"
#include "serve/prompt.h"

namespace hearth::serve {
namespace {

constexpr size_t kMost_kept = 4;

int64_t stamp(const std::string& path) {
  std::error_code failed;
  const auto time = std::filesystem::last_write_time(path, failed);
  return failed ? 0 : time.time_since_epoch().count();
}

Result<std::shared_ptr<const TextModel>> read(store::ModelFiles found) {
  auto model = std::make_shared<TextModel>();
  ASSIGN_OR_RETURN(model->file, gguf::File::open(found.model));
  ASSIGN_OR_RETURN(std::shared_ptr<const text::Tokenizer> tokenizer, text::Tokenizer::load(*model->file));
  model->chat = fleet::make_chat_model(found, *model->file, tokenizer);
  model->raw = fleet::make_chat_model(found, *model->file, tokenizer, true);
  model->found = std::move(found);
  return std::shared_ptr<const TextModel>(std::move(model));
}

}  // namespace

Result<std::shared_ptr<const TextModel>> TextModels::get(const std::string& name) {
  ASSIGN_OR_RETURN(store::ModelFiles found, fleet::find_named_model(name));
  const int64_t now = stamp(found.model);
  const std::lock_guard lock(mutex_);
  for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
    if (kept->name != found.name || kept->modified != now || !store::same_apart_from_name(kept->model->found, found))
      continue;
    kept_.splice(kept_.begin(), kept_, kept);
    return kept_.front().model;
  }
  const std::string known = found.name;
  ASSIGN_OR_RETURN(std::shared_ptr<const TextModel> model, read(std::move(found)));
  kept_.push_front({known, now, model});
  if (kept_.size() > kMost_kept) kept_.pop_back();
  return model;
}

Result<api::PromptView> render(TextModels& models, const api::AnswerRequest& asked, uint32_t context) {
  ASSIGN_OR_RETURN(const auto model, models.get(asked.model));
  api::AnswerRequest request = asked;
  if (!fleet::Sight::has(model->found, *model->file)) describe_tool_pictures(&request);
  const PromptModel prompt_model{model->found, *model->file, model->chat, model->raw, context};
  ASSIGN_OR_RETURN(Prompted prompt, make_prompt(request, prompt_model));
  api::PromptView view{std::move(prompt.text), {}};
  for (const text::Token token : prompt.tokens) {
    const std::optional<size_t> picture = chat::picture_of(token);
    uint32_t count = 1;
    if (picture && *picture < request.pictures.size()) {
      if (request.pictures.addresses().contains(*picture))
        return error(ErrorKind::kUsage,
                     "picture {} is an address, which is not fetched to be counted; send the picture itself",
                     *picture + 1);
      const auto counted = fleet::count_picture(model->found, model->file, model->chat->tokenizer(),
                                                *request.pictures.files()[*picture]);
      if (!counted) return of_picture(*picture, counted.error());
      count = *counted;
    }
    view.tokens.insert(view.tokens.end(), count, token);
  }
  return view;
}

Result<std::vector<api::TokenView>> tokenize(TextModels& models, const api::TokenizeRequest& request) {
  ASSIGN_OR_RETURN(const auto model, models.get(request.model));
  const text::Tokenizer& tokenizer = model->chat->tokenizer();
  const text::EncodeOptions options{.add_special = request.add_special, .parse_special = request.parse_special};
  std::vector<api::TokenView> views;
  for (const text::Token token : tokenizer.encode(request.text, options))
    views.push_back({token, tokenizer.piece(token, true)});
  return views;
}

Result<std::string> detokenize(TextModels& models, const std::string& name, const std::vector<int32_t>& tokens) {
  ASSIGN_OR_RETURN(const auto model, models.get(name));
  const text::Tokenizer& tokenizer = model->chat->tokenizer();
  for (const int32_t token : tokens) {
    if (token < 0 || static_cast<size_t>(token) >= tokenizer.size())
      return error(ErrorKind::kUsage, "there is no token {}; the model has 0 to {}", token, tokenizer.size() - 1);
  }
  return tokenizer.decode(tokens, true);
}

}  // namespace hearth::serve
