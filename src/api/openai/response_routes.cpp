// The routes of responses: made, fetched, counted and removed.
#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "api/models_list.h"
#include "api/openai/encode.h"
#include "api/openai/response_writer.h"
#include "api/openai/routes.h"
#include "api/reply.h"
#include "api/v1.h"
#include "base/error.h"
#include "http/target.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;
using ServicePtr = std::shared_ptr<const Service>;
using StorePtr = std::shared_ptr<ResponseStore>;

std::optional<ResponseAsk> decode(const Call& call, const StorePtr& store) {
  Blame blame;
  auto ask = decode_response(
      call.request.body.text(), [&](const std::string& id) { return store->get(id, call.caller.user); }, &blame);
  if (ask) return std::move(ask).value();
  call.exchange->send(problem(400, ask.error().message, blame.path, blame.code));
  return std::nullopt;
}

void create(const ServicePtr& service, const StorePtr& store, const Call& call) {
  std::optional<ResponseAsk> ask = decode(call, store);
  if (!ask) return;
  if (!service->answer) return call.exchange->send(problem(501, "responses are not offered by this server"));
  ask->request.caller = call.caller.with_user(ask->request.caller.user);
  substitute(*service, ask->request.model, ask->form.warnings);
  const auto writer = make_response_writer({.form = std::move(ask->form),
                                            .ping_interval = service->ping_interval,
                                            .store = ask->stores ? store : nullptr,
                                            .owner = call.caller.user});
  deliver(naming_models(service), {std::move(ask->request)}, call.exchange, writer, ask->stream);
}

// The prompt's length, by a real render.
void send_count(const Service& service, const Call& call, const AnswerRequest& request, const char* prompt) {
  if (!service.render) return call.exchange->send(problem(501, "tokens are not counted by this server"));
  const Result<PromptView> view = service.render(request);
  if (view)
    return call.exchange->send(
        json_reply(200, json::object{{"object", "response.input_tokens"}, {"input_tokens", view->tokens.size()}}));
  AnswerEnd end;
  end.error = view.error();
  if (view.error().kind == ErrorKind::kNotFound) end.error->message = models_here(service);
  call.exchange->send(failure(end, request.model, prompt));
}

http::Response not_stored(const std::string& id) {
  return problem(404, fmt::format("Response with id '{}' not found.", id), "response_id", "response_not_found");
}

void fetch(const StorePtr& store, const Call& call) {
  const auto stored = store->get(call.rest, call.caller.user);
  if (!stored) return call.exchange->send(not_stored(call.rest));
  if (http::query_value(call.request.head.query, "stream") == "true")
    return call.exchange->send(problem(400, "only responses in the background can be streamed again", "stream"));
  call.exchange->send(json_reply(200, stored->response));
}

void remove(const StorePtr& store, const Call& call) {
  if (!store->remove(call.rest, call.caller.user)) return call.exchange->send(not_stored(call.rest));
  call.exchange->send(json_reply(200, json::object{{"id", call.rest}, {"object", "response"}, {"deleted", true}}));
}

void list_items(const StorePtr& store, const Call& call) {
  const auto stored = store->get(call.rest, call.caller.user);
  if (!stored) return call.exchange->send(not_stored(call.rest));
  const std::string& query = call.request.head.query;
  size_t limit = 20;
  if (const auto given = http::query_value(query, "limit")) {
    const auto [end, fault] = std::from_chars(given->data(), given->data() + given->size(), limit);
    if (fault != std::errc() || end != given->data() + given->size() || limit < 1 || limit > 100)
      return call.exchange->send(problem(400, "limit must be from 1 to 100", "limit", "invalid_value"));
  }
  std::vector<json::value> items;
  for (size_t i = stored->input_from; i < stored->context.size(); ++i) items.push_back(*stored->context[i]);
  if (http::query_value(query, "order") != "asc") std::ranges::reverse(items);
  const auto id_of = [](const json::value& item) { return item.at("id"); };
  size_t first = 0;
  if (const auto after = http::query_value(query, "after")) {
    const auto found =
        std::ranges::find_if(items, [&](const json::value& item) { return id_of(item) == json::string_view(*after); });
    first = found == items.end() ? items.size() : static_cast<size_t>(found - items.begin()) + 1;
  }
  const size_t last = std::min(items.size(), first + limit);
  json::array data(items.begin() + static_cast<ptrdiff_t>(first), items.begin() + static_cast<ptrdiff_t>(last));
  json::object body{{"object", "list"}};
  body["first_id"] = data.empty() ? json::value(nullptr) : id_of(data.front());
  body["last_id"] = data.empty() ? json::value(nullptr) : id_of(data.back());
  body["has_more"] = last < items.size();
  body["data"] = std::move(data);
  call.exchange->send(json_reply(200, body));
}

void refuse_cancel(const StorePtr& store, const Call& call) {
  if (!store->get(call.rest, call.caller.user)) return call.exchange->send(not_stored(call.rest));
  call.exchange->send(problem(400, "Only responses in the background can be cancelled.", "response_id"));
}

}  // namespace

void add_response_routes(Router& router, ServicePtr service) {
  const auto store = std::make_shared<ResponseStore>();
  add_v1(router, "POST", "/responses", [service, store](const Call& call) { create(service, store, call); });
  add_v1(router, "POST", "/responses/input_tokens", [service, store](const Call& call) {
    if (const auto ask = decode(call, store)) send_count(*service, call, ask->request, "input");
  });
  add_v1(router, "POST", "/chat/completions/input_tokens", [service](const Call& call) {
    Blame blame;
    const auto ask = decode_chat(call.request.body.text(), &blame);
    if (!ask) return call.exchange->send(problem(400, ask.error().message, blame.path, blame.code));
    send_count(*service, call, ask->requests.front(), "messages");
  });
  add_v1(router, "POST", "/responses/compact",
         [](const Call& call) { call.exchange->send(problem(501, "responses are not compacted by this server")); });
  add_v1(router, "GET", "/responses/*", [store](const Call& call) { fetch(store, call); });
  add_v1(router, "DELETE", "/responses/*", [store](const Call& call) { remove(store, call); });
  add_v1(router, "POST", "/responses/*/cancel", [store](const Call& call) { refuse_cancel(store, call); });
  add_v1(router, "GET", "/responses/*/input_items", [store](const Call& call) { list_items(store, call); });
}

}  // namespace hearth::api::openai
