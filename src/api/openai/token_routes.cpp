// What vLLM and llama.cpp have beside OpenAI's API: texts as tokens and back, and prompts as a model gets them.
#include <boost/json.hpp>

#include "api/models_list.h"
#include "api/openai/ask.h"
#include "api/openai/encode.h"
#include "api/openai/routes.h"
#include "api/reply.h"
#include "base/error.h"
#include "text/utf8_stream.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;
using ServicePtr = std::shared_ptr<const Service>;

void send_error(const Service& service, const Call& call, const Error& error, const std::string& model) {
  AnswerEnd end;
  end.error = error;
  if (error.kind == ErrorKind::kNotFound) end.error->message = models_here(service);
  call.exchange->send(failure(end, model, "prompt"));
}

std::string readable(const std::string& bytes) {
  text::Utf8Stream utf8;
  std::string text = utf8.feed(bytes);
  return text + utf8.finish();
}

// The model of a request; where it names none, as llama.cpp's do, the one that is loaded, or the newest.
Result<std::string> model_of(const Service& service, const Fields& fields) {
  ASSIGN_OR_RETURN(const auto model, fields.text("model"));
  if (model && !model->empty()) return *model;
  if (service.running) {
    if (const auto running = service.running(); !running.empty()) return running.front().summary.name;
  }
  const auto models = service.list ? service.list() : Result<std::vector<ModelSummary>>(std::vector<ModelSummary>());
  if (models && !models->empty()) return models->front().name;
  return fields.refuse("model", "missing_required_parameter", "you must provide a model parameter");
}

struct Request {
  json::value body;
  std::string model;
};
std::optional<Request> read(const Service& service, const Call& call) {
  Blame blame;
  Result<json::value> body = read_object(call.request.body.text());
  if (!body) {
    call.exchange->send(problem(400, body.error().message));
    return std::nullopt;
  }
  Request request{std::move(body).value(), {}};
  Result<std::string> model = model_of(service, Fields(request.body.get_object(), "", &blame));
  if (!model) {
    call.exchange->send(problem(400, model.error().message, blame.path, blame.code));
    return std::nullopt;
  }
  request.model = std::move(model).value();
  return request;
}

// The prompt of a conversation, by the decoder of chat completions.
Result<PromptView> rendered(const Service& service, const json::object& body, const std::string& model, Blame* blame) {
  json::object with_model = body;
  with_model["model"] = model;
  ASSIGN_OR_RETURN(const Ask ask, decode_chat(json::serialize(with_model), blame));
  return service.render(ask.requests.front());
}

// vLLM's form: {"model", "prompt"} or {"model", "messages"}.
void tokenize_prompt(const Service& service, const Call& call, const Request& request, const Fields& fields) {
  std::vector<TokenView> tokens;
  if (fields.find("messages") != nullptr) {
    Blame blame;
    const auto prompt = rendered(service, fields.all(), request.model, &blame);
    if (!prompt && !blame.path.empty())
      return call.exchange->send(problem(400, prompt.error().message, blame.path, blame.code));
    if (!prompt) return send_error(service, call, prompt.error(), request.model);
    for (const int32_t id : prompt->tokens) {
      const auto piece = service.detokenize(request.model, {id});
      tokens.push_back({id, piece ? *piece : ""});
    }
  } else {
    const auto prompt = fields.text("prompt");
    if (!prompt) return call.exchange->send(problem(400, prompt.error().message, "prompt", "invalid_type"));
    const auto special = fields.boolean("add_special_tokens");
    auto found = service.tokenize({request.model, prompt->value_or(""), special ? special->value_or(true) : true, true});
    if (!found) return send_error(service, call, found.error(), request.model);
    tokens = std::move(found).value();
  }
  json::array ids, texts;
  for (const TokenView& token : tokens) {
    ids.push_back(token.id);
    texts.push_back(json::string(readable(token.text)));
  }
  call.exchange->send(json_reply(200, json::object{{"count", tokens.size()},
                                                   {"max_model_len", service.context_tokens(request.model)},
                                                   {"tokens", std::move(ids)},
                                                   {"token_strs", std::move(texts)}}));
}

// llama.cpp's form: {"content"}.
void tokenize_content(const Service& service, const Call& call, const Request& request, const Fields& fields) {
  const auto content = fields.text("content");
  if (!content) return call.exchange->send(problem(400, content.error().message, "content", "invalid_type"));
  const auto flag = [&](const char* name, bool otherwise) {
    const auto value = fields.boolean(name);
    return value ? value->value_or(otherwise) : otherwise;
  };
  const auto tokens = service.tokenize(
      {request.model, content->value_or(""), flag("add_special", false), flag("parse_special", true)});
  if (!tokens) return send_error(service, call, tokens.error(), request.model);
  json::array list;
  for (const TokenView& token : *tokens) {
    if (flag("with_pieces", false))
      list.push_back(json::object{{"id", token.id}, {"piece", readable(token.text)}});
    else
      list.push_back(token.id);
  }
  call.exchange->send(json_reply(200, json::object{{"tokens", std::move(list)}}));
}

void tokenize(const Service& service, const Call& call) {
  const auto request = read(service, call);
  if (!request) return;
  const Fields fields(request->body.get_object(), "");
  if (fields.find("content") != nullptr) return tokenize_content(service, call, *request, fields);
  if (fields.find("prompt") != nullptr || fields.find("messages") != nullptr)
    return tokenize_prompt(service, call, *request, fields);
  call.exchange->send(problem(400, "content, prompt or messages must be given", "content", "missing_required_parameter"));
}

void detokenize(const Service& service, const Call& call) {
  const auto request = read(service, call);
  if (!request) return;
  const Fields fields(request->body.get_object(), "");
  const auto list = fields.array("tokens");
  if (!list || *list == nullptr)
    return call.exchange->send(problem(400, "tokens must be a list of ids", "tokens", "invalid_type"));
  std::vector<int32_t> tokens;
  for (const json::value& value : **list) {
    const auto id = to_integer(value);
    if (!id || *id < 0 || *id > INT32_MAX)
      return call.exchange->send(problem(400, "tokens must be a list of ids", "tokens", "invalid_type"));
    tokens.push_back(static_cast<int32_t>(*id));
  }
  const auto text = service.detokenize(request->model, tokens);
  if (!text) return send_error(service, call, text.error(), request->model);
  // Both servers' names.
  call.exchange->send(json_reply(200, json::object{{"content", readable(*text)}, {"prompt", readable(*text)}}));
}

void apply_template(const Service& service, const Call& call) {
  const auto request = read(service, call);
  if (!request) return;
  Blame blame;
  const auto prompt = rendered(service, request->body.get_object(), request->model, &blame);
  if (!prompt && !blame.path.empty())
    return call.exchange->send(problem(400, prompt.error().message, blame.path, blame.code));
  if (!prompt) return send_error(service, call, prompt.error(), request->model);
  call.exchange->send(json_reply(200, json::object{{"prompt", prompt->text}}));
}

}  // namespace

void add_token_routes(Router& router, ServicePtr service) {
  const auto add = [&](const std::string& path, auto run) {
    for (const char* prefix : {"", "/v1"})
      router.add({.method = "POST", .path = prefix + path, .run = [service, run](const Call& call) {
                    if (!service->render || !service->tokenize || !service->detokenize)
                      return call.exchange->send(problem(501, "tokens are not shown by this server"));
                    run(*service, call);
                  }});
  };
  add("/tokenize", tokenize);
  add("/detokenize", detokenize);
  add("/apply-template", apply_template);
  router.add({.method = "GET", .path = "/version", .run = [service](const Call& call) {
                call.exchange->send(json_reply(200, json::object{{"version", service->version}}));
              }});
  router.add({.method = "GET", .path = "/ping", .run = [](const Call& call) { call.exchange->send({{.status = 200}, ""}); }});
}

}  // namespace hearth::api::openai
