#include "api/ollama/transfer.h"

#include <boost/json.hpp>

#include "api/deliver.h"
#include "api/ollama/decode.h"
#include "api/ollama/encode.h"
#include "api/ollama/manage.h"

namespace hearth::api::ollama {
namespace {

namespace json = boost::json;
using Start = std::function<Cancel(TransferRequest request, TransferSink sink)>;

struct Asked {
  TransferRequest request;
  bool stream = true;
};

Result<Asked> decode(std::string_view body) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  const Fields fields(value.get_object(), "");
  Asked asked;
  ASSIGN_OR_RETURN(asked.request.model, decode_model(fields));
  ASSIGN_OR_RETURN(const std::optional<bool> insecure, fields.boolean("insecure"));
  ASSIGN_OR_RETURN(const std::optional<bool> stream, fields.boolean("stream"));
  asked.request.insecure = insecure.value_or(false);
  asked.stream = stream.value_or(true);
  return asked;
}

std::string line(const TransferEvent& event) {
  if (event.error) return json::serialize(json::object{{"error", event.error->message}}) + "\n";
  json::object object{{"status", event.status}};
  if (!event.digest.empty()) {
    object["digest"] = event.digest;
    object["total"] = event.total;
    if (event.done > 0) object["completed"] = event.done;
  }
  return json::serialize(object) + "\n";
}

// What a client that reads slowly misses is news that is old by then.
void stream_events(http::Exchange& exchange, const TransferEvent& event) {
  if (event.last || event.error || event.digest.empty() || !exchange.full()) exchange.write(line(event));
  if (event.last) exchange.finish();
}

void run(const Start& start, const Call& call) {
  if (!start) return refuse_unoffered(call);
  Result<Asked> asked = decode(call.request.body.text());
  if (!asked) return call.exchange->send(problem(400, asked.error().message));
  if (asked->request.model.empty()) return call.exchange->send(problem(400, "model is required"));
  if (is_cloud(asked->request.model))
    return call.exchange->send(problem(403, "ollama cloud is disabled: remote model is unavailable"));
  asked->request.caller = call.caller;
  const auto slot = std::make_shared<CancelSlot>();
  call.exchange->on_gone([slot] { slot->fire(); });
  const auto exchange = call.exchange;
  if (asked->stream) {
    exchange->start({.status = 200, .headers = {{"Content-Type", "application/x-ndjson"}}});
    slot->set(
        start(std::move(asked->request), [exchange](const TransferEvent& event) { stream_events(*exchange, event); }));
    return;
  }
  slot->set(start(std::move(asked->request), [exchange](const TransferEvent& event) {
    if (!event.last) return;
    const ErrorKind kind = event.error ? event.error->kind : ErrorKind::kIo;
    const unsigned status = kind == ErrorKind::kNoSpace ? 507 : kind == ErrorKind::kUsage ? 400 : 500;
    exchange->send(event.error ? problem(status, event.error->message) : json_response(R"({"status":"success"})"));
  }));
}

}  // namespace

void add_transfer_routes(Router& router, std::shared_ptr<const Service> service) {
  router.add({"POST", "/api/pull", [service](const Call& call) { run(service->pull, call); }});
  router.add({"POST", "/api/push", [service](const Call& call) { run(service->push, call); }});
}

}  // namespace hearth::api::ollama
