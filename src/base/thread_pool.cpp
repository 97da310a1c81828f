#include "base/thread_pool.h"

#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/futex.h"

namespace hearth {
namespace {

// Ops of one step follow each other within microseconds: who waits spins. A worker sleeps when a step is over, the
// caller when an item takes long. Where processors are contended spinning takes time from those who would use it, and
// who sleeps is given a processor sooner after it is woken than who has used up its time.
constexpr int64_t kAwake_ns = 300'000, kAwakeContended_ns = 20'000;
constexpr int64_t kPatience_ns = 100'000, kPatienceContended_ns = 5'000;
// Between two looks at the clock; a gap much longer than they take is somebody else's turn on this processor.
constexpr int kPauses = 32;
constexpr int64_t kGap_ns = 100'000;
constexpr int64_t kContended_ns = 50'000'000;  // from then on for so long
constexpr int64_t kStall_ns = 300'000;         // longer than almost any item takes

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Spins until `done` or for `most_ns`; whether it is done. `longest_gap_ns`: between looks at the clock.
template <class Done>
bool spin(const Done& done, int64_t most_ns, int64_t* longest_gap_ns) {
  *longest_gap_ns = 0;
  for (int i = 0; i < kPauses; ++i) {
    if (done()) return true;
    pause();
  }
  const int64_t start = now_ns();
  for (int64_t last = start; last - start < most_ns;) {
    for (int i = 0; i < kPauses; ++i) {
      if (done()) return true;
      pause();
    }
    const int64_t now = now_ns();
    *longest_gap_ns = std::max(*longest_gap_ns, now - last);
    last = now;
  }
  return done();
}

}  // namespace

ThreadPool::ThreadPool(int threads, int most) : most_(most), shares_(new Share[static_cast<size_t>(most)]) {
  CHECK(threads >= 1);
  try {
    grow(threads);
  } catch (...) {
    stop();
    throw;
  }
}

void ThreadPool::grow(int wanted) {
  CHECK(wanted <= most_ && left_.load(std::memory_order_relaxed) == 0);
  while (threads() < wanted) workers_.emplace_back([this, thread = threads()] { work(thread); });
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() {
  stop_.store(true);
  section_.fetch_add(1);
  futex_wake_all(section_);
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::wants_team() const {
  return gauge_.wants_team(now_ns());
}

bool ThreadPool::contended() const {
  return now_ns() < contended_until_ns_.load(std::memory_order_relaxed);
}

void ThreadPool::note_contention() {
  contended_until_ns_.store(now_ns() + kContended_ns, std::memory_order_relaxed);
}

void ThreadPool::publish(uint32_t items, int team) {
  left_.store(items, std::memory_order_relaxed);
  uint32_t begin = 0;
  for (int t = 0; t < team; ++t) {
    const auto end =
        static_cast<uint32_t>(uint64_t{items} * static_cast<uint64_t>(t + 1) / static_cast<uint64_t>(team));
    Share& share = shares_[static_cast<size_t>(t)];
    share.end = end;
    share.left.store(end - begin, std::memory_order_release);
    begin = end;
  }
  team_.store(team, std::memory_order_relaxed);
  section_.fetch_add(1);
}

void ThreadPool::run(uint32_t items, int team, Function function, void* context) {
  CHECK(left_.load(std::memory_order_relaxed) == 0);  // no other section runs
  const int64_t start = now_ns();
  function_ = function;
  context_ = context;
  publish(items, team);
  if (asleep_.load() > 0) futex_wake_all(section_);
  const int64_t published = now_ns();
  const uint32_t own = run_items(0);
  const int64_t worked = now_ns();
  int64_t ended = worked;
  if (left_.fetch_sub(own, std::memory_order_acq_rel) != own) {
    wait_for_workers();
    ended = now_ns();
    if (ended - worked > kStall_ns) note_contention();
  }
  // What others did would have taken as long here; if there was a turn of somebody else's in between it looks longer.
  const int64_t saved = own == 0 ? 0 : (worked - published) / own * (items - own);
  gauge_.add(std::min(saved, (worked - published) * (team - 1)), published - start + ended - worked, ended);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::wait_for_workers() {
  const auto done = [&] { return left_.load(std::memory_order_acquire) == 0; };
  int64_t gap;
  if (spin(done, contended() ? kPatienceContended_ns : kPatience_ns, &gap)) return;
  caller_asleep_.store(true);
  for (uint32_t left; (left = left_.load()) != 0;) futex_wait(left_, left);
  caller_asleep_.store(false, std::memory_order_relaxed);
}

uint32_t ThreadPool::run_items(int thread) {
  uint32_t done = 0;
  const int team = team_.load(std::memory_order_relaxed);
  for (int k = 0; k < team; ++k) {
    Share& share = shares_[static_cast<size_t>((thread + k) % team)];
    for (uint32_t left = share.left.load(std::memory_order_acquire); left > 0;) {
      if (!share.left.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel)) continue;
      run_item(share.end - left, thread);
      ++done;
      left = share.left.load(std::memory_order_acquire);
    }
  }
  return done;
}

// What is thrown on a worker must reach the caller, and the caller must not leave while workers use what it has.
void ThreadPool::run_item(uint32_t item, int thread) {
  try {
    function_(context_, item, thread);
  } catch (...) {
    const std::lock_guard lock(failure_mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

uint32_t ThreadPool::next_section(uint32_t seen) {
  const auto changed = [&] { return section_.load(std::memory_order_acquire) != seen; };
  int64_t gap;
  const bool awake = spin(changed, contended() ? kAwakeContended_ns : kAwake_ns, &gap);
  if (gap > kGap_ns) note_contention();
  if (!awake) {
    asleep_.fetch_add(1);
    while (section_.load() == seen) futex_wait(section_, seen);
    asleep_.fetch_sub(1, std::memory_order_relaxed);
  }
  return section_.load(std::memory_order_acquire);
}

void ThreadPool::work(int thread) {
  for (uint32_t section = 0;;) {
    section = next_section(section);
    if (stop_.load()) return;
    if (thread >= team_.load(std::memory_order_relaxed)) continue;
    const uint32_t done = run_items(thread);
    if (done > 0 && left_.fetch_sub(done) == done && caller_asleep_.load()) futex_wake_all(left_);
  }
}

}  // namespace hearth
