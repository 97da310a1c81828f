// The batch queue of a server: its database, who works it, and what that needs of the rest of the server.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/router.h"
#include "batch/runner.h"
#include "fleet/fleet.h"
#include "metrics/registry.h"
#include "serve/health.h"
#include "serve/people.h"

namespace hearth::serve {

// Whether a caller's key may use a model.
bool may_use(const api::Caller& caller, const std::string& model);

class BatchWork {
 public:
  struct Needs {
    fleet::Fleet& models;
    Health& health;
    People& people;
    std::shared_ptr<const api::Service> service;  // that does not count as people's
    std::string folder;                           // of the state
    uint32_t parallel = 4;
    bool works = true;  // else jobs are only kept
  };
  // Errors: those of batch::open_sqlite().
  static Result<std::unique_ptr<BatchWork>> start(Needs needs);
  ~BatchWork();

  batch::Queue& queue() { return *queue_; }
  const std::string& folder() const { return needs_.folder; }
  const api::Service& service() const { return *needs_.service; }
  void wake();
  // The content that a model's name stands for. Errors: kNotFound, ...
  Result<std::string> identify(const std::string& name);
  // The steps of each item of a workflow, with the contents of their models. Errors: kNotFound names the model.
  Result<std::vector<batch::StepPlan>> plan_of(const batch::Compiled& workflow);

  // What is known of a model that has worked: for forecasts.
  struct Speed {
    int64_t width = 0, load_ms = 0;  // 0: not known
  };
  Speed speed(const std::string& model) const;
  std::string problem() const;  // why nothing goes on; empty: it does
  batch::Work work() const;
  void add_to(metrics::Page& page);

 private:
  explicit BatchWork(Needs needs) : needs_(std::move(needs)) {}
  struct Known {
    std::string content;
    store::ModelFiles files;
    std::chrono::steady_clock::time_point since;
  };
  Result<Known> look_up(const std::string& name);
  Result<store::ModelFiles> files_of(const std::string& content);
  batch::Host host();
  batch::Cancel ask(const batch::Request& request, const std::string& owner, std::function<void(batch::Reply)> done);
  void seat(const std::string& model, std::function<void(Result<batch::Seat>)> done);
  batch::Others others(const std::string& model);

  const Needs needs_;
  std::unique_ptr<batch::Queue> queue_;
  api::Router routes_;  // that batch work asks
  mutable std::mutex mutex_;
  std::map<std::string, Known> known_;  // by name
  std::map<std::string, Speed> speeds_;
  std::string problem_;
  std::unique_ptr<batch::Runner> runner_;  // ended first
};

}  // namespace hearth::serve
