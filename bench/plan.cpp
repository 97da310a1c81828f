// What the planning of a step takes: scheduler and cost model of 64 answers that run, alone and with prompts that wait.
// Prints microseconds of thread time per step.
#include <fmt/format.h>
#include <time.h>

#include <cstdint>
#include <vector>

#include "sched/scheduler.h"

namespace {

using namespace hearth::sched;

double thread_us() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

std::vector<Token> tokens(size_t count, SequenceId id) {
  std::vector<Token> list(count);
  for (size_t i = 0; i < count; ++i) list[i] = static_cast<Token>((i * 31 + id * 7) % 1000);
  return list;
}

double step_us(uint32_t running, uint32_t waiting) {
  constexpr int kSteps = 400;
  Scheduler scheduler({.pages = 64 * 64,
                       .page_tokens = 32,
                       .context = 2048,
                       .max_sequences = running + (waiting > 0 ? 4 : 0),
                       .step_rows = 512,
                       .logit_rows = 128});
  SequenceId last = 0;
  const auto add = [&](uint32_t length, uint32_t user) {
    ++last;
    scheduler.add(last, tokens(length, last), {.user = user});
  };
  for (uint32_t i = 0; i < running; ++i) add(500, i % 8);
  double spent = 0;
  for (int i = -200; i < kSteps; ++i) {  // first the prompts
    while (i >= 0 && scheduler.counts().waiting < waiting) add(1500, static_cast<uint32_t>(last % 8));
    const double start = thread_us();
    const Step step = scheduler.plan({.limit = 250'000, .fixed = 10'000, .row = 500, .key = 1});
    scheduler.commit(step);
    for (const StepSequence& part : step.sequences)
      if (part.samples > 0) scheduler.append(part.id, static_cast<Token>(i & 1023));
    if (i >= 0) spent += thread_us() - start;
  }
  return spent / kSteps;
}

}  // namespace

int main() {
  for (const uint32_t waiting : {0u, 200u})
    fmt::print("64 running, {:3} waiting: {:.1f} us per step\n", waiting, step_us(64, waiting));
}
