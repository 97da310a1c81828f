#include "serve/answering.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "base/error.h"
#include "serve/job.h"
#include "serve/prompt.h"

namespace hearth::serve {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = chat::Delta::Kind;
using Reason = api::AnswerEnd::Reason;

constexpr uint32_t kMost_wait_s = 120;

Reason reason_of(engine::FinishReason reason) {
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

// What the tokens of an answer are part of. One whose text the parser still holds back waits for those behind it.
class TokenBook {
 public:
  TokenBook(const text::Tokenizer& tokenizer, std::optional<int> alternatives)
      : tokenizer_(tokenizer), alternatives_(alternatives) {}

  void add(const engine::Event& event) { choices_.insert(choices_.end(), event.choices.begin(), event.choices.end()); }
  void saw(Kind kind) { last_ = kind; }
  void end_token(text::Token token) {
    std::optional<sampling::Choice> choice;
    if (!choices_.empty()) {
      choice = std::move(choices_.front());
      choices_.pop_front();
    }
    if (tokenizer_.is_end_of_generation(token)) return;
    undecided_.push_back(std::move(choice));
    if (!last_) return;
    if (*last_ == Kind::kReasoning) reasoning_tokens_ += static_cast<uint32_t>(undecided_.size());
    decide(*last_ == Kind::kContent);
    last_.reset();
  }
  void end() { decide(false); }

  uint32_t reasoning_tokens() const { return reasoning_tokens_; }
  std::vector<api::TokenReport> take() { return std::exchange(decided_, {}); }

 private:
  void decide(bool content) {
    for (const auto& choice : undecided_)
      if (choice && alternatives_) decided_.push_back(report(*choice, content));
    undecided_.clear();
  }
  api::TokenReport report(const sampling::Choice& choice, bool content) const {
    api::TokenReport token{.chosen = chance(choice.token, choice.logprob), .most_likely = {}, .content = content};
    for (const sampling::TokenLogprob& other : choice.most_likely)
      if (*alternatives_ > 0) token.most_likely.push_back(chance(other.token, other.logprob));
    return token;
  }
  api::TokenChance chance(text::Token token, float logprob) const { return {tokenizer_.piece(token, true), logprob}; }

  const text::Tokenizer& tokenizer_;
  const std::optional<int> alternatives_;
  std::deque<sampling::Choice> choices_;
  std::vector<std::optional<sampling::Choice>> undecided_;
  std::optional<Kind> last_;
  std::vector<api::TokenReport> decided_;
  uint32_t reasoning_tokens_ = 0;
};

// One request until the end of its answers.
class Job : public std::enable_shared_from_this<Job> {
 public:
  Job(api::AnswerRequest request, api::AnswerSink sink, AnswerRate& rate, Workers& workers)
      : request_(std::move(request)), sink_(std::move(sink)), rate_(rate), workers_(workers) {}

  const api::AnswerRequest& request() const { return request_; }

  void refuse(const Error& error, api::AnswerEnd end = {}) {
    end.reason = Reason::kError;
    end.error = error;
    if (error.kind == ErrorKind::kBusy) end.retry_after_s = rate_.wait_s();
    sink_({.end = std::move(end)});
  }

  void cancel() {
    holding_.cancel();
    looking_.cancel();
  }

  // On a worker, with the model loaded. Workers do not wait for pictures to be encoded: another turn follows then.
  void run(std::shared_ptr<fleet::Fleet::Lease> lease) {
    loaded_ = Clock::now();
    if (!holding_.take(lease)) return refuse(error(ErrorKind::kCancelled, "the client has gone"));
    context_tokens_ = (*lease)->context_tokens;
    model_ = (*lease)->found.name;
    if (request_.pictures.empty()) return answer(lease, {});
    looking_.start(request_, **lease, [self = shared_from_this(), lease](Result<SeenPictures> seen) {
      const api::AnswerEnd end{.context_tokens = self->context_tokens_};
      if (!seen) return self->end_early(seen.error(), end);
      const bool posted = self->workers_.post(self->request_.caller.user,
                                              [self, lease, seen = std::move(*seen)] { self->answer(lease, seen); });
      if (!posted) self->end_early(error(ErrorKind::kBusy, "too many requests wait"), end);
    });
  }

 private:
  void answer(const std::shared_ptr<fleet::Fleet::Lease>& lease, const SeenPictures& pictures) {
    api::AnswerEnd end{.context_tokens = context_tokens_};
    Result<Prepared> prepared = prepare(request_, **lease, pictures, &end.usage.prompt_tokens);
    if (!prepared) return end_early(prepared.error(), std::move(end));
    const engine::Request request = std::move(prepared->request);
    prepared_ = std::move(prepared).value();
    prompt_tokens_ = static_cast<uint32_t>(request.prompt.size());
    const auto ids = (*lease)->engine->submit(request, make_parts(request));
    if (!ids) return end_early(ids.error(), std::move(end));
    accept();
    holding_.started(*ids);
  }

  // One answer.
  struct Part {
    std::unique_ptr<chat::Answer> reader;
    TokenBook tokens;
    std::vector<int32_t> context = {};
  };

  std::vector<engine::EventSink> make_parts(const engine::Request& request) {
    std::vector<engine::EventSink> sinks;
    most_generated_ = request.options.num_predict;
    for (uint32_t i = 0; i < std::max(1u, request_.count); ++i) {
      parts_.push_back(std::make_unique<Part>(
          Part{prepared_.make_reader(), TokenBook(prepared_.chat->tokenizer(), request_.settings.logprobs)}));
      Part& part = *parts_.back();
      part.reader->on_token([&part](text::Token token) { part.tokens.end_token(token); });
      if (prepared_.with_context) part.context.assign(request.prompt.begin(), request.prompt.end());
      sinks.push_back([self = shared_from_this(), i](const engine::Event& event) { self->take(i, event); });
    }
    running_ = parts_.size();
    return sinks;
  }

  void end_early(const Error& error, api::AnswerEnd end) {
    holding_.release();
    refuse(error, std::move(end));
  }

  // Whoever comes first: the engine's first event, or the end of submit(). Under sink_mutex_.
  void say_accepted() {
    if (std::exchange(accepted_, true)) return;
    sink_({.accepted = true,
           .warnings = std::move(prepared_.warnings),
           .begin = api::AnswerBegin{.prompt_tokens = prompt_tokens_, .model = model_}});
  }
  void accept() {
    const std::lock_guard lock(sink_mutex_);
    say_accepted();
  }

  // On a thread of the engine's.
  void take(uint32_t index, const engine::Event& event) {
    bool last = false;
    {
      const std::lock_guard lock(sink_mutex_);
      Part& part = *parts_[index];
      api::AnswerEvent out{.choice = index};
      const chat::Sink add = [&](const chat::Delta& delta) {
        part.tokens.saw(delta.kind);
        out.deltas.push_back(delta);
      };
      part.tokens.add(event);
      part.reader->add(event.text, event.tokens, add);
      if (prepared_.with_context) part.context.insert(part.context.end(), event.tokens.begin(), event.tokens.end());
      if (!event.finish && event.usage.prompt_tokens > 0)
        out.begin = api::AnswerBegin{event.usage.prompt_tokens, event.usage.prompt_tokens_cached, model_};
      if (event.finish) finish(event, part, out, add);
      out.tokens = part.tokens.take();
      // A device that fails before anything was told is an error of the request, not of its answer.
      if (event.error)
        accepted_ = true;
      else
        say_accepted();
      sink_(out);
      last = event.finish && --running_ == 0;
    }
    if (last) holding_.release();
  }

  void finish(const engine::Event& event, Part& part, api::AnswerEvent& out, const chat::Sink& add) {
    const bool stopped = *event.finish == engine::FinishReason::kStop;
    part.reader->finish(stopped ? chat::Ending::kStop : chat::Ending::kLength, add);
    part.tokens.end();
    api::AnswerEnd& end = out.end.emplace();
    end.reason = reason_of(*event.finish);
    end.error = event.error;
    if (end.reason == Reason::kCancelled) {
      // Those who have gone do not read it; others must not take it for the answer's end.
      end.reason = Reason::kError;
      end.error = error(ErrorKind::kCancelled, "the request was cancelled");
    }
    if (end.reason == Reason::kLength &&
        (most_generated_ < 0 || event.usage.generated_tokens < static_cast<uint32_t>(most_generated_)))
      end.reason = Reason::kContextFull;
    const auto& stops = request_.settings.stop;
    if (stops && std::ranges::find(*stops, event.stop) != stops->end()) end.stop = event.stop;
    end.context = std::move(part.context);
    end.context_tokens = context_tokens_;
    end.usage = usage_of(event.usage, part);
    if (!end.error) rate_.ended(end.usage.total - end.usage.load);
  }

  api::Usage usage_of(const engine::Usage& counted, const Part& part) const {
    api::Usage usage;
    usage.prompt_tokens = counted.prompt_tokens;
    usage.cached_tokens = counted.prompt_tokens_cached;
    usage.generated_tokens = counted.generated_tokens;
    usage.reasoning_tokens = part.tokens.reasoning_tokens();
    usage.total = Clock::now() - start_;
    usage.load = loaded_ - start_;
    usage.queued = counted.queued;
    usage.prompt = counted.prompt;
    usage.generation = counted.generation;
    return usage;
  }

  const api::AnswerRequest request_;
  const api::AnswerSink sink_;
  AnswerRate& rate_;
  Workers& workers_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point loaded_ = start_;
  uint32_t context_tokens_ = 0, prompt_tokens_ = 0;

  std::string model_;  // by its own name, once it is loaded

  Holding holding_;
  Looking looking_;

  std::mutex sink_mutex_;  // held while the sink is called
  bool accepted_ = false;
  size_t running_ = 0;
  Prepared prepared_;  // from submit() on under sink_mutex_
  std::vector<std::unique_ptr<Part>> parts_;
  int most_generated_ = -1;
};

}  // namespace

void AnswerRate::ended(std::chrono::nanoseconds took) {
  constexpr double kNewest = 0.1;  // its part of the average
  const double seconds = std::chrono::duration<double>(took).count();
  const std::lock_guard lock(mutex_);
  average_s_ = average_s_ == 0 ? seconds : average_s_ + kNewest * (seconds - average_s_);
}

uint32_t AnswerRate::wait_s() const {
  const std::lock_guard lock(mutex_);
  return static_cast<uint32_t>(std::clamp(std::ceil(average_s_), 1.0, double{kMost_wait_s}));
}

api::Cancel answer(fleet::Fleet& models, Workers& workers, AnswerRate& rate, api::AnswerRequest request,
                   api::AnswerSink sink) {
  return start(models, workers, std::make_shared<Job>(std::move(request), std::move(sink), rate, workers));
}

}  // namespace hearth::serve
