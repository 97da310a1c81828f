#include "api/models_list.h"

#include <algorithm>

#include "api/json.h"
#include "api/reply.h"
#include "base/text.h"

namespace hearth::api {
namespace {

namespace json = boost::json;

constexpr std::string_view kDefault_tag = ":latest";

json::object supported(bool is) {
  return {{"supported", is}};
}

json::object capabilities(const ModelSummary& model) {
  const auto has = [&](const char* what) {
    return std::ranges::find(model.capabilities, what) != model.capabilities.end();
  };
  const bool thinks = has("thinking");
  return {{"batch", supported(false)},
          {"citations", supported(false)},
          {"code_execution", supported(false)},
          {"image_input", supported(has("vision"))},
          {"pdf_input", supported(false)},
          {"structured_outputs", supported(true)},
          {"thinking",
           json::object{{"supported", thinks},
                        {"types", json::object{{"adaptive", supported(thinks)}, {"enabled", supported(thinks)}}}}}};
}

std::string owner(const std::string& name) {
  const size_t slash = name.rfind('/');
  if (slash == std::string::npos) return "library";
  const size_t before = name.rfind('/', slash - 1);
  return name.substr(before == std::string::npos ? 0 : before + 1,
                     slash - (before == std::string::npos ? 0 : before + 1));
}

}  // namespace

json::object model_entry(const ModelSummary& model, const std::string& id) {
  return {{"id", id},
          {"object", "model"},
          {"created", model.modified},
          {"owned_by", owner(model.name)},
          {"type", "model"},
          {"display_name", model.name},
          {"created_at", rfc3339(model.modified)},
          {"max_model_len", model.served_context},
          {"max_input_tokens", model.served_context},
          {"max_tokens", model.served_context},
          {"capabilities", capabilities(model)},
          {"meta", json::object{{"n_ctx", model.served_context},
                                {"n_ctx_train", model.context},
                                {"n_embd", model.width},
                                {"size", model.bytes},
                                {"architecture", model.architecture},
                                {"quantization", model.quantization}}}};
}

json::object models_list(const std::vector<ModelSummary>& models, const Page& page) {
  size_t first = 0, last = models.size();
  for (size_t i = 0; i < models.size(); ++i) {
    if (models[i].name == page.after) first = i + 1;
    if (models[i].name == page.before) last = i;
  }
  first = std::min(first, last);
  const size_t count = std::min(last - first, page.limit.value_or(models.size()));
  // What is before an id is read towards the front.
  if (!page.before.empty() && page.after.empty()) first = last - count;
  json::array data;
  for (size_t i = first; i < first + count; ++i) data.push_back(model_entry(models[i], models[i].name));
  const auto id_at = [&](size_t i) { return count == 0 ? json::value(nullptr) : json::value(models[i].name); };
  const bool more = !page.before.empty() && page.after.empty() ? first > 0 : first + count < last;
  return {{"object", "list"},         {"data", std::move(data)},
          {"models", json::array()},  {"has_more", more},
          {"first_id", id_at(first)}, {"last_id", count == 0 ? json::value(nullptr) : id_at(first + count - 1)}};
}

const ModelSummary* find_model(const std::vector<ModelSummary>& models, const std::string& name) {
  for (const std::string& wanted : {name, name + std::string(kDefault_tag)}) {
    for (const ModelSummary& model : models)
      if (same_ignoring_case(model.name, wanted)) return &model;
  }
  return nullptr;
}

std::string models_here(const Service& service) {
  constexpr size_t kMost = 20;
  std::vector<std::string> names;
  if (service.list) {
    const auto models = service.list();
    for (size_t i = 0; models && i < std::min(kMost, models->size()); ++i) names.push_back((*models)[i].name);
  }
  if (names.empty()) return "there is no model here";
  return fmt::format("the models here: {}", fmt::join(names, ", "));
}

Service naming_models(std::shared_ptr<const Service> service) {
  Service naming = *service;
  naming.answer = [service](AnswerRequest request, AnswerSink sink) {
    return service->answer(std::move(request), [service, sink = std::move(sink)](const AnswerEvent& event) {
      if (!event.end || !event.end->error || event.end->error->kind != ErrorKind::kNotFound) return sink(event);
      AnswerEvent with_names = event;
      with_names.end->error->message = models_here(*service);
      sink(with_names);
    });
  };
  return naming;
}

void substitute(const Service& service, std::string& model, std::vector<std::string>& warnings) {
  if (!service.substitute) return;
  const auto other = service.substitute(model);
  if (!other) return;
  warnings.push_back(fmt::format("model={} answers", *other));
  model = *other;
}

}  // namespace hearth::api
