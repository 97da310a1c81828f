#include "api/ollama/manage.h"

#include <boost/json.hpp>
#include <limits>

#include "api/deliver.h"
#include "api/ollama/create.h"
#include "api/ollama/decode.h"
#include "api/ollama/encode.h"
#include "api/ollama/transfer.h"
#include "api/reply.h"
#include "base/error.h"
#include "base/log.h"

namespace hearth::api::ollama {

void refuse_unoffered(const Call& call) {
  call.exchange->send(problem(501, fmt::format("{} is not offered by this server yet", call.request.head.path)));
}

namespace {

namespace json = boost::json;
using ServicePtr = std::shared_ptr<const Service>;

// The object of a request, and its model's name. Answers itself where there is none.
struct Named {
  json::value body;
  std::string model;
};
std::optional<Named> read_named(const Call& call) {
  Result<json::value> body = read_object(call.request.body.text());
  if (!body) {
    call.exchange->send(problem(400, body.error().message));
    return std::nullopt;
  }
  Named named{std::move(body).value(), {}};
  const auto model = decode_model(Fields(named.body.get_object(), ""));
  if (!model) {
    call.exchange->send(problem(400, model.error().message));
    return std::nullopt;
  }
  named.model = *model;
  return named;
}

// A page for people, which "hearth show" asks for: not Ollama's.
void show_page(const Service& service, const Call& call, const std::string& model, const json::object& wanted) {
  if (!service.page) return refuse_unoffered(call);
  const Fields fields(wanted, "page.");
  const auto context = fields.integer("context", 0, 1 << 30);
  const auto kv_type = fields.text("kv_type");
  const auto tensors = fields.boolean("tensors");
  const Error* wrong = !context   ? &context.error()
                       : !kv_type ? &kv_type.error()
                       : !tensors ? &tensors.error()
                                  : nullptr;
  if (wrong != nullptr) return call.exchange->send(problem(400, wrong->message));
  const std::string type = kv_type->value_or("f16");
  if (type != "f16" && type != "q8_0" && type != "f32")
    return call.exchange->send(problem(400, "page.kv_type is f16, q8_0 or f32"));
  const auto page = service.page({model, static_cast<uint32_t>(context->value_or(0)), type, tensors->value_or(false)});
  if (!page) return call.exchange->send(failure(page.error(), model));
  call.exchange->send(json_response(json::serialize(json::object{{"page", *page}})));
}

void show(const Service& service, const Call& call) {
  if (!service.show) return refuse_unoffered(call);
  const auto named = read_named(call);
  if (!named) return;
  if (named->model.empty()) return call.exchange->send(problem(400, "model is required"));
  if (is_cloud(named->model))
    return call.exchange->send(problem(403, "ollama cloud is disabled: remote model details are unavailable"));
  const Fields fields(named->body.get_object(), "");
  const auto page = fields.object("page");
  if (!page) return call.exchange->send(problem(400, page.error().message));
  if (*page != nullptr) return show_page(service, call, named->model, **page);
  const auto verbose = fields.boolean("verbose");
  if (!verbose) return call.exchange->send(problem(400, verbose.error().message));
  auto details = service.show(named->model, verbose->value_or(false));
  if (!details) {
    const bool tagged = named->model.find(':') != std::string::npos;
    return call.exchange->send(failure(details.error(), named->model + (tagged ? "" : ":latest")));
  }
  // Its users see the name that they chose.
  const std::string_view agent = call.request.head.headers.get("User-Agent");
  std::string reply = details_reply(*details);
  if (agent.starts_with("GitHubCopilotChat/")) {
    json::object object = json::parse(reply).as_object();
    object["model_info"].as_object()["general.basename"] = named->model;
    reply = json::serialize(object);
  }
  call.exchange->send(json_response(reply));
}

void copy(const Service& service, const Call& call) {
  if (!service.copy) return refuse_unoffered(call);
  const auto named = read_named(call);
  if (!named) return;
  const Fields fields(named->body.get_object(), "");
  const auto source = fields.text("source"), destination = fields.text("destination");
  for (const auto* text : {&source, &destination})
    if (!*text) return call.exchange->send(problem(400, text->error().message));
  const Status done = service.copy(source->value_or(""), destination->value_or(""));
  if (done) return call.exchange->send({{.status = 200}, ""});
  const unsigned status = done.error().kind == ErrorKind::kUsage      ? 400
                          : done.error().kind == ErrorKind::kNotFound ? 404
                                                                      : 500;
  call.exchange->send(problem(status, done.error().message));
}

void remove(const Service& service, const Call& call) {
  if (!service.remove) return refuse_unoffered(call);
  const auto named = read_named(call);
  if (!named) return;
  const Status done = service.remove(named->model);
  if (done) return call.exchange->send({{.status = 200}, ""});
  const unsigned status = done.error().kind == ErrorKind::kUsage      ? 400
                          : done.error().kind == ErrorKind::kNotFound ? 404
                                                                      : 500;
  call.exchange->send(problem(status, done.error().message));
}

void has_blob(const Service& service, const Call& call) {
  if (!service.has_blob) return refuse_unoffered(call);
  const auto there = service.has_blob(call.rest);
  if (!there) return call.exchange->send(problem(400, there.error().message));
  call.exchange->send({{.status = *there ? 200u : 404u}, ""});
}

std::variant<std::shared_ptr<http::BodySink>, http::Response> begin_blob(const Service& service,
                                                                         const http::RequestHead& head,
                                                                         const std::string& digest) {
  if (!service.put_blob) return std::shared_ptr<http::BodySink>();
  auto sink = service.put_blob(digest, head.content_length);
  if (!sink) return problem(status_of(sink.error().kind), sink.error().message);
  return std::shared_ptr<http::BodySink>(std::move(sink).value());
}

void put_blob(const Service& service, const Call& call) {
  if (!service.put_blob) return refuse_unoffered(call);
  const auto fresh = std::static_pointer_cast<BlobSink>(call.request.body.sink())->finish();
  if (!fresh) return call.exchange->send(problem(status_of(fresh.error().kind), fresh.error().message));
  call.exchange->send({{.status = *fresh ? 201u : 200u}, ""});
}

// --- embeddings

// The name in quotes and the advice that clients of embeddings know.
http::Response embed_failure(const Error& error, const std::string& model) {
  if (error.kind == ErrorKind::kNotFound)
    return problem(
        404, model.empty() ? "model '' not found" : fmt::format("model \"{}\" not found, try pulling it first", model));
  if (error.kind == ErrorKind::kTooLong) return problem(400, "the input length exceeds the context length");
  return failure(error, model);
}

struct EmbedAsk {
  EmbedRequest request;
  std::vector<std::string> warnings;  // what was ignored
};

Status decode_embed_common(const Fields& fields, EmbedAsk& ask) {
  EmbedRequest& request = ask.request;
  ASSIGN_OR_RETURN(request.model, decode_model(fields));
  if (const json::value* value = fields.find("keep_alive")) {
    ASSIGN_OR_RETURN(request.keep_alive, decode_keep_alive(*value));
  }
  AnswerRequest answer;
  TRY(decode_options(fields, answer, ask.warnings));
  warn_unknown(fields, {"model", "name", "input", "prompt", "truncate", "dimensions", "keep_alive", "options"},
               ask.warnings);
  request.load = answer.load;
  return {};
}

Result<EmbedAsk> decode_embed(const Fields& fields) {
  EmbedAsk ask;
  EmbedRequest& request = ask.request;
  TRY(decode_embed_common(fields, ask));
  ASSIGN_OR_RETURN(const auto truncate, fields.boolean("truncate"));
  request.truncate = truncate.value_or(true);
  ASSIGN_OR_RETURN(const auto dimensions, fields.integer("dimensions", 0, INT32_MAX));
  request.dimensions = static_cast<uint32_t>(dimensions.value_or(0));
  const json::value* input = fields.find("input");
  if (input == nullptr) return ask;
  if (input->is_string()) {
    if (!input->get_string().empty()) request.inputs.emplace_back(input->get_string());
    return ask;
  }
  if (!input->is_array()) return error(ErrorKind::kUsage, "invalid input type");
  for (const json::value& text : input->get_array()) {
    if (!text.is_string()) return error(ErrorKind::kUsage, "invalid input type");
    request.inputs.emplace_back(text.get_string());
  }
  return ask;
}

json::array vector_json(const std::vector<float>& vector) {
  return json::array(vector.begin(), vector.end());
}

// Hands the request over; `reply` makes the answer.
void run_embed(const Service& service, const Call& call, EmbedAsk ask,
               std::function<json::object(const Embeddings&)> reply) {
  EmbedRequest& request = ask.request;
  const std::string model = request.model;
  request.caller = call.caller;
  const auto slot = std::make_shared<CancelSlot>();
  call.exchange->on_gone([slot] { slot->fire(); });
  slot->set(service.embed(std::move(request), [model, reply = std::move(reply), warnings = std::move(ask.warnings),
                                               exchange = call.exchange](const Result<Embeddings>& result) {
    if (!result) return exchange->send(embed_failure(result.error(), model));
    http::Response response = json_response(json::serialize(reply(*result)));
    tell(warnings, response.head);
    exchange->send(std::move(response));
  }));
}

// Nothing to embed only loads the model.
void load_only(const Service& service, const Call& call, const EmbedRequest& request, const json::object& reply) {
  const auto slot = std::make_shared<CancelSlot>();
  call.exchange->on_gone([slot] { slot->fire(); });
  slot->set(service.load({request.model, request.load, request.keep_alive, call.caller},
                         [exchange = call.exchange, reply, model = request.model](const Status& status) {
                           exchange->send(status ? json_response(json::serialize(reply))
                                                 : embed_failure(status.error(), model));
                         }));
}

void embed(const Service& service, const Call& call) {
  if (!service.embed || !service.load) return refuse_unoffered(call);
  const auto named = read_named(call);
  if (!named) return;
  Result<EmbedAsk> ask = decode_embed(Fields(named->body.get_object(), ""));
  if (!ask) return call.exchange->send(problem(400, ask.error().message));
  const EmbedRequest* request = &ask->request;
  if (request->model.empty()) return call.exchange->send(problem(404, "model '' not found"));
  const std::string model = request->model;
  if (request->inputs.empty())
    return load_only(service, call, *request, {{"model", model}, {"embeddings", json::array()}});
  run_embed(service, call, std::move(ask).value(), [model](const Embeddings& result) {
    json::array vectors;
    for (const auto& vector : result.vectors) vectors.push_back(vector_json(vector));
    return json::object{{"model", model},
                        {"embeddings", std::move(vectors)},
                        {"total_duration", result.usage.total.count()},
                        {"load_duration", result.usage.load.count()},
                        {"prompt_eval_count", result.usage.prompt_tokens}};
  });
}

// The older one: one text, not normalised.
void embed_one(const Service& service, const Call& call) {
  if (!service.embed || !service.load) return refuse_unoffered(call);
  const auto named = read_named(call);
  if (!named) return;
  const Fields fields(named->body.get_object(), "");
  EmbedAsk ask;
  EmbedRequest& request = ask.request;
  if (const Status status = decode_embed_common(fields, ask); !status)
    return call.exchange->send(problem(400, status.error().message));
  if (request.model.empty()) return call.exchange->send(problem(400, "model is required"));
  const auto prompt = fields.text("prompt");
  if (!prompt) return call.exchange->send(problem(400, prompt.error().message));
  request.truncate = false;
  request.normalised = false;
  if (prompt->value_or("").empty()) return load_only(service, call, request, {{"embedding", json::array()}});
  request.inputs = {**prompt};
  run_embed(service, call, std::move(ask), [](const Embeddings& result) {
    return json::object{{"embedding", vector_json(result.vectors.front())}};
  });
}

std::string parameter_lines(const ModelDetails& model) {
  std::string text;
  for (const auto& [name, value] : model.parameters) {
    const std::string shown = name == "stop" ? fmt::format("\"{}\"", value) : value;
    text += fmt::format("{}{:<30} {}", text.empty() ? "" : "\n", name, shown);
  }
  return text;
}

// As Modelfiles quote texts of several lines.
std::string quoted(const std::string& text) {
  const bool plain = text.find('\n') == std::string::npos && text.find('"') == std::string::npos &&
                     (text.empty() || (text.front() != ' ' && text.back() != ' '));
  if (plain) return text;
  return text.find('"') == std::string::npos ? fmt::format("\"{}\"", text) : fmt::format("\"\"\"{}\"\"\"", text);
}

std::string modelfile(const ModelDetails& model) {
  std::string text = fmt::format(
      "# Modelfile generated by \"hearth show\"\n# To build a new one based on this, replace FROM with:\n"
      "# FROM {}\n\nFROM {}\n",
      model.summary.name, model.path);
  if (!model.go_template.empty()) text += fmt::format("TEMPLATE {}\n", quoted(model.go_template));
  if (!model.system.empty()) text += fmt::format("SYSTEM {}\n", quoted(model.system));
  for (const auto& [name, value] : model.parameters) text += fmt::format("PARAMETER {} {}\n", name, quoted(value));
  for (const auto& [role, content] : model.messages) text += fmt::format("MESSAGE {} {}\n", role, quoted(content));
  return text;
}

}  // namespace

std::string details_reply(const ModelDetails& model) {
  json::object object;
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) object[name] = text;
  };
  add("modelfile", modelfile(model));
  add("parameters", parameter_lines(model));
  add("template", model.template_text);
  add("system", model.system);
  object["details"] = details_json(model.summary);
  if (!model.messages.empty()) {
    json::array messages;
    for (const auto& [role, content] : model.messages)
      messages.push_back(json::object{{"role", role}, {"content", content}});
    object["messages"] = std::move(messages);
  }
  object["model_info"] = json::parse(model.metadata);
  object["tensors"] = json::parse(model.tensors);
  object["capabilities"] = json::array(model.summary.capabilities.begin(), model.summary.capabilities.end());
  object["modified_at"] = rfc3339(model.summary.modified);
  return json::serialize(object);
}

void add_model_routes(Router& router, ServicePtr service) {
  const auto add = [&](const char* method, const char* path, auto run) {
    router.add({method, path, [service, run](const Call& call) { run(*service, call); }});
  };
  add("POST", "/api/show", show);
  add("POST", "/api/copy", copy);
  add("DELETE", "/api/delete", remove);
  add("POST", "/api/embed", embed);
  add("POST", "/api/embeddings", embed_one);
  add("GET", "/api/blobs/*", has_blob);
  router.add({.method = "POST",
              .path = "/api/blobs/*",
              .run = [service](const Call& call) { put_blob(*service, call); },
              .most_body_bytes = std::numeric_limits<uint64_t>::max(),
              .body_sink = [service](const http::RequestHead& head,
                                     const std::string& rest) { return begin_blob(*service, head, rest); }});
  add("POST", "/api/create", create);
  add_transfer_routes(router, service);
  // What stands behind these is Ollama's cloud.
  add("POST", "/api/me", [](const Service&, const Call& call) { call.exchange->send(problem(401, "unauthorized")); });
  add("POST", "/api/signout",
      [](const Service&, const Call& call) { call.exchange->send(problem(401, "you are not currently signed in")); });
  add("POST", "/api/experimental/web_search", [](const Service&, const Call& call) {
    call.exchange->send(problem(403, "ollama cloud is disabled: web search is unavailable"));
  });
  add("POST", "/api/experimental/web_fetch", [](const Service&, const Call& call) {
    call.exchange->send(problem(403, "ollama cloud is disabled: web fetch is unavailable"));
  });
  add("GET", "/api/experimental/model-recommendations",
      [](const Service&, const Call& call) { call.exchange->send(json_response(R"({"recommendations":[]})")); });
}

}  // namespace hearth::api::ollama
