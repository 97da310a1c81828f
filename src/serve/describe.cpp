#include "serve/describe.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <cmath>

#include "fleet/model_facts.h"
#include "fleet/sight.h"
#include "serve/prompt.h"
#include "serve/summaries.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

constexpr size_t kMost_shown = 5;  // elements of a list

json::value scalar(const gguf::Value& value) {
  if (const auto text = value.as_string()) return json::string(*text);
  if (value.type() == gguf::Type::kBool) return value.as_bool().value_or(false);
  if (const auto number = value.as_i64()) return *number;
  if (const auto number = value.as_u64()) return *number;
  const double number = value.as_f64().value_or(0);
  return std::isfinite(number) ? json::value(number) : json::value(nullptr);
}

json::array list(const gguf::Value& value) {
  json::array items;
  if (value.element_type() == gguf::Type::kString) {
    for (const std::string_view text : value.as_strings()) items.push_back(json::string(text));
    return items;
  }
  const bool real = value.element_type() == gguf::Type::kF32 || value.element_type() == gguf::Type::kF64;
  for (size_t i = 0; i < value.size(); ++i)
    items.push_back(real ? json::value(value.at_f64(i)) : json::value(value.at_i64(i)));
  return items;
}

std::string metadata_json(const gguf::File& file, uint64_t parameters, bool verbose) {
  json::object object;
  for (const auto& [key, value] : file.metadata()) {
    if (key == "general.name" || key == "tokenizer.chat_template") continue;
    if (!value.is_array())
      object[key] = scalar(value);
    else
      object[key] = verbose || value.size() <= kMost_shown ? list(value) : json::array();
  }
  object["general.parameter_count"] = parameters;
  return json::serialize(object);
}

std::string tensors_json(const gguf::File& file) {
  json::array tensors;
  for (const gguf::Tensor& tensor : file.tensors()) {
    json::array shape;
    for (int i = 0; i < tensor.dimensions; ++i) shape.push_back(tensor.shape[static_cast<size_t>(i)]);
    tensors.push_back(json::object{{"name", tensor.name}, {"type", tensor.format->name}, {"shape", std::move(shape)}});
  }
  return json::serialize(tensors);
}

// Decoders that judge documents with "yes" or "no" are converted with a way to pool, or say it in their names only.
bool is_reranker(const TextModel& model, const std::string& architecture) {
  constexpr uint64_t kRank = 4;  // of llama.cpp's enum llama_pooling_type
  if (model.file->u64_or(architecture + ".pooling_type", 0) == kRank) return true;
  std::string names = model.found.name + '\n' + std::string(model.file->string_or("general.name", ""));
  std::ranges::transform(names, names.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return names.find("reranker") != std::string::npos;
}

}  // namespace

std::vector<std::string> capabilities_of(const TextModel& model) {
  const std::string architecture(model.file->string_or("general.architecture", ""));
  if (is_reranker(model, architecture)) return {"rerank"};
  if (model.file->find(architecture + ".pooling_type") != nullptr) return {"embedding"};
  // Models whose templates know no tools are told of them by hearth's own protocol.
  std::vector<std::string> can = {"completion", "tools"};
  const bool fills =
      model.chat->tokenizer().has_fim() || model.found.template_text.find(".Suffix") != std::string::npos;
  if (fills) can.emplace_back("insert");
  if (can_think(*model.chat)) can.emplace_back("thinking");
  if (fleet::Sight::has(model.found, *model.file)) can.emplace_back("vision");
  return can;
}

Result<api::ModelDetails> describe(TextModels& models, const std::string& name, bool verbose) {
  ASSIGN_OR_RETURN(const auto model, models.get(name));
  const fleet::ModelFacts facts = fleet::facts_of(*model->file);
  api::ModelDetails details;
  details.summary = summarize(model->found, facts, model->file->file_bytes());
  details.summary.capabilities = capabilities_of(*model);
  details.path = model->found.model;
  details.go_template = model->found.template_text;
  details.template_text = model->chat->template_text();
  details.system = model->found.system;
  details.parameters = model->found.parameters;
  for (const store::Message& message : model->found.messages)
    details.messages.emplace_back(message.role, message.content);
  details.metadata = metadata_json(*model->file, facts.parameters, verbose);
  details.tensors = tensors_json(*model->file);
  return details;
}

}  // namespace hearth::serve
