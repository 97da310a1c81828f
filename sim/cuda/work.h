// Work of streams: queued when a function is called, executed later, in an order that a seed decides.
//
// Within a stream work is done in order. Between streams the order is free but for events that are waited for and the
// legacy default stream (which orders itself against all blocking streams of its context). Nothing happens in the
// background: work is executed when somebody waits or asks, and, depending on the seed, some or all of it at once when
// it is queued. So a program that forgets to wait, or overwrites what a copy still has to read, fails under some seed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "driver/cuda_abi.h"

namespace hearth::sim::cuda {

struct Context;
struct Stream;

struct Completion {
  bool done = false;
  double time_ms = 0;  // when, on the host's clock
};
using Ticket = std::shared_ptr<Completion>;

// One piece of a stream's work. `step` executes a part of it and says whether that was the last; a failure breaks the
// context. Graphs have many steps, between which other streams get their turn.
struct Work {
  std::vector<Ticket> waits;
  Ticket ticket;
  std::function<bool(Context& context, CUresult& result)> step;
};

class Scheduler {
 public:
  void set_seed(std::uint64_t seed);

  // Queues work behind what the stream has; returns the ticket that is done when it is.
  Ticket enqueue(const std::shared_ptr<Stream>& stream, Work work);
  // Executes until the ticket is done.
  void finish(const Ticket& ticket);
  // Executes one step of one stream that can go on; false: there is none.
  bool advance();
  // Drops the work of a context that broke or ends; whoever waits for it goes on.
  void drop(const Context& context);

  std::uint64_t random(std::uint64_t below);
  unsigned new_weight();  // of a stream in the lottery of advance()

 private:
  void step(const std::shared_ptr<Stream>& stream);

  std::mt19937_64 random_{1};
  double eagerness_ = 0;                       // the chance that an enqueue is followed by a step, again and again
  std::vector<std::shared_ptr<Stream>> busy_;  // streams with work
  // What drop() took from under a step that runs: its own closure is in there.
  bool stepping_ = false;
  std::vector<std::deque<Work>> dropped_;
};

}  // namespace hearth::sim::cuda
