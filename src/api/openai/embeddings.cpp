#include "api/openai/embeddings.h"

#include <bit>
#include <boost/json.hpp>

#include "api/deliver.h"
#include "api/models_list.h"
#include "api/ollama/decode.h"
#include "api/openai/ask.h"
#include "api/openai/encode.h"
#include "api/reply.h"
#include "api/v1.h"
#include "base/base64.h"
#include "base/error.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

constexpr size_t kMost_inputs = 2048;

struct EmbedAsk {
  EmbedRequest request = {};
  bool as_base64 = false;
  std::vector<std::string> warnings = {};
};

Status decode_input(const Fields& fields, EmbedRequest& request) {
  const json::value* input = fields.find("input");
  if (input == nullptr)
    return fields.refuse("input", "missing_required_parameter", "Missing required parameter: 'input'.");
  if (input->is_string()) {
    request.inputs.emplace_back(input->get_string());
    return {};
  }
  if (!input->is_array()) return fields.wrong_type("input", "a string or a list of strings", *input);
  const json::array& list = input->get_array();
  if (list.empty()) return fields.refuse("input", "invalid_value", "input is an empty list");
  if (list.size() > kMost_inputs)
    return fields.refuse("input", "invalid_value", "input has {} texts; at most {} are allowed", list.size(),
                         kMost_inputs);
  for (size_t i = 0; i < list.size(); ++i) {
    // Another vocabulary's ids would give vectors that mean nothing, without any error.
    if (list[i].is_number() || list[i].is_array())
      return fields.refuse("input", "unsupported_value",
                           "input must be text: ids of tokens are another vocabulary's. In LangChain set "
                           "check_embedding_ctx_length=False");
    if (!list[i].is_string()) return fields.wrong_type(fmt::format("input[{}]", i), "a string", list[i]);
    request.inputs.emplace_back(list[i].get_string());
  }
  return {};
}

Result<EmbedAsk> decode_embeddings(std::string_view body, Blame* blame) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  const Fields fields(value.get_object(), "", blame);
  EmbedAsk ask;
  ASSIGN_OR_RETURN(const auto model, fields.text("model"));
  if (!model || model->empty())
    return fields.refuse("model", "missing_required_parameter", "you must provide a model parameter");
  ask.request.model = *model;
  ask.request.truncate = false;
  TRY(decode_input(fields, ask.request));
  ASSIGN_OR_RETURN(const auto format, fields.text("encoding_format"));
  if (format && *format != "float" && *format != "base64")
    return fields.refuse("encoding_format", "invalid_value", "encoding_format must be float or base64");
  ask.as_base64 = format == "base64";
  ASSIGN_OR_RETURN(const auto dimensions, fields.integer("dimensions", 1, INT32_MAX));
  if (dimensions) {
    ask.request.dimensions = static_cast<uint32_t>(*dimensions);
    ask.warnings.emplace_back("dimensions=the vectors are cut; only some models are trained for that");
  }
  ASSIGN_OR_RETURN(const auto user, fields.text("user"));
  ask.request.caller.user = user.value_or("");
  // vLLM's way to say that longer texts may be cut.
  ASSIGN_OR_RETURN(const auto cut, fields.integer("truncate_prompt_tokens", -1, INT32_MAX));
  ask.request.truncate = cut.has_value();
  if (const json::value* keep = fields.find("keep_alive")) {
    auto keep_alive = ollama::decode_keep_alive(*keep);
    if (!keep_alive) return fields.refuse("keep_alive", "invalid_value", "{}", keep_alive.error().message);
    ask.request.keep_alive = *keep_alive;
  }
  warn_unknown(fields, {"input", "encoding_format", "dimensions", "truncate_prompt_tokens"}, ask.warnings);
  return ask;
}

// Little-endian, as all machines that run this are.
json::value vector_json(const std::vector<float>& vector, bool as_base64) {
  static_assert(std::endian::native == std::endian::little);
  if (!as_base64) return json::array(vector.begin(), vector.end());
  return json::string(base64({reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)}));
}

http::Response reply(const Embeddings& result, const EmbedAsk& ask) {
  json::array data;
  for (const std::vector<float>& vector : result.vectors)
    data.push_back(json::object{
        {"object", "embedding"}, {"index", data.size()}, {"embedding", vector_json(vector, ask.as_base64)}});
  http::Response response =
      json_reply(200, json::object{{"object", "list"},
                                   {"data", std::move(data)},
                                   {"model", ask.request.model},
                                   {"usage", json::object{{"prompt_tokens", result.usage.prompt_tokens},
                                                          {"total_tokens", result.usage.prompt_tokens}}}});
  tell(ask.warnings, response.head);
  return response;
}

void embed(const std::shared_ptr<const Service>& service, const Call& call) {
  if (!service->embed) return call.exchange->send(problem(501, "embeddings are not offered by this server"));
  Blame blame;
  Result<EmbedAsk> ask = decode_embeddings(call.request.body.text(), &blame);
  if (!ask) return call.exchange->send(problem(400, ask.error().message, blame.path, blame.code));
  EmbedRequest request = ask->request;
  substitute(*service, request.model, ask->warnings);
  request.caller = call.caller.with_user(request.caller.user);
  const auto slot = std::make_shared<CancelSlot>();
  call.exchange->on_gone([slot] { slot->fire(); });
  slot->set(service->embed(std::move(request), [service, ask = std::move(ask).value(),
                                                exchange = call.exchange](const Result<Embeddings>& result) {
    if (result) return exchange->send(reply(*result, ask));
    AnswerEnd end;
    end.error = result.error();
    if (end.error->kind == ErrorKind::kNotFound) end.error->message = models_here(*service);
    exchange->send(failure(end, ask.request.model, "input"));
  }));
}

}  // namespace

void add_embedding_routes(Router& router, std::shared_ptr<const Service> service) {
  add_v1(router, "POST", "/embeddings", [service](const Call& call) { embed(service, call); });
}

}  // namespace hearth::api::openai
