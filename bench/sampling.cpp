// Host time of choosing the tokens of one step: 64 sequences, 128k vocabulary. Processor time of the thread, so that
// other programs do not count; on several threads each takes its share.
//   build/bench_sampling
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <random>
#include <vector>

#include "sampling/sampler.h"
#include "sampling/select.h"

namespace {

using namespace hearth::sampling;

constexpr size_t kVocabulary = 128256, kSequences = 64, kSteps = 20, kRows = 8;

double thread_ms() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

struct Row {
  std::vector<float> logits;
  std::vector<TokenCandidate> best;
  double total = 0;
};

// Like those of language models: a wide bell, and a few tokens that stand out by `certainty`.
Row make_row(std::mt19937& random, float certainty) {
  Row row;
  std::normal_distribution<float> bell(0, 2);
  row.logits.resize(kVocabulary);
  for (float& logit : row.logits) logit = bell(random);
  for (int i = 0; i < 30; ++i) row.logits[random() % kVocabulary] = certainty + bell(random);
  select_top_k(row.logits, 256, row.best);
  row.total = sum_of_weights(row.logits, row.best[0].logit, 1);
  return row;
}

void measure(const char* name, float certainty, Options options) {
  std::mt19937 random(7);
  std::vector<Row> rows;
  for (size_t i = 0; i < kRows; ++i) rows.push_back(make_row(random, certainty));
  std::vector<Sampler> samplers;
  for (size_t i = 0; i < kSequences; ++i) {
    options.seed = static_cast<int64_t>(i);
    samplers.emplace_back(options, 4096);
  }
  double from_all = 0, from_best = 0;
  size_t whole = 0;
  std::vector<float> scratch;
  for (size_t step = 0; step < kSteps; ++step)
    for (size_t i = 0; i < kSequences; ++i) {
      const Row& row = rows[(step + i) % kRows];
      scratch = row.logits;
      double start = thread_ms();
      auto choice = samplers[i].sample({row.best, row.total, kVocabulary});
      if (!choice->has_value()) {
        ++whole;
        (void)samplers[i].sample(scratch);
      }
      from_best += thread_ms() - start;
      scratch = row.logits;
      start = thread_ms();
      (void)samplers[i].sample(scratch);
      from_all += thread_ms() - start;
    }
  fmt::print("{:32} {:10.3f} {:10.1f} % {:10.3f}\n", name, from_best / kSteps,
             100.0 * static_cast<double>(whole) / (kSteps * kSequences), from_all / kSteps);
}

}  // namespace

int main() {
  fmt::print("ms of processor time per step of {} sequences, {} tokens\n", kSequences, kVocabulary);
  fmt::print("{:32} {:>10} {:>12} {:>10}\n", "", "GPU's best", "whole rows", "all logits");
  for (const auto& [text, certainty] : {std::pair("likely", 15.0f), std::pair("open", 12.0f)}) {
    Options options;
    options.top_k = 0;
    options.top_p = 1;
    options.temperature = 1;
    measure(fmt::format("temperature 1, {}", text).c_str(), certainty, options);
    options.temperature = 0.7f;
    measure(fmt::format("temperature 0.7, {}", text).c_str(), certainty, options);
    options.top_p = 0.9f;
    options.temperature = 1;
    measure(fmt::format("top_p 0.9, {}", text).c_str(), certainty, options);
    measure(fmt::format("top_k 40, {}", text).c_str(), certainty, Options());
    options.temperature = 0;
    measure(fmt::format("temperature 0, {}", text).c_str(), certainty, options);
  }
}
