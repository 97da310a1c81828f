// The durable queue: jobs of items, each of which goes through the steps of a workflow. Every function is one
// transaction, or a few small ones where it says so, and safe on any thread. What a step costs to take and to finish is
// shared: turn() does it for many in one commit.
//
// Exactly-once effect of at-least-once work: a step may run several times, and one result of it is kept.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "batch/sql.h"

namespace hearth::batch {

inline constexpr int64_t kLease_ms = 30'000;  // of a worker, from its last sign of life
inline constexpr int64_t kMost_deaths = 3;    // of workers that had a step, then it is poison
inline constexpr int64_t kMost_backoff_ms = 300'000;

struct JobInfo {
  int64_t id = 0;
  std::string key = {}, owner = {}, name = {};
  std::string state = {};  // submitting, running, paused, done, cancelled, expired
  std::string spec = {};   // what is to be done, see workflow.h
  std::string info = {};   // JSON of whoever submitted it
  int64_t prio = 0, items = 0, created_ms = 0, ended_ms = 0, deadline_ms = 0;  // 0: not ended, no deadline
};

// A step of every item of a job.
struct StepPlan {
  std::string name, model;    // model: by its content, so that another of the same name is another
  std::vector<size_t> needs;  // earlier steps
  int64_t place = 0;          // among those that could run: the lower the earlier; the item's number is added
  int64_t place_per_item = 1;
};
struct NewItem {
  std::string key, data;   // data: JSON
  std::string model = {};  // in place of the steps'
};

struct Claimed {
  int64_t id = 0, fence = 0, job = 0, item = 0, attempt = 0, deaths = 0;
  std::string name, model, item_key, item_data;
  std::map<std::string, std::string> needs;  // outputs, by step
};

// What became of a step that was taken.
struct Outcome {
  enum class Kind {
    kDone,
    kFailed,     // for good; what needs it fails with it
    kAgain,      // later; the attempt counts
    kReturned,   // later; it does not count
    kElsewhere,  // with another model, from the first attempt on
  };
  Kind kind = Kind::kDone;
  int64_t id = 0, fence = 0;
  std::string output = {};  // JSON; kept with kDone, and with kFailed unless it is empty
  std::string error = {};
  std::string cache_key = {};  // empty: the result is for nobody else
  std::string model = {};      // with kElsewhere
  int64_t prompt_tokens = 0, output_tokens = 0, took_ms = 0;
  int64_t wait_ms = 0;  // before it may be taken again
};

struct Wanted {
  std::string model, owner;
  int64_t count = 0;
  bool suspects = false;  // those that a worker has died with; else the others
};

struct Turn {
  std::vector<Claimed> claimed;
  std::vector<int64_t> ended;         // jobs of which nothing is left
  int64_t finished = 0, refused = 0;  // outcomes that counted; that came too late
};

// What waits for one model, of one owner.
struct Ready {
  std::string model, owner;
  int64_t count = 0, oldest_ms = 0, suspects = 0;
  int64_t first_place = 0;  // see StepPlan
};

struct Counts {
  std::map<std::string, int64_t> by_state;
  int64_t of(const std::string& state) const;
  int64_t total() const;
};

// One step's state, for exports: all of an item's, item by item.
struct StepResult {
  int64_t item = 0;
  std::string item_key, name, state, error, output;
};

class Queue {
 public:
  using Clock = std::function<int64_t()>;  // milliseconds since 1970; may jump
  Queue(std::unique_ptr<Sql> sql, Clock clock) : sql_(std::move(sql)), clock_(std::move(clock)) {}

  // --- Jobs. `owner` keeps them apart: another's is not there.
  // A new one, or the one of that key (then `existed`, if it has the same spec). One that was never wholly submitted is
  // begun again. Errors: kUsage, where the key has another spec.
  struct Submitted {
    int64_t job = 0;
    bool existed = false;
  };
  Result<Submitted> begin_job(const JobInfo& job);
  // The next items of a job that is being submitted, with their steps. Errors: kUsage, for a key that was there.
  Status add_items(int64_t job, std::span<const NewItem> items, std::span<const StepPlan> plan);
  Status release_job(int64_t job);                                                     // all are there: it runs
  Status forget_job(int64_t job);                                                      // with all that it has
  Result<JobInfo> find_job(const std::string& owner, const std::string& key_or_name);  // kNotFound; by name the last
  Result<JobInfo> job(int64_t id);
  Result<std::vector<JobInfo>> jobs(const std::string& owner, const std::string& name_like = "%");  // the last first
  Status set_info(int64_t job, const std::string& info);
  Result<Counts> counts(int64_t job);
  Status pause(int64_t job);
  Status resume(int64_t job);
  Status cancel(int64_t job, const char* state = "cancelled");  // what is done stays
  Result<int64_t> retry_failed(int64_t job);                    // how many
  // Of all items from `first` on, at most `most` items.
  Status results(int64_t job, int64_t first, int64_t most, const std::function<void(const StepResult&)>& take);
  Result<std::string> item_data(int64_t job, int64_t item);

  // --- Work.
  // Says that a worker lives; the first time: that it does.
  Status beat(const std::string& worker, const std::string& node);
  Status leave(const std::string& worker);  // in peace: it holds nothing
  // Frees what dead workers held, ends jobs whose time is over, and mends what a jump of the clock has done. Gives jobs
  // that have ended by it.
  Result<std::vector<int64_t>> reap(const std::string& own_worker);
  // A node begins: none of its workers of before can live.
  Status end_workers_of(const std::string& node);
  Result<std::vector<Ready>> ready();
  Result<Turn> turn(const std::string& worker, std::span<const Outcome> outcomes, std::span<const Wanted> wanted);
  // Which of the worker's steps it still holds, with their fences.
  Result<std::map<int64_t, int64_t>> held(const std::string& worker);
  // The output of a step that was done with the same key.
  Result<std::optional<std::string>> cached(const std::string& owner, const std::string& cache_key);
  // For forecasts: how long steps of a model took, rising; tokens they gave.
  struct Past {
    std::vector<int64_t> took_ms;
    int64_t prompt_tokens = 0, output_tokens = 0;
  };
  Result<Past> past(const std::string& model);
  Result<Counts> all_counts();
  // Steps of a job that are to be done yet, by model; and how many were done in the last minute.
  Result<std::map<std::string, int64_t>> left(int64_t job);
  Result<int64_t> done_in_last_minute(int64_t job);
  int64_t now() const { return clock_(); }

  // For the tables that others keep here (files).
  Status run(const char* statement, std::initializer_list<Param> params, const TakeRow& take = {});

 private:
  template <class Work>
  Status transaction(Work work);
  Status finish(const Outcome& outcome, Turn& turn, std::map<int64_t, bool>& touched);
  Status fail(int64_t step, const std::string& error);
  Status claim(const std::string& worker, const Wanted& wanted, std::vector<Claimed>& claimed);
  Status fill(Claimed& step);
  Status end_if_done(int64_t job, std::vector<int64_t>& ended);
  Status insert_step(const JobInfo& job, int64_t item, const StepPlan& step, const std::string& model,
                     std::vector<int64_t>& ids);

  std::mutex mutex_;
  const std::unique_ptr<Sql> sql_;
  const Clock clock_;
};

}  // namespace hearth::batch
