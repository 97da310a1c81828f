// Looks at the server once a second and keeps what all who watch it are told: the figures, and how they were over the
// last ten minutes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "api/router.h"
#include "base/current.h"
#include "fleet/cards.h"
#include "metrics/figures.h"
#include "serve/disk_watch.h"
#include "serve/health.h"
#include "serve/requests.h"
#include "serve/transfers.h"

namespace hearth::serve {

class Observer {
 public:
  struct Sources {
    const fleet::Fleet& models;
    const Health& health;
    const DiskWatch& disks;
    const Transfers& transfers;
    const Requests& requests;
    bool gpus = true;  // look for them
  };
  explicit Observer(const Sources& sources);
  ~Observer();

  // As they are now; what is a rate, as it was over the second before the last look. Any thread, like all here; may
  // wait for the driver.
  std::shared_ptr<const metrics::Figures> figures();
  // Sends the figures every second, a line of JSON each, the first with the history, until the client goes or
  // end_streams().
  void stream(const std::shared_ptr<http::Exchange>& exchange);
  void end_streams();

 private:
  using Clock = std::chrono::steady_clock;
  struct Stream {
    std::shared_ptr<http::Exchange> exchange;
    Clock::time_point until;
  };

  void work();
  void look();
  bool watched() const;
  metrics::Figures collect(bool ask);
  void remember(const metrics::Figures& figures);
  void send(const metrics::Figures& figures);

  const Sources sources_;
  const double started_;
  std::mutex looking_;  // one look at a time; guards this:
  fleet::Cards cards_;

  Current<metrics::Figures> latest_{{}};
  std::atomic<Clock::time_point> wanted_{Clock::time_point()};  // somebody asked for the figures then

  mutable std::mutex mutex_;  // guards these:
  std::condition_variable changed_;
  bool ends_ = false, streams_end_ = false;
  metrics::History history_;
  std::vector<Stream> streams_;

  std::thread thread_;
};

// GET /hearth/figures: the figures as JSON; with ?stream=1 every second, a line each.
void add_figures_route(api::Router& router, Observer& observer);

}  // namespace hearth::serve
