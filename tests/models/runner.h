// Runs a model over tokens in whatever pieces a test likes.
#pragma once

#include <algorithm>
#include <numeric>
#include <random>

#include "models/model.h"
#include "support/support.h"

namespace hearth::test {

// One sequence: its tokens and the cache pages that it may use.
struct Sequence {
  std::vector<int32_t> tokens;
  std::vector<int32_t> pages;
  uint32_t done = 0;  // tokens already in the cache
};

// `count` sequences over `tokens`, their pages scattered over the cache of `pages` pages, in groups (see
// models::Model::page_group).
inline std::vector<Sequence> scattered_sequences(std::span<const int32_t> tokens, size_t count, uint32_t pages,
                                                 uint64_t seed, uint32_t group = 1) {
  std::vector<int32_t> free(pages / group);
  std::iota(free.begin(), free.end(), 0);
  std::shuffle(free.begin(), free.end(), std::mt19937_64(seed));
  std::vector<Sequence> sequences(count);
  for (Sequence& sequence : sequences) {
    sequence.tokens.assign(tokens.begin(), tokens.end());
    for (size_t i = 0; i < tokens.size(); i += size_t{group} * device::kPage_tokens) {
      for (uint32_t page = 0; page < group; ++page)
        sequence.pages.push_back(free.back() * static_cast<int32_t>(group) + static_cast<int32_t>(page));
      free.pop_back();
    }
  }
  return sequences;
}

// One step: the next rows[i] tokens of sequence i (0: not in the batch). Returns the logits of all rows.
inline std::vector<float> step(models::Model& model, std::span<Sequence> sequences, std::span<const uint32_t> rows) {
  device::Batch batch;
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < sequences.size(); ++i) {
    if (rows[i] == 0) continue;
    Sequence& sequence = sequences[i];
    batch.sequences.push_back({static_cast<uint32_t>(tokens.size()), rows[i], sequence.done, sequence.pages});
    const auto first = sequence.tokens.begin() + sequence.done;
    tokens.insert(tokens.end(), first, first + rows[i]);
    sequence.done += rows[i];
  }
  batch.tokens = tokens;
  batch.logit_rows.resize(tokens.size());
  std::iota(batch.logit_rows.begin(), batch.logit_rows.end(), 0u);
  std::vector<float> logits(tokens.size() * model.spec().vocabulary);
  const Status status = model.forward(batch, logits);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return logits;
}

// The logits of every position of one sequence, run in chunks of these sizes (the last one repeated).
inline std::vector<float> run_in_chunks(models::Model& model, std::span<const int32_t> tokens,
                                        std::vector<uint32_t> chunks) {
  std::vector<Sequence> sequence = scattered_sequences(tokens, 1, model.options().pages, 1, model.page_group());
  std::vector<float> all;
  for (size_t i = 0; sequence[0].done < tokens.size(); ++i) {
    const uint32_t left = static_cast<uint32_t>(tokens.size()) - sequence[0].done;
    const uint32_t rows = std::min(left, chunks[std::min(i, chunks.size() - 1)]);
    const std::vector<float> logits = step(model, sequence, {&rows, 1});
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

}  // namespace hearth::test
