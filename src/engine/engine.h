// One loaded model that answers many requests at once: submit, cancel, and a step loop on a thread of
// its own; another hands out the events. Every accepted request ends in exactly one final event, and gets the same
// tokens whatever else runs beside it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/device_status.h"
#include "sampling/options.h"
#include "sampling/sampler.h"
#include "text/tokenizer.h"

namespace hearth::placement {
struct Arrangement;
}

namespace hearth::engine {

struct Backend;  // engine/backend.h

// What is larger than the model was loaded for (LoadOptions' batch_rows, logit_rows) is cut to that, with a
// warning in the log.
struct EngineOptions {
  uint32_t max_sequences = 1;  // that run at the same time; more wait in a queue
  uint32_t queue = 512;        // that may wait
  uint32_t step_rows = 512;    // most tokens in one step: long prompts are cut into chunks of this
};

struct Request {
  std::vector<text::Token> prompt;  // must not be empty
  sampling::Options options;        // num_predict 0: the prompt is computed (and cached), nothing generated
  std::vector<std::string> stops;   // beside options.stop: the chat template's
};

enum class FinishReason {
  kStop,       // an end-of-generation token, or a stop string (which is not part of the text)
  kLength,     // num_predict tokens, or the context is full
  kCancelled,  // by cancel(), by the engine's end, or because the sink threw
  kError,      // no token can be had: a device failed, numbers are broken, memory ran out; see Event::error
};

// Counts and times of one request. Durations in nanoseconds.
struct Usage {
  uint32_t prompt_tokens = 0;         // all of them
  uint32_t prompt_tokens_cached = 0;  // of these, taken from shared pages
  uint32_t generated_tokens = 0;      // with the end-of-generation token
  // Until its first step; from there to its first token; from there to its end.
  std::chrono::nanoseconds queued{0}, prompt{0}, generation{0};
};

struct Event {
  std::string text;                       // complete UTF-8; may be empty
  std::vector<text::Token> tokens;        // generated since the last event, the end-of-generation token too
  std::vector<sampling::Choice> choices;  // one per token, if logprobs were asked for
  // Set in the last event only.
  std::optional<FinishReason> finish;
  Usage usage;
  std::optional<Error> error;  // with kError
};

using RequestId = uint64_t;
// Called on one thread of the engine's for all requests, in order, maybe before submit() returns, while the next step
// runs. Must not block: what the next step gives waits. May submit and cancel (its own request gets nothing but the
// last event after that), must not destroy the engine. If it throws, its request is cancelled.
using EventSink = std::function<void(const Event&)>;

struct Stats {
  uint32_t running = 0, waiting = 0;
  uint32_t pages_total = 0, pages_free = 0;  // free: unused, or holding only a reusable prefix
  // Since the start. Prefilled: of prompts, and again after a preemption; not those from shared pages (cached).
  uint64_t steps = 0, tokens_prefilled = 0, tokens_cached = 0, tokens_generated = 0;
  uint64_t devices_lost = 0;  // whether or not they could be made anew
  uint64_t preemptions = 0;   // sequences put back and computed again because the pages ran out
};

class Engine {
 public:
  // What the backend refers to must outlive the engine.
  Engine(Backend backend, std::shared_ptr<const text::Tokenizer> tokenizer, const EngineOptions& options);
  // Cancels what still runs; each gets its final event.
  ~Engine();

  // Safe from any thread, like cancel() and stats().
  // Errors: kUsage (empty prompt, token out of range, bad options), kTooLong (prompt longer than the context), kBusy
  // (queue full), kDeviceLost (see broken()), kCancelled (the engine ends). On success `sink` will get events, the last
  // one with `finish`.
  Result<RequestId> submit(Request request, EventSink sink);
  // The request ends with kCancelled, soon; nothing happens if it has ended.
  void cancel(RequestId id);

  // Moves layers between two steps, without changing any answer, and waits until that is done. Not from a
  // sink. Errors: those of Model::rearrange(), kUnsupported (the model lies on one device for good),
  // kCancelled (the engine ends).
  Status rebalance(placement::Arrangement target);
  // Likewise: gives so many bytes of device memory back to others, as far as it has them.
  Status give_back(uint64_t bytes);

  // Set once a lost device could not be made anew: why nothing is accepted any more.
  std::optional<Error> broken() const;

  Stats stats() const;
  DeviceStatus devices() const;  // where the model is now; safe from any thread
  const text::Tokenizer& tokenizer() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::engine
