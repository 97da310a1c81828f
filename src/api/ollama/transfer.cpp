#include "api/ollama/transfer.h"

#include <boost/json.hpp>

#include "api/ollama/decode.h"
#include "api/ollama/encode.h"
#include "api/ollama/manage.h"
#include "api/ollama/work.h"

namespace hearth::api::ollama {
namespace {

namespace json = boost::json;
using Start = std::function<Cancel(TransferRequest request, WorkSinks sinks)>;

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

// Whatever a registry says is an error of the server's, as Ollama has it.
unsigned status_of_transfer(ErrorKind kind) {
  return kind == ErrorKind::kNoSpace || kind == ErrorKind::kUsage ? status_of(kind) : 500;
}

void run(const Start& start, const Call& call) {
  if (!start) return refuse_unoffered(call);
  Result<Asked> asked = decode(call.request.body.text());
  if (!asked) return call.exchange->send(problem(400, asked.error().message));
  if (asked->request.model.empty()) return call.exchange->send(problem(400, "model is required"));
  if (is_cloud(asked->request.model))
    return call.exchange->send(problem(403, "ollama cloud is disabled: remote model is unavailable"));
  asked->request.caller = call.caller;
  run_work(call,
           [&] { return start(std::move(asked->request), reply_with_steps(call, asked->stream, status_of_transfer)); });
}

}  // namespace

void add_transfer_routes(Router& router, std::shared_ptr<const Service> service) {
  router.add({"POST", "/api/pull", [service](const Call& call) { run(service->pull, call); }});
  router.add({"POST", "/api/push", [service](const Call& call) { run(service->push, call); }});
}

}  // namespace hearth::api::ollama
