#include "engine/generation.h"

#include <algorithm>

#include "base/error.h"

namespace hearth::engine {
namespace {

std::vector<std::string> all_stops(const Request& request) {
  std::vector<std::string> stops = request.options.stop;
  stops.insert(stops.end(), request.stops.begin(), request.stops.end());
  return stops;
}

Event nothing_wanted() {
  Event event;
  event.finish = FinishReason::kLength;
  return event;
}

}  // namespace

Generation::Generation(const Request& request, const text::Tokenizer& tokenizer, std::span<const text::Token> ends,
                       size_t context_tokens, size_t logits)
    : tokenizer_(tokenizer),
      sampler_(request.options, context_tokens),
      stops_(all_stops(request)),
      ends_(ends.begin(), ends.end()),
      constraint_(request.constraint),
      context_tokens_(context_tokens),
      prompt_tokens_(request.prompt.size()),
      min_tokens_(request.min_tokens),
      ignores_end_(request.ignore_eos) {
  if (request.penalises_prompt)
    for (text::Token token : request.prompt) sampler_.accept(token);
  for (const std::string& stop : all_stops(request)) {
    const text::Token token = tokenizer.find(stop);
    if (token != text::kNoToken && tokenizer.is_control(token)) stop_tokens_.push_back(token);
  }
  stop_tokens_.insert(stop_tokens_.end(), request.stop_tokens.begin(), request.stop_tokens.end());
  ends_.insert(ends_.end(), stop_tokens_.begin(), stop_tokens_.end());
  if (constraint_) mask_.resize(sampling::mask_words(logits));
}

bool Generation::ends_with(text::Token token) const {
  return tokenizer_.is_end_of_generation(token) || std::ranges::find(stop_tokens_, token) != stop_tokens_.end();
}

std::optional<size_t> Generation::logits_needed() {
  // A grammar's text may have to end; see build_mask().
  const bool banned = may_not_end() && !constraint_;
  sampler_.restrict_to(mask_, banned ? std::span<const text::Token>(ends_) : std::span<const text::Token>());
  return sampler_.logits_needed();
}

void Generation::build_mask() {
  masked_ = constraint_->allowed(mask_);
  if (!masked_ || !may_not_end()) return;
  std::vector<uint64_t> longer = mask_;
  for (const text::Token token : ends_) longer[static_cast<size_t>(token) / 64] &= ~(uint64_t{1} << (token % 64));
  if (std::ranges::any_of(longer, [](uint64_t word) { return word != 0; })) mask_.swap(longer);
  sampler_.restrict_to(mask_, {});
}

Result<Event> Generation::next(std::span<float> logits) {
  TRY(masked_);
  if (sampler_.options().num_predict == 0) {
    TRY(sampling::check_finite(logits));  // what is in the cache now may be used by others
    return nothing_wanted();
  }
  ASSIGN_OR_RETURN(sampling::Choice choice, sampler_.sample(logits));
  return go_on(std::move(choice));
}

Result<std::optional<Event>> Generation::next(const sampling::BestLogits& logits) {
  TRY(masked_);
  if (sampler_.options().num_predict == 0) {
    TRY(sampling::check_finite(logits));
    return std::optional(nothing_wanted());
  }
  ASSIGN_OR_RETURN(std::optional<sampling::Choice> choice, sampler_.sample(logits));
  if (!choice) return std::optional<Event>();
  ASSIGN_OR_RETURN(Event event, go_on(std::move(*choice)));
  return std::optional(std::move(event));
}

// The token, and what has to follow it. Every token has log probabilities where they are wanted, so that there each is
// sampled.
Result<Event> Generation::go_on(sampling::Choice choice) {
  Event event;
  const bool logprobs = sampler_.options().logprobs > 0;
  TRY(take(choice.token, event));
  if (logprobs) event.choices.push_back(std::move(choice));
  while (constraint_ && !logprobs && !event.finish) {
    const std::vector<int32_t> forced = constraint_->forced();
    if (forced.empty()) break;
    for (const int32_t token : forced) {
      // The last one that the context takes is sampled, or not needed.
      if (event.finish || prompt_tokens_ + generated_ >= context_tokens_) return event;
      TRY(take(token, event));
    }
  }
  return event;
}

Status Generation::take(text::Token token, Event& event) {
  if (constraint_ && !constraint_->accept(token))
    return error(ErrorKind::kUnsupported, "the grammar does not take token {}, which it had allowed", token);
  const int num_predict = sampler_.options().num_predict;
  sampler_.accept(token);
  ++generated_;
  event.tokens.push_back(token);
  if (ends_with(token)) {
    if (!tokenizer_.is_end_of_generation(token)) event.stop = tokenizer_.piece(token, true);
    event.finish = FinishReason::kStop;
    return {};
  }
  sampling::StopStrings::Output out = stops_.feed(utf8_.feed(tokenizer_.piece(token, false)));
  event.text += out.text;
  event.stop = std::move(out.stop);
  stopped_ = out.stopped;
  if (stopped_ || (constraint_ && constraint_->ended())) {
    event.finish = FinishReason::kStop;
  } else if (num_predict > 0 && generated_ >= static_cast<uint32_t>(num_predict)) {
    event.finish = FinishReason::kLength;
  }
  return {};
}

std::string Generation::rest() {
  if (stopped_) return {};
  auto out = stops_.feed(utf8_.finish());
  if (!out.stopped) out.text += stops_.finish();
  return out.text;
}

}  // namespace hearth::engine
