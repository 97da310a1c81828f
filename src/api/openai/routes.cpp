#include "api/openai/routes.h"

#include <boost/json.hpp>
#include <charconv>

#include "api/models_list.h"
#include "api/openai/ask.h"
#include "api/openai/embeddings.h"
#include "api/openai/encode.h"
#include "api/reply.h"
#include "api/v1.h"
#include "base/error.h"
#include "http/target.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

// What OpenAI has and nobody here: never a success that is none.
constexpr const char* kNot_offered[] = {"/moderations",   "/images",       "/videos",  "/audio",
                                        "/fine_tuning",   "/assistants",   "/threads", "/vector_stores",
                                        "/conversations", "/realtime",     "/evals",   "/containers",
                                        "/uploads",       "/organization", "/files",   "/batches"};

void refuse_route(const Call& call) {
  call.exchange->send(problem(501, fmt::format("{} is not offered by this server", call.request.head.path)));
}

http::Response refusal(const Error& error, const Blame& blame) {
  return problem(400, error.message, blame.path, blame.code);
}

using Decode = Result<Ask> (*)(std::string_view body, Blame* blame);
using MakeWriter = std::shared_ptr<AnswerWriter> (*)(WriterContext context, bool logprobs);

void answer(const std::shared_ptr<const Service>& service, const Call& call, Decode decode, MakeWriter make_writer) {
  Blame blame;
  Result<Ask> ask = decode(call.request.body.text(), &blame);
  if (!ask) return call.exchange->send(refusal(ask.error(), blame));
  if (!service->answer) return refuse_route(call);
  for (AnswerRequest& request : ask->requests) {
    request.caller = call.caller.with_user(request.caller.user);
    std::vector<std::string> once;
    substitute(*service, request.model, &request == &ask->requests.front() ? ask->warnings : once);
  }
  const bool logprobs = ask->requests.front().settings.logprobs.has_value();
  const auto writer = make_writer({.form = std::move(ask->form),
                                   .include_usage = ask->include_usage,
                                   .version = service->version,
                                   .ping_interval = service->ping_interval,
                                   .warnings = std::move(ask->warnings)},
                                  logprobs);
  deliver(naming_models(service), std::move(ask->requests), call.exchange, writer, ask->stream);
}

// Anthropic's clients say which part of the list they want; others get all.
Page page_of(const std::string& query) {
  Page page;
  if (const auto limit = http::query_value(query, "limit")) {
    size_t value = 0;
    std::from_chars(limit->data(), limit->data() + limit->size(), value);
    if (value > 0) page.limit = value;
  }
  page.after = http::query_value(query, "after_id").value_or("");
  page.before = http::query_value(query, "before_id").value_or("");
  return page;
}

void list_models(const Service& service, const Call& call, const Router& router) {
  if (!service.list) return refuse_route(call);
  const auto models = service.list();
  if (!models) return call.exchange->send(router.problem(call.request.head, 500, models.error().message));
  call.exchange->send(json_reply(200, models_list(*models, page_of(call.request.head.query))));
}

void show_model(const Service& service, const Call& call, const Router& router) {
  if (!service.list) return refuse_route(call);
  const auto models = service.list();
  if (!models) return call.exchange->send(router.problem(call.request.head, 500, models.error().message));
  const ModelSummary* model = find_model(*models, call.rest);
  if (model != nullptr) return call.exchange->send(json_reply(200, model_entry(*model, call.rest)));
  const std::string words = fmt::format("The model '{}' does not exist here; {}", call.rest, models_here(service));
  if (call.request.head.headers.find("anthropic-version") != nullptr)
    return call.exchange->send(router.problem(call.request.head, 404, words));
  call.exchange->send(problem(404, words, "model", "model_not_found"));
}

}  // namespace

void add_routes(Router& router, std::shared_ptr<const Service> service) {
  router.add_problems(
      {.speaks =
           [](const http::RequestHead& head) {
             for (const char* path : {"/chat/", "/completions", "/embeddings", "/responses", "/models", "/rerank"})
               if (is_v1(head.path, path)) return true;
             return head.path.starts_with("/v1/");
           },
       .problem =
           [](const http::RequestHead& head, unsigned status, const std::string& message) {
             if (status == 404 && message == kNo_route)
               return problem(404, fmt::format("Unknown request URL: {} {}", head.method, head.path));
             return problem(status, message);
           }});
  add_v1(router, "POST", "/chat/completions",
         [service](const Call& call) { answer(service, call, decode_chat, make_chat_writer); });
  add_v1(router, "POST", "/completions",
         [service](const Call& call) { answer(service, call, decode_completion, make_completion_writer); });
  add_embedding_routes(router, service);
  add_rerank_routes(router, service);
  add_response_routes(router, service);
  add_token_routes(router, service);
  const Router* known = &router;  // a route lives in its router
  add_v1(router, "GET", "/models", [service, known](const Call& call) { list_models(*service, call, *known); });
  add_v1(router, "GET", "/models/*", [service, known](const Call& call) { show_model(*service, call, *known); });
  for (const std::string path : kNot_offered) {
    for (const char* method : {"GET", "POST", "DELETE"}) {
      router.add({.method = method, .path = "/v1" + path, .run = refuse_route, .also_with_slash = true});
      router.add({.method = method, .path = "/v1" + path + "/*", .run = refuse_route});
    }
  }
}

}  // namespace hearth::api::openai
