#include "api/anthropic/routes.h"

#include <boost/json.hpp>

#include "api/anthropic/encode.h"
#include "api/models_list.h"
#include "api/reply.h"
#include "api/v1.h"
#include "base/error.h"
#include "base/log.h"

namespace hearth::api::anthropic {
namespace {

namespace json = boost::json;
using ServicePtr = std::shared_ptr<const Service>;

http::Response refusal(const http::RequestHead& head, const Error& error, const Blame& blame) {
  std::string message = error.message;
  // "max_tokens must be an integer" in the words of this API.
  if (!blame.path.empty() && message.starts_with(blame.path + " "))
    message = blame.path + ": " + message.substr(blame.path.size() + 1);
  http::Response response = problem(head, 400, message);
  if (blame.code != kThread_code) return response;
  json::object body = json::parse(response.body).as_object();
  body["error"].as_object()["details"] = json::object{{"error_code", kThread_code}, {"unsupported", json::array{"thread"}}};
  response.body = json::serialize(body);
  return response;
}

void refuse_unoffered(const Call& call) {
  call.exchange->send(
      problem(call.request.head, 501, fmt::format("{} is not offered by this server yet", call.request.head.path)));
}

std::optional<Ask> decode(const Service& service, const Call& call, bool counts_only) {
  Blame blame;
  Result<Ask> ask = decode_messages(call.request.body.text(), counts_only, &blame);
  if (!ask) {
    call.exchange->send(refusal(call.request.head, ask.error(), blame));
    return std::nullopt;
  }
  substitute(service, ask->request.model, ask->warnings);
  ask->request.caller = call.caller.with_user(ask->request.caller.user);
  return std::move(ask).value();
}

void answer(const ServicePtr& service, const Call& call) {
  std::optional<Ask> ask = decode(*service, call, false);
  if (!ask) return;
  if (!service->answer) return refuse_unoffered(call);
  const auto writer = make_writer({.form = std::move(ask->form),
                                   .head = call.request.head,
                                   .ping_interval = service->ping_interval,
                                   .warnings = std::move(ask->warnings)});
  deliver(naming_models(service), {std::move(ask->request)}, call.exchange, writer, ask->stream);
}

void count(const ServicePtr& service, const Call& call) {
  std::optional<Ask> ask = decode(*service, call, true);
  if (!ask) return;
  if (!service->render) return refuse_unoffered(call);
  const Result<PromptView> prompt = service->render(ask->request);
  if (!prompt) {
    AnswerEnd end;
    end.error = prompt.error();
    if (prompt.error().kind == ErrorKind::kNotFound) end.error->message = models_here(*service);
    return call.exchange->send(failure(call.request.head, end, ask->form.model));
  }
  json::object body{{"input_tokens", prompt->tokens.size()}};
  if (ask->form.edits_context) body["context_management"] = json::object{{"original_input_tokens", prompt->tokens.size()}};
  http::Response response = json_reply(200, body);
  tell(ask->warnings, response.head);
  call.exchange->send(std::move(response));
}

}  // namespace

void add_routes(Router& router, ServicePtr service) {
  router.add_problems({.speaks =
                           [](const http::RequestHead& head) {
                             return head.headers.find("anthropic-version") != nullptr || is_v1(head.path, "/messages") ||
                                    head.path.starts_with("/api/event_logging/");
                           },
                       .problem =
                           [](const http::RequestHead& head, unsigned status, const std::string& message) {
                             if (status == 404 && message == kNo_route)
                               return problem(head, 404, fmt::format("{} is not here", head.path));
                             return problem(head, status, message);
                           }});
  add_v1(router, "POST", "/messages", [service](const Call& call) { answer(service, call); });
  add_v1(router, "POST", "/messages/count_tokens", [service](const Call& call) { count(service, call); });
  for (const char* method : {"GET", "POST", "DELETE"}) {
    add_v1(router, method, "/messages/batches", refuse_unoffered);
    add_v1(router, method, "/messages/batches/*", refuse_unoffered);
  }
  // Claude Code looks whether somebody is there, and reports what it did; nobody keeps that here.
  router.add({.method = "GET", .path = "/api/hello", .run = [](const Call& call) {
                call.exchange->send(json_reply(200, json::object{{"message", "hello"}}));
              }});
  for (const char* path : {"/api/event_logging/batch", "/api/event_logging/v2/batch"})
    router.add({.method = "POST", .path = path, .run = [](const Call& call) {
                  call.exchange->send({{.status = 204}, ""});
                }});
}

}  // namespace hearth::api::anthropic
