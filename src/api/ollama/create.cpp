#include "api/ollama/create.h"

#include <boost/json.hpp>

#include "api/json.h"
#include "api/ollama/decode.h"
#include "api/ollama/encode.h"
#include "api/ollama/manage.h"
#include "api/ollama/work.h"
#include "base/error.h"

namespace hearth::api::ollama {
namespace {

namespace json = boost::json;

// {"model.safetensors": "sha256:..."}
Status decode_files(const Fields& fields, CreateRequest& request) {
  ASSIGN_OR_RETURN(const json::object* files, fields.object("files"));
  if (files == nullptr) return {};
  for (const json::key_value_pair& member : *files) {
    if (!member.value().is_string()) return fields.wrong_type("files", "a digest for each file", member.value());
    request.files.emplace_back(std::string(member.key()), std::string(member.value().get_string()));
  }
  return {};
}

// A text, or a list of texts.
Status decode_licenses(const Fields& fields, CreateRequest& request) {
  const json::value* value = fields.find("license");
  if (value == nullptr) return {};
  if (value->is_string()) {
    request.licenses.emplace_back(value->get_string());
    return {};
  }
  ASSIGN_OR_RETURN(request.licenses, fields.texts("license"));
  return {};
}

Status decode_messages(const Fields& fields, CreateRequest& request) {
  ASSIGN_OR_RETURN(const json::array* messages, fields.array("messages"));
  if (messages == nullptr) return {};
  request.messages.emplace();
  for (size_t i = 0; i < messages->size(); ++i) {
    const json::value& value = (*messages)[i];
    const std::string at = fmt::format("messages[{}]", i);
    if (!value.is_object()) return fields.wrong_type(at, "an object", value);
    const Fields message = fields.inner(value.get_object(), at);
    ASSIGN_OR_RETURN(const std::optional<std::string> role, message.text("role"));
    ASSIGN_OR_RETURN(const std::optional<std::string> content, message.text("content"));
    if (role != "system" && role != "user" && role != "assistant")
      return error(ErrorKind::kUsage, "{}.role must be system, user or assistant", at);
    request.messages->emplace_back(*role, content.value_or(""));
  }
  return {};
}

Status refuse_unsupported(const Fields& fields) {
  for (const auto& [name, why] :
       {std::pair("adapters",
                  "adapters (LoRA) are not supported; use a model with the adapter merged into its weights"),
        {"draft_files", "draft models are not supported"},
        {"draft_quantize", "draft models are not supported"},
        {"remote_host", "models of a cloud are not supported"}}) {
    const json::value* value = fields.find(name);
    const bool empty = value == nullptr || (value->is_object() && value->get_object().empty()) ||
                       (value->is_string() && value->get_string().empty());
    if (!empty) return error(ErrorKind::kUnsupported, "{}: {}", name, why);
  }
  return {};
}

Status decode_texts(const Fields& fields, CreateRequest& request) {
  ASSIGN_OR_RETURN(request.model, decode_model(fields));
  ASSIGN_OR_RETURN(request.template_text, fields.text("template"));
  ASSIGN_OR_RETURN(request.system, fields.text("system"));
  for (const auto& [name, to] : {std::pair("from", &request.from),
                                 {"quantization", &request.quantize},
                                 {"quantize", &request.quantize},
                                 {"requires", &request.minimum_version},
                                 {"renderer", &request.renderer},
                                 {"parser", &request.parser}}) {
    ASSIGN_OR_RETURN(std::optional<std::string> text, fields.text(name));
    if (text) *to = std::move(*text);
  }
  // An empty text is one that is not given, as Ollama has it.
  if (request.template_text && request.template_text->empty()) request.template_text.reset();
  if (request.system && request.system->empty()) request.system.reset();
  return {};
}

// What a model is made of comes with the request: where it is damaged the request is wrong.
unsigned status_of_creation(ErrorKind kind) {
  return status_of(kind == ErrorKind::kInvalidData ? ErrorKind::kUsage : kind);
}

}  // namespace

Result<CreateAsk> decode_create(std::string_view body) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  const Fields fields(value.get_object(), "");
  CreateAsk ask;
  TRY(decode_texts(fields, ask.request));
  TRY(refuse_unsupported(fields));
  TRY(decode_files(fields, ask.request));
  TRY(decode_licenses(fields, ask.request));
  TRY(decode_messages(fields, ask.request));
  ASSIGN_OR_RETURN(const json::object* parameters, fields.object("parameters"));
  if (parameters != nullptr) ask.request.parameters = json::serialize(*parameters);
  ASSIGN_OR_RETURN(const std::optional<bool> stream, fields.boolean("stream"));
  ask.stream = stream.value_or(true);
  return ask;
}

void create(const Service& service, const Call& call) {
  if (!service.create) return refuse_unoffered(call);
  auto ask = decode_create(call.request.body.text());
  if (!ask) return call.exchange->send(problem(400, ask.error().message));
  if (ask->request.model.empty()) return call.exchange->send(problem(400, "invalid model name"));
  if (ask->request.from.empty() && ask->request.files.empty())
    return call.exchange->send(problem(400, "neither 'from' or 'files' was specified"));
  run_work(call, [&] {
    return service.create(std::move(ask->request), reply_with_steps(call, ask->stream, status_of_creation));
  });
}

}  // namespace hearth::api::ollama
