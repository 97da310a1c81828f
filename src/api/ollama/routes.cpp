#include "api/ollama/routes.h"

#include <boost/json.hpp>

#include "api/ollama/decode.h"
#include "api/ollama/encode.h"
#include "api/ollama/manage.h"
#include "base/error.h"

namespace hearth::api::ollama {
namespace {

namespace json = boost::json;
using ServicePtr = std::shared_ptr<const Service>;

void load_or_unload(const Service& service, Form form, Ask ask, const Call& call) {
  const std::string model = ask.request.model;
  if (ask.unload ? !service.unload : !service.load) return refuse_unoffered(call);
  const auto reply = [form, model, exchange = call.exchange](std::string_view reason, const Status& status) {
    exchange->send(status ? json_response(load_reply(form, model, reason)) : failure(status.error(), model));
  };
  if (ask.unload) return reply("unload", service.unload(model));
  const auto slot = std::make_shared<CancelSlot>();
  call.exchange->on_gone([slot] { slot->fire(); });
  slot->set(service.load({model, ask.request.load, ask.request.keep_alive, call.caller},
                         [reply](const Status& status) { reply("load", status); }));
}

// The prompt, in place of an answer.
void render(const Service& service, const AnswerRequest& request, const Call& call) {
  if (!service.render) return refuse_unoffered(call);
  const Result<PromptView> prompt = service.render(request);
  if (!prompt) return call.exchange->send(failure(prompt.error(), request.model));
  const json::object info{{"rendered_template", prompt->text}, {"image_count", request.pictures.size()}};
  call.exchange->send(json_response(json::serialize(json::object{
      {"model", request.model}, {"created_at", timestamp(std::chrono::system_clock::now())}, {"_debug_info", info}})));
}

void answer(const Service& service, Form form, const Call& call) {
  Result<Ask> ask =
      form == Form::kChat ? decode_chat(call.request.body.text()) : decode_generate(call.request.body.text());
  if (!ask) return call.exchange->send(problem(400, ask.error().message));
  AnswerRequest& request = ask->request;
  if (request.model.empty()) return call.exchange->send(problem(404, "model '' not found"));
  if (is_cloud(request.model)) {
    return call.exchange->send(problem(403, "ollama cloud is disabled: remote model is unavailable"));
  }
  if (ask->load_only) return load_or_unload(service, form, std::move(ask).value(), call);
  if (!service.answer) return refuse_unoffered(call);
  request.caller = call.caller;
  if (ask->render_only) return render(service, request, call);
  const auto writer = make_writer(form, request.model, std::move(ask->warnings));
  deliver(service, {std::move(request)}, call.exchange, writer, ask->stream);
}

void list(const Service& service, const Call& call) {
  if (!service.list) return refuse_unoffered(call);
  const auto models = service.list();
  call.exchange->send(models ? json_response(tags(*models)) : failure(models.error(), ""));
}

}  // namespace

void add_routes(Router& router, ServicePtr service) {
  router.add_problems({.speaks = [](const http::RequestHead& head) { return head.path.starts_with("/api/"); },
                       .problem =
                           [](const http::RequestHead&, unsigned status, const std::string& message) {
                             // Of paths that are not served, as Ollama answers.
                             return status == 404 || status == 405 ? plain_text(status, message)
                                                                   : problem(status, message);
                           }});
  const auto add = [&](const char* method, const char* path, auto run) {
    router.add({method, path, [service, run](const Call& call) { run(*service, call); }});
  };
  add("GET", "/", [](const Service&, const Call& call) {
    call.exchange->send(
        {{.status = 200, .headers = {{"Content-Type", "text/plain; charset=utf-8"}}}, "Ollama is running"});
  });
  add("GET", "/api/version", [](const Service& s, const Call& call) {
    call.exchange->send(json_response(json::serialize(json::object{{"version", s.version}, {"server", "hearth"}})));
  });
  add("GET", "/api/status", [](const Service&, const Call& call) {
    call.exchange->send(json_response(R"({"cloud":{"disabled":true,"source":"env"}})"));
  });
  add("GET", "/api/tags", list);
  add("POST", "/api/generate", [](const Service& s, const Call& call) { answer(s, Form::kGenerate, call); });
  add("POST", "/api/chat", [](const Service& s, const Call& call) { answer(s, Form::kChat, call); });
  add_model_routes(router, service);
  add("GET", "/api/ps", [](const Service& s, const Call& call) {
    if (!s.running) return refuse_unoffered(call);
    call.exchange->send(json_response(running(s.running(), s.leases ? s.leases() : std::vector<LeasedMemory>())));
  });
}

}  // namespace hearth::api::ollama
