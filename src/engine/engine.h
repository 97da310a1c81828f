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

namespace hearth::sampling {
class Constraint;
}

namespace hearth::placement {
struct Arrangement;
}

namespace hearth::engine {

struct Backend;  // engine/backend.h

inline constexpr std::chrono::milliseconds kStep_bound_gpu(100), kStep_bound_cpu(250);

// What is larger than the model was loaded for (LoadOptions' batch_rows, logit_rows) is cut to that, with a
// warning in the log.
struct EngineOptions {
  uint32_t max_sequences = 1;  // that run at the same time; more wait in a queue
  uint32_t queue = 512;        // that may wait
  uint32_t step_rows = 512;    // most tokens in one step: long prompts are cut into chunks of this
  // What a step may take, as far as that is learned, so that nobody waits longer for the next token; but see
  // sched::Scheduler::plan(). 0: kStep_bound_gpu for a model that is wholly on GPUs, else kStep_bound_cpu.
  std::chrono::milliseconds step_bound{0};
};

// What becomes of a prompt that is to be a vector instead of answered.
enum class Pooling {
  kFirst,  // the first token's row
  kLast,   // the last token's row
  kMean,   // the mean of all rows
};

// A part of a prompt that is given as rows in place of tokens: an image, say.
struct EmbeddedPart {
  uint32_t first = 0;                                // place in the prompt, whose tokens there count for nothing
  std::shared_ptr<const std::vector<float>> values;  // rows of (1 + deep) times the model's width; see EmbeddedRows
  uint64_t key = 0;  // of the content: computed prefixes are shared with those that have the same; best a hash
  uint32_t deep = 0;
  bool together = false;           // its rows see one another
  uint32_t columns = 0, rows = 0;  // of the picture, where positions have rows and columns; 0: they are as of text
};

struct Request {
  std::vector<text::Token> prompt;  // must not be empty
  sampling::Options options;        // num_predict 0: the prompt is computed (and cached), nothing generated
  std::vector<std::string> stops;   // beside options.stop: the chat template's

  std::string user = {};  // among whom the model is shared equally; empty: all who gave no name together
  int32_t priority = 0;   // requests of a higher one go before all others
  // It ends with kTimeout then, whether it waits or runs.
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
  uint32_t min_tokens = 0;  // before so many it does not end by itself, nor at a control token that a stop names
  bool ignore_eos = false;  // nor ever
  std::vector<text::Token> stop_tokens = {};  // that end it too
  bool penalises_prompt = true;               // penalties look at the prompt too, not only at the answer
  bool tells_begin = false;                   // an event says when it begins, with the counts of the prompt as usage
  uint64_t cache_salt = 0;                    // computed prefixes are shared with requests of the same salt only
  uint32_t adapter = 0;                       // of Backend::adapters; 0: none. No prefixes are shared between two
  std::vector<EmbeddedPart> embedded = {};    // ascending, without overlap
  // Nothing is generated: the last event, with kStop, has the prompt as a vector of length 1 (Event::embedding), made
  // of what the output matrix would read. Of `options` nothing counts then. All but kLast compute every row, also of
  // prefixes that are cached. kUnsupported where the model has no such rows.
  std::optional<Pooling> pooling = {};
  // What the answer must obey; the request's own. It may make an answer end in spite of min_tokens and ignore_eos.
  std::shared_ptr<sampling::Constraint> constraint = nullptr;
};

enum class FinishReason {
  kStop,       // an end-of-generation token, or a stop string (which is not part of the text)
  kLength,     // num_predict tokens, or the context is full
  kCancelled,  // by cancel(), by the engine's end, or because the sink threw or was too slow by megabytes
  kError,      // no token can be had: a device failed, numbers are broken, memory or time ran out; see Event::error
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
  std::string stop;              // the stop string, with kStop because of one
  Usage usage;                   // or of the prompt, see Request::tells_begin
  std::optional<Error> error;    // with kError
  std::vector<float> embedding;  // of requests with `pooling`
};

using RequestId = uint64_t;
// Called on threads of the engine's, one call at a time for each request, in order, maybe before submit() returns,
// while the next step runs. What comes while it is called is one event afterwards. Should not block (see
// engine/event_queue.h for readers that do): the engine waits a moment for it, once. May submit and cancel (its own
// request gets nothing but the last event after that), must not destroy the engine. If it throws, its request is
// cancelled.
using EventSink = std::function<void(const Event&)>;

struct Stats {
  uint32_t running = 0, waiting = 0;
  uint32_t pages_total = 0, pages_free = 0;  // free: unused, or holding only a reusable prefix
  // Since the start. Prefilled: of prompts, and again after a preemption; not those from shared pages (cached).
  uint64_t steps = 0, tokens_prefilled = 0, tokens_cached = 0, tokens_generated = 0;
  uint64_t devices_lost = 0;              // whether or not they could be made anew
  std::chrono::nanoseconds computing{0};  // in the steps, without waiting for other engines
  uint64_t preemptions = 0;               // sequences put back and computed again because the pages ran out
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
  // Several answers to one prompt, one for each sink; all or none are accepted. The prompt is computed once. A seed
  // that is given is the first one's; the others get the numbers that follow it.
  Result<std::vector<RequestId>> submit(const Request& request, std::vector<EventSink> sinks);
  // The request ends with kCancelled, soon; nothing happens if it has ended.
  void cancel(RequestId id);

  // Accepts nothing more, and waits until all requests have ended; those that have not by `deadline` are cancelled.
  // False: some were. Not from a sink.
  bool drain(std::chrono::steady_clock::time_point deadline);

  // Moves layers between two steps, without changing any answer, and waits until that is done. Not from a
  // sink. Errors: those of Model::rearrange(), kUnsupported (the model lies on one device for good),
  // kCancelled (the engine ends).
  Status rebalance(placement::Arrangement target);
  // Likewise: gives so many bytes of device memory back to others, as far as it has them.
  Status give_back(uint64_t bytes);
  // Likewise: takes what is free for layers now, without waiting to see that it stays free, since somebody made it free
  // for this model. Nothing happens where none would come.
  Status take_free();

  // Likewise: more cache, so that requests from now on may have `context` tokens; `pages` of device::kPage_tokens are
  // for all together. Nothing happens to what runs. Errors: those of Model::grow(), kUnsupported, kCancelled.
  Status grow(uint32_t context, uint32_t pages);

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
