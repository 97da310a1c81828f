// The inside of an engine: what its threads share, and what its own thread does, in two files: engine.cpp has requests
// on their way in and what happens between steps, step.cpp a step from its plan to its events.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "engine/backend.h"
#include "engine/background.h"
#include "engine/delivery.h"
#include "engine/embedded.h"
#include "engine/engine.h"
#include "engine/generation.h"
#include "engine/pooled.h"
#include "engine/step_cost.h"
#include "sched/scheduler.h"

namespace hearth::engine {

using Clock = std::chrono::steady_clock;

// A request that was accepted and has not had its final event.
struct Active {
  Active(const Request& request, Generation how) : generation(std::move(how)), deadline(request.deadline) {
    usage.prompt_tokens = static_cast<uint32_t>(request.prompt.size());
    tells_begin = request.tells_begin;
    adapter = request.adapter;
    embedded = request.embedded;
  }

  Generation generation;
  std::optional<Pooled> pooled;  // then nothing is generated
  std::shared_ptr<Delivery::Receiver> receiver;
  std::optional<Clock::time_point> deadline;
  Usage usage;
  bool tells_begin = false;
  uint32_t adapter = 0;
  std::vector<EmbeddedPart> embedded;
  Clock::time_point submitted = Clock::now();
  std::optional<Clock::time_point> first_step, first_token;
};

// What an exception tells, as an error: whatever happens costs the requests at hand, not the process.
template <class Run>
Status guarded(const Run& run) {
  try {
    return run();
  } catch (const std::bad_alloc&) {
    return error(ErrorKind::kNoMemory, "memory ran out while this was computed; try again, or run less at a time");
  } catch (const std::exception& exception) {
    return error(ErrorKind::kIo, "an exception while this was computed: {}", exception.what());
  }
}

struct Engine::Impl {
  struct Arrival {
    RequestId id;
    std::vector<text::Token> prompt;
    sched::SequenceOptions options;
    std::unique_ptr<Active> active;
  };
  // A row of logits and what becomes of it.
  struct Sampled {
    const sched::StepSequence* part;
    Generation* generation;
    uint32_t row;             // of those with logits
    std::span<float> logits;  // all of it; empty: the best of it are in the readout
    Result<std::optional<Event>> event = std::optional<Event>();
  };

  Impl(Backend what, std::shared_ptr<const text::Tokenizer> tokens, const EngineOptions& wanted);
  ~Impl();

  // On any thread.
  Status check(const Request& request) const;
  Status check_embedded(const Request& request) const;
  Result<std::vector<RequestId>> submit(const Request& request, std::vector<EventSink> sinks);
  void cancel(RequestId id);
  bool drain(Clock::time_point deadline);
  Stats read_stats() const;

  // On the engine's thread.
  void run();
  bool take_inbox();
  bool work_waits() const;  // under `mutex`
  void begin(Arrival arrival);
  void end_overdue();
  void look_at_devices();
  DeviceStatus devices_now() const;
  void tell_live_pages() const;
  void maintain();
  void recover(const Error& loss);

  // A step, likewise (engine/step.cpp).
  void step();
  Status compute(const sched::Step& step);
  void start(const sched::Step& step);
  void fail(const sched::Step& step, const Error& error);
  device::Batch batch_of(const sched::Step& step) const;
  device::Batch alone(const sched::Step& step, const sched::StepSequence& part) const;
  void add_part(const sched::StepSequence& part, uint32_t first_row, device::Batch& batch) const;
  void add_places(std::span<const sched::StepSequence> parts, device::Batch& batch) const;
  std::span<const int32_t> pages_of(const sched::StepSequence& part) const;
  device::Readout wanted(const sched::Step& step);
  void take_cancels();
  void build_masks(const sched::Step& step);
  std::chrono::nanoseconds step_limit() const;
  void pool(const sched::Step& step, const device::Readout& readout);
  void end_pooled(const sched::Step& step);
  void sample(const sched::Step& step, const device::Readout& readout);
  void sample_undecided(std::span<Sampled> rows);
  void for_each(std::span<Sampled> rows, const std::function<void(Sampled&)>& body);
  void refuse(const sched::Step& step, const sched::StepSequence& part, const Error& error);
  void deliver(RequestId id, Event event);
  void finish(RequestId id, FinishReason reason, Event last = {});
  void publish(uint32_t ended_now = 0);

  // What others ask of the engine's thread, and its answer.
  struct Task {
    std::function<Status()> run;
    std::promise<Status> result;
  };
  Status between_steps(std::function<Status()> run);

  const Backend backend;
  const std::shared_ptr<const text::Tokenizer> tokenizer;
  const std::vector<text::Token> ends;
  const EngineOptions options;

  // The engine's thread's own.
  sched::Scheduler scheduler;
  std::atomic<uint32_t> context;  // also read by others
  uint32_t model_pages;           // of the model, not of the scheduler, which deals in groups of them
  std::map<RequestId, std::unique_ptr<Active>> actives;
  mutable std::deque<std::vector<int32_t>> pages;  // of the sequences of a step, where the scheduler's are groups
  std::vector<float> logits, more_logits;          // of rows that are read with the step, and after it
  StepCost cost;
  std::chrono::milliseconds bound{0};
  Clock::time_point maintained = Clock::now();
  bool layers_move = false;  // see Backend::maintain
  Stats counted;             // the sums; the rest is filled in by publish()

  // Shared, under `mutex`.
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::vector<Arrival> arrivals;
  std::vector<RequestId> cancels;
  std::vector<Task> tasks;  // between two steps
  std::optional<Error> broken;
  bool stopping = false, draining = false, cancels_all = false;
  std::condition_variable ended;  // a request has
  RequestId last_id = 0;
  uint32_t unfinished = 0;  // accepted, without final event
  Stats published;

  Delivery delivery;
  Background masks;
  std::thread thread;
};

}  // namespace hearth::engine
