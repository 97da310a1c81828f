// /v1/rerank as vLLM, llama.cpp and Jina have it: how well documents fit a query. A model that was trained to judge is
// asked about each of them, and what it holds of "yes" against "no" is the relevance (Zhang et al. 2025, "Qwen3
// Embedding: Advancing Text Embedding and Reranking Through Foundation Models", arXiv 2506.05176, whose words the
// question has).
#include <algorithm>
#include <cmath>

#include "api/json.h"
#include "api/models_list.h"
#include "api/openai/embeddings.h"
#include "api/openai/encode.h"
#include "api/reply.h"
#include "base/random.h"
#include "base/text.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

constexpr int64_t kMost_documents = 256;  // each is a request of its own
constexpr int kAlternatives = 20;         // to the first token, among which the two words are looked for
constexpr size_t kId_letters = 24;
constexpr const char* kSystem =
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the "
    "answer can only be \"yes\" or \"no\".";
constexpr const char* kInstruction = "Given a web search query, retrieve relevant passages that answer the query";

struct RerankAsk {
  std::string model, query, instruction;
  std::vector<std::string> documents;
  size_t most = 0;  // results
  bool with_documents = false;
};

Result<RerankAsk> decode(std::string_view body, Blame* blame) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  const Fields fields(value.get_object(), "", blame);
  RerankAsk ask;
  ASSIGN_OR_RETURN(const auto model, fields.text("model"));
  if (!model || model->empty())
    return fields.refuse("model", "missing_required_parameter", "you must provide a model parameter");
  ask.model = *model;
  ASSIGN_OR_RETURN(const auto query, fields.text("query"));
  if (!query) return fields.refuse("query", "missing_required_parameter", "you must provide a query");
  ask.query = *query;
  ASSIGN_OR_RETURN(ask.documents, fields.texts("documents"));
  if (ask.documents.empty() || ask.documents.size() > kMost_documents)
    return fields.refuse("documents", "invalid_value", "documents must be 1 to {} texts", kMost_documents);
  ASSIGN_OR_RETURN(const auto instruction, fields.text("instruction"));
  ask.instruction = instruction.value_or(kInstruction);
  ASSIGN_OR_RETURN(const auto most, fields.integer("top_n", 1, INT32_MAX));
  ask.most = std::min(ask.documents.size(), static_cast<size_t>(most.value_or(kMost_documents)));
  ASSIGN_OR_RETURN(const auto with_documents, fields.boolean("return_documents"));
  ask.with_documents = with_documents.value_or(false);
  return ask;
}

AnswerRequest question(const RerankAsk& ask, const std::string& document, const Caller& caller) {
  AnswerRequest request;
  request.model = ask.model;
  request.caller = caller;
  ChatInput input;
  input.messages.push_back({.role = "system", .content = kSystem});
  input.messages.push_back(
      {.role = "user",
       .content = fmt::format("<Instruct>: {}\n<Query>: {}\n<Document>: {}", ask.instruction, ask.query, document)});
  request.input = std::move(input);
  request.thinking.on = false;
  request.thinking.required = false;
  request.settings.values = {{"temperature", "0"}, {"num_predict", "1"}};
  request.settings.logprobs = kAlternatives;
  return request;
}

// 0 to 1; 0 where the model has something else to say.
double relevance(const WholeAnswer& answer) {
  if (answer.tokens.empty()) return 0;
  double yes = 0, no = 0;
  const TokenReport& first = answer.tokens.front();
  const auto count = [&](const TokenChance& token) {
    const std::string_view word = std::string_view(token.text).substr(token.text.starts_with(' ') ? 1 : 0);
    if (same_ignoring_case(word, "yes")) yes += std::exp(double{token.logprob});
    if (same_ignoring_case(word, "no")) no += std::exp(double{token.logprob});
  };
  for (const TokenChance& token : first.most_likely) count(token);
  if (first.most_likely.empty()) count(first.chosen);
  return yes + no > 0 ? yes / (yes + no) : 0;
}

class RerankWriter : public AnswerWriter {
 public:
  explicit RerankWriter(RerankAsk ask) : ask_(std::move(ask)) {}

  http::Response failure(const AnswerEnd& end) override { return openai::failure(end, ask_.model, "documents"); }

  http::Response whole(const std::vector<WholeAnswer>& answers, const std::vector<std::string>& warnings) override {
    std::vector<std::pair<double, size_t>> order;  // relevance, number
    uint32_t tokens = 0;
    for (const WholeAnswer& answer : answers) {
      order.emplace_back(relevance(answer), order.size());
      tokens += answer.end.usage.prompt_tokens;
    }
    std::ranges::stable_sort(order, std::greater(), &std::pair<double, size_t>::first);
    json::array results;
    for (const auto& [score, number] : std::span(order).first(ask_.most)) {
      json::object result{{"index", number}, {"relevance_score", score}};
      if (ask_.with_documents) result["document"] = json::object{{"text", ask_.documents[number]}};
      results.push_back(std::move(result));
    }
    http::Response response =
        json_reply(200, json::object{{"id", "rerank-" + random_letters(kId_letters)},
                                     {"model", ask_.model},
                                     {"usage", json::object{{"prompt_tokens", tokens}, {"total_tokens", tokens}}},
                                     {"results", std::move(results)}});
    tell(warnings, response.head);
    return response;
  }

  // Nothing of it is streamed.
  http::ResponseHead head(const std::vector<std::string>&) override { return {}; }
  std::string pieces(const AnswerEvent&) override { return {}; }

 private:
  const RerankAsk ask_;
};

bool can_rerank(const Service& service, const std::string& model) {
  if (!service.show) return false;
  const auto details = service.show(model, false);
  return details && std::ranges::count(details->summary.capabilities, "rerank") > 0;
}

void rerank(const Service& service, const Call& call) {
  Blame blame;
  auto ask = decode(call.request.body.text(), &blame);
  if (!ask) return call.exchange->send(problem(400, ask.error().message, blame.path, blame.code));
  const bool known = service.context_tokens && service.context_tokens(ask->model) > 0;
  if (!known) {
    const std::string words = fmt::format("The model '{}' does not exist here; {}", ask->model, models_here(service));
    return call.exchange->send(problem(404, words, "model", "model_not_found"));
  }
  if (!can_rerank(service, ask->model)) {
    const std::string words = fmt::format(
        "\"{}\" was not trained to rerank; a model that was (such as Qwen3-Reranker) shows the capability \"rerank\", "
        "and /v1/embeddings gives vectors whose products can be compared",
        ask->model);
    return call.exchange->send(problem(400, words, "model", "unsupported_value"));
  }
  std::vector<AnswerRequest> requests;
  for (const std::string& document : ask->documents) requests.push_back(question(*ask, document, call.caller));
  deliver(service, std::move(requests), call.exchange, std::make_shared<RerankWriter>(std::move(ask).value()), false);
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
