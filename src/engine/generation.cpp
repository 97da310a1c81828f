#include "engine/generation.h"

#include <algorithm>

namespace hearth::engine {
namespace {

std::vector<std::string> all_stops(const Request& request) {
  std::vector<std::string> stops = request.options.stop;
  stops.insert(stops.end(), request.stops.begin(), request.stops.end());
  return stops;
}

}  // namespace

Generation::Generation(const Request& request, const text::Tokenizer& tokenizer, size_t context_tokens)
    : tokenizer_(tokenizer), sampler_(request.options, context_tokens), stops_(all_stops(request)) {
  for (text::Token token : request.prompt) sampler_.accept(token);
  for (const std::string& stop : all_stops(request)) {
    const text::Token token = tokenizer.find(stop);
    if (token != text::kNoToken && tokenizer.is_control(token)) stop_tokens_.push_back(token);
  }
}

bool Generation::ends_with(text::Token token) const {
  return tokenizer_.is_end_of_generation(token) || std::ranges::find(stop_tokens_, token) != stop_tokens_.end();
}

Result<Event> Generation::next(std::span<float> logits) {
  return next_from(logits);
}

Result<Event> Generation::next(const sampling::BestLogits& logits) {
  return next_from(logits);
}

template <class Logits>
Result<Event> Generation::next_from(const Logits& logits) {
  Event event;
  const int num_predict = sampler_.options().num_predict;
  if (num_predict == 0) {
    TRY(sampling::check_finite(logits));  // what is in the cache now may be used by others
    event.finish = FinishReason::kLength;
    return event;
  }

  ASSIGN_OR_RETURN(sampling::Choice choice, sampler_.sample(logits));
  const text::Token token = choice.token;
  sampler_.accept(token);
  ++generated_;
  event.tokens.push_back(token);
  if (sampler_.options().logprobs > 0) event.choices.push_back(std::move(choice));

  if (ends_with(token)) {
    event.finish = FinishReason::kStop;
    return event;
  }
  auto [text, stopped] = stops_.feed(utf8_.feed(tokenizer_.piece(token, false)));
  event.text = std::move(text);
  stopped_ = stopped;
  if (stopped) {
    event.finish = FinishReason::kStop;
  } else if (num_predict > 0 && generated_ >= static_cast<uint32_t>(num_predict)) {
    event.finish = FinishReason::kLength;
  }
  return event;
}

std::string Generation::rest() {
  if (stopped_) return {};
  auto [text, stopped] = stops_.feed(utf8_.finish());
  if (!stopped) text += stops_.finish();
  return text;
}

}  // namespace hearth::engine
