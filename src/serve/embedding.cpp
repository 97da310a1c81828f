#include "serve/embedding.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>

#include "base/error.h"
#include "serve/job.h"

namespace hearth::serve {
namespace {

using Clock = std::chrono::steady_clock;
using Lease = fleet::Fleet::Lease;

// How a model's file says that it was trained (https://github.com/ggml-org/llama.cpp, enum llama_pooling_type); other
// decoders give the state of the last token, which has seen all.
Result<engine::Pooling> pooling_of(const gguf::File& file) {
  constexpr uint64_t kMean = 1, kClass = 2, kLast = 3, kRank = 4;
  const std::string key = std::string(file.string_or("general.architecture", "")) + ".pooling_type";
  const uint64_t type = file.u64_or(key, kLast);
  if (type == kClass || type == kRank)
    return error(ErrorKind::kUnsupported, "the model's way to pool ({} = {}) is not supported", key, type);
  return type == kMean ? engine::Pooling::kMean : engine::Pooling::kLast;
}

// One request until all its vectors are there.
class Job : public std::enable_shared_from_this<Job> {
 public:
  Job(api::EmbedRequest request, AnswerRate& rate, std::function<void(Result<api::Embeddings>)> done)
      : request_(std::move(request)), rate_(rate), done_(std::move(done)) {}

  const api::EmbedRequest& request() const { return request_; }

  void refuse(const Error& error) { end(error); }
  void end(Result<api::Embeddings> result) {
    if (over_.exchange(true)) return;
    holding_.release();
    done_(std::move(result));
  }

  void cancel() { holding_.cancel(); }

  // On a worker, with the model loaded.
  void run(const std::shared_ptr<Lease>& lease) {
    result_.usage.load = Clock::now() - start_;
    if (!holding_.take(lease)) return end(error(ErrorKind::kCancelled, "the client has gone"));
    auto requests = make_requests(**lease);
    if (!requests) return end(requests.error());
    result_.vectors.resize(requests->size());
    open_ = requests->size();
    for (size_t i = 0; i < requests->size(); ++i) {
      auto id = (*lease)->engine->submit(
          std::move((*requests)[i]),
          [self = shared_from_this(), i](const engine::Event& event) { self->take(i, event); });
      if (!id) {
        cancel();
        return end(id.error());
      }
      holding_.started({&*id, 1});
    }
  }

 private:
  Result<std::vector<engine::Request>> make_requests(fleet::Resident& model) const {
    ASSIGN_OR_RETURN(const engine::Pooling pooling, pooling_of(*model.file));
    const size_t most = model.context_tokens;
    std::vector<engine::Request> requests;
    const auto add = [&](std::vector<text::Token> tokens) -> Status {
      if (tokens.size() > most && !request_.truncate)
        return error(ErrorKind::kTooLong, "an input has {} tokens; the context has room for {}", tokens.size(), most);
      tokens.resize(std::min(tokens.size(), most));
      engine::Request request;
      request.prompt = std::move(tokens);
      request.user = request_.caller.user;
      request.pooling = pooling;
      requests.push_back(std::move(request));
      return {};
    };
    const text::Tokenizer& tokenizer = model.engine->tokenizer();
    for (const std::string& text : request_.inputs) {
      std::vector<text::Token> tokens = tokenizer.encode(text, text::EncodeOptions{});
      // Nothing at all has no state: the token that ends texts stands for it.
      if (tokens.empty()) tokens.push_back(tokenizer.bos() != text::kNoToken ? tokenizer.bos() : tokenizer.eos());
      TRY(add(std::move(tokens)));
    }
    for (const auto& ids : request_.token_inputs) TRY(add({ids.begin(), ids.end()}));
    return requests;
  }

  // On a thread of the engine's.
  void take(size_t index, const engine::Event& event) {
    if (!event.finish) return;
    if (event.error) {
      cancel();
      return end(*event.error);
    }
    if (*event.finish == engine::FinishReason::kCancelled)
      return end(error(ErrorKind::kCancelled, "the request was cancelled"));
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      result_.vectors[index] = event.embedding;
      result_.usage.prompt_tokens += event.usage.prompt_tokens;
      result_.usage.cached_tokens += event.usage.prompt_tokens_cached;
      last = --open_ == 0;
    }
    if (!last) return;
    result_.usage.total = Clock::now() - start_;
    rate_.ended(result_.usage.total - result_.usage.load);
    for (std::vector<float>& vector : result_.vectors)
      if (const Status cut = shorten(vector); !cut) return end(cut.error());
    end(std::move(result_));
  }

  // To the dimensions that were asked for, of length 1 again.
  Status shorten(std::vector<float>& vector) const {
    constexpr double kLeast_norm = 1e-12;
    if (request_.dimensions > 0 && request_.dimensions < vector.size()) vector.resize(request_.dimensions);
    double sum = 0;
    for (const float value : vector) sum += double{value} * value;
    if (!std::isfinite(sum)) return error(ErrorKind::kInvalidData, "the model gives numbers that are not finite");
    const double norm = std::max(std::sqrt(sum), kLeast_norm);
    for (float& value : vector) value = static_cast<float>(value / norm);
    return {};
  }

  const api::EmbedRequest request_;
  AnswerRate& rate_;
  const std::function<void(Result<api::Embeddings>)> done_;
  const Clock::time_point start_ = Clock::now();

  Holding holding_;
  std::atomic<bool> over_ = false;
  std::mutex mutex_;
  size_t open_ = 0;  // inputs without a vector
  api::Embeddings result_;
};

}  // namespace

api::Cancel embed(fleet::Fleet& models, Workers& workers, AnswerRate& rate, api::EmbedRequest request,
                  std::function<void(Result<api::Embeddings>)> done) {
  return start(models, workers, std::make_shared<Job>(std::move(request), rate, std::move(done)));
}

}  // namespace hearth::serve
