#include "serve/answering.h"

#include "base/error.h"
#include "fleet/find_model.h"
#include "serve/prompt.h"

namespace hearth::serve {
namespace {

using Clock = std::chrono::steady_clock;

api::AnswerEnd::Reason reason_of(engine::FinishReason reason) {
  using Reason = api::AnswerEnd::Reason;
  switch (reason) {
    case engine::FinishReason::kStop:
      return Reason::kStop;
    case engine::FinishReason::kLength:
      return Reason::kLength;
    case engine::FinishReason::kCancelled:
      return Reason::kCancelled;
    case engine::FinishReason::kError:
      break;
  }
  return Reason::kError;
}

// One request until its end.
class Job : public std::enable_shared_from_this<Job> {
 public:
  Job(api::AnswerRequest request, api::AnswerSink sink) : request_(std::move(request)), sink_(std::move(sink)) {}

  const api::AnswerRequest& request() const { return request_; }

  void refuse(const Error& error) {
    api::AnswerEvent event;
    api::AnswerEnd& end = event.end.emplace();
    end.reason = api::AnswerEnd::Reason::kError;
    end.error = error;
    sink_(event);
  }

  void cancel() {
    std::shared_ptr<Models::Lease> lease;  // keeps the engine while it is told
    std::optional<engine::RequestId> id;
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      lease = lease_;
      id = id_;
    }
    if (lease && id) (*lease)->engine->cancel(*id);
  }

  // On a worker, with the model loaded.
  void run(std::shared_ptr<Models::Lease> lease) {
    loaded_ = Clock::now();
    {
      const std::lock_guard lock(mutex_);
      if (cancelled_) return refuse(error(ErrorKind::kCancelled, "the client has gone"));
      lease_ = lease;
    }
    Result<Prepared> prepared = prepare(request_, **lease);
    if (!prepared) return end_early(prepared.error());
    engine::Request request = std::move(prepared->request);
    prepared_ = std::move(prepared).value();
    if (prepared_.with_context) context_.assign(request.prompt.begin(), request.prompt.end());
    const auto id = (*lease)->engine->submit(
        std::move(request), [self = shared_from_this()](const engine::Event& event) { self->take(event); });
    if (!id) return end_early(id.error());
    bool gone = false;
    {
      const std::lock_guard lock(mutex_);
      id_ = *id;
      gone = cancelled_;
    }
    if (gone) (*lease)->engine->cancel(*id);
  }

 private:
  void end_early(const Error& error) {
    release();
    refuse(error);
  }

  // The model may go from now on.
  void release() {
    std::shared_ptr<Models::Lease> lease;  // goes after the lock
    const std::lock_guard lock(mutex_);
    lease.swap(lease_);
    id_.reset();
  }

  // On a thread of the engine's.
  void take(const engine::Event& event) {
    api::AnswerEvent out;
    const chat::Sink add = [&](const chat::Delta& delta) { out.deltas.push_back(delta); };
    prepared_.reader->add(event.text, event.tokens, add);
    if (prepared_.with_context) context_.insert(context_.end(), event.tokens.begin(), event.tokens.end());
    count_reasoning(event, out);
    if (request_.settings.logprobs) report(event, out);
    out.accepted = !event.error;
    if (event.finish) finish(event, out, add);
    sink_(out);
    if (event.finish) release();
  }

  void finish(const engine::Event& event, api::AnswerEvent& out, const chat::Sink& add) {
    const bool stopped = *event.finish == engine::FinishReason::kStop;
    prepared_.reader->finish(stopped ? chat::Ending::kStop : chat::Ending::kLength, add);
    api::AnswerEnd& end = out.end.emplace();
    end.reason = reason_of(*event.finish);
    end.context = std::move(context_);
    end.error = event.error;
    end.usage.prompt_tokens = event.usage.prompt_tokens;
    end.usage.cached_tokens = event.usage.prompt_tokens_cached;
    end.usage.generated_tokens = event.usage.generated_tokens;
    end.usage.reasoning_tokens = reasoning_tokens_;
    end.usage.total = Clock::now() - start_;
    end.usage.load = loaded_ - start_;
    end.usage.prompt = event.usage.prompt;
    end.usage.generation = event.usage.generation;
  }

  void count_reasoning(const engine::Event& event, const api::AnswerEvent& out) {
    for (const chat::Delta& delta : out.deltas)
      if (delta.kind != chat::Delta::Kind::kReasoning) return;
    if (!out.deltas.empty()) reasoning_tokens_ += static_cast<uint32_t>(event.tokens.size());
  }

  void report(const engine::Event& event, api::AnswerEvent& out) const {
    const text::Tokenizer& tokenizer = prepared_.chat->tokenizer();
    for (const sampling::Choice& choice : event.choices) {
      if (tokenizer.is_end_of_generation(choice.token)) continue;
      api::TokenReport token{.chosen = {tokenizer.piece(choice.token, true), choice.logprob}, .most_likely = {}};
      if (*request_.settings.logprobs > 0) {
        for (const sampling::TokenLogprob& other : choice.most_likely)
          token.most_likely.push_back({tokenizer.piece(other.token, true), other.logprob});
      }
      out.tokens.push_back(std::move(token));
    }
  }

  const api::AnswerRequest request_;
  const api::AnswerSink sink_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point loaded_ = start_;

  std::mutex mutex_;
  bool cancelled_ = false;
  std::shared_ptr<Models::Lease> lease_;
  std::optional<engine::RequestId> id_;

  Prepared prepared_;  // before submit(), then by the engine's thread
  std::vector<int32_t> context_;
  uint32_t reasoning_tokens_ = 0;
};

}  // namespace

api::Cancel answer(Models& models, Workers& workers, api::AnswerRequest request, api::AnswerSink sink) {
  const auto job = std::make_shared<Job>(std::move(request), std::move(sink));
  auto found = fleet::find_named_model(job->request().model);
  if (!found) {
    job->refuse(found.error());
    return {};
  }
  const api::AnswerRequest& asked = job->request();
  models.use(std::move(found).value(), asked.load, asked.keep_alive,
             [job, &workers](Result<std::shared_ptr<Models::Lease>> lease) {
               if (!lease) return job->refuse(lease.error());
               const bool posted = workers.post(job->request().caller.user, [job, lease = *lease] { job->run(lease); });
               if (!posted) job->refuse(error(ErrorKind::kBusy, "too many requests wait"));
             });
  return [job] { job->cancel(); };
}

}  // namespace hearth::serve
