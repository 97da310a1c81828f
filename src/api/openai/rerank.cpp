// /v1/rerank as vLLM, llama.cpp and Jina have it: a model that was trained to compare is asked how well documents fit a
// query. The engine runs none yet, so every model is named as one that cannot.
#include "api/json.h"
#include "api/models_list.h"
#include "api/openai/embeddings.h"
#include "api/openai/encode.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

constexpr int64_t kMost_documents = 2048;

// The model of a request that is well-formed.
Result<std::string> decode(std::string_view body, Blame* blame) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  const Fields fields(value.get_object(), "", blame);
  ASSIGN_OR_RETURN(const auto model, fields.text("model"));
  if (!model || model->empty())
    return fields.refuse("model", "missing_required_parameter", "you must provide a model parameter");
  ASSIGN_OR_RETURN(const auto query, fields.text("query"));
  if (!query) return fields.refuse("query", "missing_required_parameter", "you must provide a query");
  ASSIGN_OR_RETURN(const auto documents, fields.texts("documents"));
  if (documents.empty() || documents.size() > kMost_documents)
    return fields.refuse("documents", "invalid_value", "documents must be 1 to {} texts", kMost_documents);
  TRY(fields.integer("top_n", 1, INT32_MAX));
  TRY(fields.boolean("return_documents"));
  return *model;
}

void rerank(const Service& service, const Call& call) {
  Blame blame;
  const auto model = decode(call.request.body.text(), &blame);
  if (!model) return call.exchange->send(problem(400, model.error().message, blame.path, blame.code));
  const bool known = service.context_tokens && service.context_tokens(*model) > 0;
  if (!known) {
    const std::string words = fmt::format("The model '{}' does not exist here; {}", *model, models_here(service));
    return call.exchange->send(problem(404, words, "model", "model_not_found"));
  }
  const std::string words = fmt::format(
      "\"{}\" is no reranker that this server can run; /v1/embeddings gives vectors whose products can be compared",
      *model);
  call.exchange->send(problem(400, words, "model", "unsupported_value"));
}

}  // namespace

void add_rerank_routes(Router& router, std::shared_ptr<const Service> service) {
  for (const char* path : {"/v1/rerank", "/rerank", "/v2/rerank", "/reranking"})
    router.add({.method = "POST",
                .path = path,
                .run = [service](const Call& call) { rerank(*service, call); },
                .also_with_slash = true});
}

}  // namespace hearth::api::openai
