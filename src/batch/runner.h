// Works the queue: takes steps of the model that is there, as many at once as it answers at once, has them answered,
// and writes down what came of them. One thread decides and writes; what is asked comes back on any.
//
// Requests of people go first: while there are some for another model batch work stops and what runs is given back
// uncounted; for the same model it goes on with fewer steps at once. It comes back a while after the last of them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "batch/policy.h"
#include "batch/queue.h"
#include "batch/request.h"
#include "batch/workflow.h"

namespace hearth::batch {

using Cancel = std::function<void()>;

// A model that stays loaded while this lives.
struct Seat {
  std::shared_ptr<void> lease;
  std::string model;  // by its content, as steps name it
  int64_t width = 1;  // answers at the same time
  int64_t load_ms = 0;
};

// People's requests.
struct Others {
  int64_t running = 0;           // not of batch work
  bool other_model = false;      // one of them asks for another than the model that is named
  int64_t quiet_ms = INT64_MAX;  // since the last one ended
};

// What the server does for the runner; safe on any thread.
struct Host {
  // Calls `done` once, maybe before it returns.
  std::function<Cancel(const Request& request, const std::string& owner, std::function<void(Reply)> done)> ask;
  // Loads a model, by its content; `done` once.
  std::function<void(const std::string& model, std::function<void(Result<Seat>)> done)> seat;
  // The content that a name stands for. Errors: kNotFound, ...
  std::function<Result<std::string>(const std::string& name)> identify;
  std::function<Others(const std::string& model)> others;
  std::function<Status()> room;                          // kNoSpace, where the disk has none for results
  std::function<void(const std::string& problem)> tell;  // why nothing goes on; empty: it goes on
  std::function<void(int64_t job)> ended;                // a job has nothing left; on the runner's thread
};

struct RunnerOptions {
  std::string worker, node;
  Bounds bounds;
  int64_t quiet_ms = 10'000;   // after the last request of people
  int64_t backoff_ms = 1'000;  // after the first failure that may pass; doubles
};

// Since the start, for metrics.
struct Work {
  uint64_t finished = 0, failed = 0, retried = 0, loads = 0, preempted = 0, cached = 0, jobs = 0;
};

class Runner {
 public:
  Runner(Queue& queue, Host host, RunnerOptions options);
  ~Runner();  // gives back what it holds

  void wake();  // there is something new: a job, or one was stopped
  Work work() const;

 private:
  struct Flight;
  struct Gate;
  // What steps need of their job; it never changes.
  struct Job {
    std::string owner, key;
    std::shared_ptr<const Compiled> workflow;
  };
  using Ptr = std::shared_ptr<Flight>;

  void run();
  void beat();
  void round();
  void look_after();
  bool yields();
  bool has_room();
  std::vector<Wanted> wanted();
  void take_seat(const std::string& model);
  void without_seat(const std::string& model, const Error& error);
  void write_down(const std::vector<Wanted>& wanted);
  void start(Claimed step);
  Result<Job> job(int64_t id);  // read once
  Result<Prepared> prepare_step(Flight& flight);
  void next_request(const Ptr& flight);
  void answered(const Ptr& flight, Reply reply);
  Outcome outcome_of(Flight& flight, const Reply& last);
  Outcome failed(Flight& flight, const std::string& message, const std::string& output);
  void put(const Ptr& flight, Outcome outcome);
  void give_back_all();
  void drop_lost();
  void tell(const std::string& problem);
  size_t in_flight() const;

  Queue& queue_;
  const Host host_;
  const RunnerOptions options_;
  const std::shared_ptr<Gate> gate_;  // what comes back after the end finds it shut

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool ends_ = false, woken_ = true;
  std::map<int64_t, Ptr> flights_;      // by step
  std::vector<Outcome> outcomes_;       // that are to be written down
  std::optional<Result<Seat>> seated_;  // what came of the model that was asked for
  Work work_;
  std::map<int64_t, Job> jobs_;

  // Of the runner's thread. Times are of a clock that never jumps.
  using Time = std::chrono::steady_clock::time_point;
  std::optional<Seat> seat_;
  std::string asked_model_;                 // that is being loaded
  std::map<std::string, Time> not_before_;  // models that could not be loaded
  Time turn_began_ = {}, reaped_ = {}, counted_ = {}, calmed_ = {};
  int64_t width_ = 1;
  bool alone_ = false;  // a suspect runs
  std::vector<Ready> ready_;
  std::string problem_;

  std::thread heart_, thread_;
};

}  // namespace hearth::batch
