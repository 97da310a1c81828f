#include "sim/cuda/work.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "base/check.h"
#include "sim/cuda/state.h"

namespace hearth::sim::cuda {
namespace {

double host_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool all_done(const std::vector<Ticket>& waits) {
  return std::all_of(waits.begin(), waits.end(), [](const Ticket& ticket) { return ticket->done; });
}

void complete(const Ticket& ticket) {
  ticket->done = true;
  ticket->time_ms = host_ms();
}

// The legacy default stream waits for all blocking streams of its context, and they for it.
void order_against_default(const Stream& stream, const Context& context, std::vector<Ticket>& waits) {
  if (stream.flags & CU_STREAM_NON_BLOCKING) return;
  if (!stream.legacy) {
    if (context.legacy->last) waits.push_back(context.legacy->last);
    return;
  }
  Driver::instance().streams.for_each([&](CUstream, const std::shared_ptr<Stream>& other) {
    const bool blocking = (other->flags & CU_STREAM_NON_BLOCKING) == 0;
    if (blocking && other->last && other->context.lock().get() == &context) waits.push_back(other->last);
  });
  if (context.per_thread->last) waits.push_back(context.per_thread->last);
}

}  // namespace

void Scheduler::set_seed(std::uint64_t seed) {
  random_.seed(seed);
  // Some seeds do everything late, some at once, some mix.
  constexpr std::array<double, 4> kEagerness{0, 0, 0.5, 1};
  eagerness_ = kEagerness[seed % kEagerness.size()];
}

std::uint64_t Scheduler::random(std::uint64_t below) {
  return random_() % below;
}

unsigned Scheduler::new_weight() {
  // Unequal, so that under some seeds one stream runs far ahead of another.
  constexpr std::array<unsigned, 3> kWeights{1, 8, 64};
  return kWeights[random(kWeights.size())];
}

Ticket Scheduler::enqueue(const std::shared_ptr<Stream>& stream, Work work) {
  const std::shared_ptr<Context> context = stream->context.lock();
  CHECK(context != nullptr);
  order_against_default(*stream, *context, work.waits);
  work.ticket = std::make_shared<Completion>();
  const Ticket ticket = work.ticket;
  stream->last = ticket;
  stream->queue.push_back(std::move(work));
  if (std::find(busy_.begin(), busy_.end(), stream) == busy_.end()) busy_.push_back(stream);
  constexpr std::uint64_t kScale = 1024;
  const auto chance = static_cast<std::uint64_t>(eagerness_ * kScale);
  while (chance > 0 && random(kScale) < chance && advance()) {
  }
  return ticket;
}

void Scheduler::finish(const Ticket& ticket) {
  while (ticket != nullptr && !ticket->done) {
    const bool advanced = advance();
    CHECK(advanced);  // work waits only for what was queued before it
  }
}

bool Scheduler::advance() {
  std::vector<std::shared_ptr<Stream>> ready;
  std::uint64_t tickets = 0;
  for (const std::shared_ptr<Stream>& stream : busy_) {
    if (!all_done(stream->queue.front().waits)) continue;
    ready.push_back(stream);
    tickets += stream->weight;
  }
  if (ready.empty()) return false;
  std::uint64_t drawn = random(tickets);
  for (const std::shared_ptr<Stream>& stream : ready) {
    if (drawn < stream->weight) {
      step(stream);
      break;
    }
    drawn -= stream->weight;
  }
  return true;
}

void Scheduler::step(const std::shared_ptr<Stream>& stream) {
  const std::shared_ptr<Context> context = stream->context.lock();
  CHECK(context != nullptr);
  Work& work = stream->queue.front();
  CUresult result = Driver::instance().state_of(*context);
  bool finished = result != CUDA_SUCCESS;
  stepping_ = true;
  if (!finished) finished = work.step(*context, result);
  stepping_ = false;
  dropped_.clear();
  if (result != CUDA_SUCCESS) {
    Driver::instance().raise(*context, result, "");
    drop(*context);
    return;
  }
  if (!finished) return;
  complete(work.ticket);
  stream->queue.pop_front();
  if (stream->queue.empty()) std::erase(busy_, stream);
}

void Scheduler::drop(const Context& context) {
  for (const std::shared_ptr<Stream>& stream : busy_) {
    if (stream->context.lock().get() != &context) continue;
    for (const Work& work : stream->queue) complete(work.ticket);
    if (stepping_) dropped_.push_back(std::move(stream->queue));
    stream->queue.clear();
  }
  std::erase_if(busy_, [](const std::shared_ptr<Stream>& stream) { return stream->queue.empty(); });
}

}  // namespace hearth::sim::cuda
