// Moves models that nobody has used for long to another store when their own gets full, instead of deleting any; see
// store/cold_models.h. One at a time, while the server answers.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "serve/long_work.h"
#include "store/cold_models.h"

namespace hearth::serve {

class ColdMoves {
 public:
  // `running`: the names of the models that are loaded, as they are displayed.
  ColdMoves(LongWork& work, std::function<std::vector<std::string>()> running)
      : work_(work), running_(std::move(running)) {}

  // To be called every second or so; looks now and then. One thread.
  void look();

 private:
  bool begin(const store::ColdRule& rule, const store::Tier& from, const std::vector<std::string>& in_use);

  LongWork& work_;
  const std::function<std::vector<std::string>()> running_;
  std::chrono::steady_clock::time_point next_{};
  bool told_ = false;  // what is wrong with the rule
  // Of the move that runs, or has run.
  struct State {
    std::atomic<bool> moving = false, failed = false;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace hearth::serve
