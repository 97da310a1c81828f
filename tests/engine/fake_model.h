// A model and a tokenizer for tests of the engine. The model has a real paged cache, of tokens: what it
// predicts depends on all tokens that it finds through the page table, so that a wrong page shows.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/engine.h"

namespace hearth::engine::test {

using text::Token;

// Token 0 ends the answer; 1 .. 26 are a .. z, 27 a space, 28 and 29 the two bytes of é, 30 a ! with
// the first of them behind it.
class FakeTokenizer : public text::Tokenizer {
 public:
  static constexpr Token kEnd = 0, kTurn = 31, kVocabulary = 32;  // kTurn, "<turn>": a control token that is no end

  using Tokenizer::encode;
  std::vector<Token> encode(std::span<const text::Span> spans, bool) const override {
    std::vector<Token> tokens;
    for (const text::Span& span : spans)
      for (char c : span.text) tokens.push_back(of_byte(c));
    return tokens;
  }
  std::string piece(Token token, bool) const override {
    if (token >= 1 && token <= 26) return std::string(1, static_cast<char>('a' + token - 1));
    if (token == 27) return " ";
    if (token == 28) return "\xC3";
    if (token == 29) return "\xA9";
    if (token == 30) return "!\xC3";
    return {};
  }
  std::string decode(std::span<const Token> tokens, bool special) const override {
    std::string text;
    for (Token token : tokens) text += piece(token, special);
    return text;
  }
  size_t size() const override { return kVocabulary; }
  std::string_view model_name() const override { return "fake"; }
  std::string_view pre_name() const override { return ""; }
  Token bos() const override { return text::kNoToken; }
  Token eos() const override { return kEnd; }
  bool adds_bos() const override { return false; }
  bool is_end_of_generation(Token token) const override { return token == kEnd; }
  bool is_control(Token token) const override { return token == kEnd || token == kTurn; }
  Token find(std::string_view text) const override { return text == "<turn>" ? kTurn : text::kNoToken; }

 private:
  static Token of_byte(char c) {
    if (c == ' ') return 27;
    if (c == '\xC3') return 28;
    if (c == '\xA9') return 29;
    if (c == '\x1E') return kTurn;
    return c >= 'a' && c <= 'z' ? c - 'a' + 1 : 30;
  }
};

// A request for the most likely answer to `text`.
inline Request prompt(std::string_view text) {
  Request request;
  request.prompt = FakeTokenizer().encode(text, {});
  request.options.temperature = 0;
  return request;
}

// Writes the logits of the token that follows `tokens`.
using Predict = std::function<void(std::span<const Token> tokens, std::span<float> logits)>;

// Random-looking logits that depend on every token and its place; an end about once in `length` tokens.
inline Predict babble(uint32_t length = 40) {
  return [length](std::span<const Token> tokens, std::span<float> logits) {
    uint64_t hash = 1469598103934665603u;
    for (Token token : tokens) hash = (hash ^ static_cast<uint64_t>(token + 1)) * 1099511628211u + 7;
    for (float& logit : logits) {
      hash = hash * 6364136223846793005u + 1442695040888963407u;
      logit = static_cast<float>(hash >> 40) / static_cast<float>(1u << 22);
    }
    logits[FakeTokenizer::kEnd] = (hash >> 20) % length == 0 ? 100.0f : -100.0f;
  };
}

// Says `text` after a prompt of `prompt_tokens` tokens, then ends.
inline Predict say(std::string text, size_t prompt_tokens) {
  const std::vector<Token> answer = FakeTokenizer().encode(text, {});
  return [answer, prompt_tokens](std::span<const Token> tokens, std::span<float> logits) {
    const size_t place = tokens.size() - prompt_tokens;
    std::fill(logits.begin(), logits.end(), -20.0f);
    logits[static_cast<size_t>(place < answer.size() ? answer[place] : FakeTokenizer::kEnd)] = 20.0f;
  };
}

class FakeModel {
 public:
  // `most_candidates`: what it finds of each row, as a GPU does; 0: it gives whole logits, as the CPU does.
  FakeModel(Predict predict, uint32_t pages, uint32_t context, uint32_t most_candidates = 0)
      : predict_(std::move(predict)),
        pages_(pages),
        context_(context),
        most_candidates_(most_candidates),
        cache_(size_t{pages} * device::kPage_tokens, kUnwritten) {}

  Backend backend(uint32_t batch_rows = 512, uint32_t logit_rows = 64, uint32_t sequences = 64) {
    most_sequences_ = sequences;
    Backend backend;
    backend.vocabulary = FakeTokenizer::kVocabulary;
    backend.context = context_;
    backend.pages = pages_;
    backend.batch_rows = batch_rows;
    backend.logit_rows = logit_rows;
    backend.sequences = sequences;
    backend.width = kWidth;
    backend.adapters = kAdapters;
    backend.forward = [this](const device::Batch& batch, device::Readout& readout) { return forward(batch, readout); };
    backend.most_candidates = [this] { return most_candidates_; };
    backend.read_logits = [this](uint32_t row, std::span<float> logits) {
      std::ranges::copy(last_logits_.at(row), logits.begin());
      ++rows_read_;
      return Status();
    };
    return backend;
  }

  // What the hidden values of a row are.
  static constexpr uint32_t kWidth = 3;
  static std::array<float, kWidth> hidden(Token token, uint32_t position) {
    return {static_cast<float>(token), static_cast<float>(position), 1};
  }

  // An embedded row counts as the token that its first value is; what an adapter's rows leave in the cache is another
  // number, so that nobody else can use it.
  static constexpr uint32_t kAdapters = 3;
  static constexpr Token kAdapter_distance = 1000;

  // The next forward() after `steps` more fails, and what is in the cache is lost, as with a lost device.
  void fail_after(int steps) { fails_after_ = steps; }

  // The next forward() after `steps` more throws, half done, as when memory runs out.
  void throw_after(int steps) { throws_after_ = steps; }

  // Holds the engine's thread at the start of forward() until release().
  void hold() {
    std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() {
    std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  void wait_until_in_forward() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return inside_; });
  }

  // Waits until step `number` (from 1 on) has begun.
  void wait_for_step(uint64_t number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return steps_ >= number; });
  }

  uint64_t steps() const { return steps_; }
  uint64_t unwritten_reads() const { return unwritten_reads_; }
  uint64_t full_rows() const { return full_rows_; }            // of whole logits
  uint64_t candidate_rows() const { return candidate_rows_; }  // of candidates alone
  uint64_t rows_read() const { return rows_read_; }            // afterwards
  uint64_t most_ranges() const { return most_ranges_; }        // of adapters in a step

 private:
  static constexpr Token kUnwritten = -1;

  Status forward(const device::Batch& batch, device::Readout& readout) {
    wait_while_held();
    if (fails_after_ >= 0 && fails_after_-- == 0) {
      std::fill(cache_.begin(), cache_.end(), kUnwritten);
      return Error{ErrorKind::kIo, "the fake device fell over"};
    }
    if (throws_after_ >= 0 && throws_after_-- == 0) throw std::bad_alloc();
    if (batch.sequences.size() > most_sequences_) return Error{ErrorKind::kUsage, "more sequences than were reserved"};
    if (readout.candidates > most_candidates_) return Error{ErrorKind::kUsage, "more candidates than there are"};
    uint32_t logit_row = 0;
    readout.best.clear();
    readout.hidden.clear();
    last_logits_.clear();
    for (const device::BatchSequence& sequence : batch.sequences) {
      for (uint32_t i = 0; i < sequence.rows; ++i) {
        const uint32_t row = sequence.first_row + i;
        cell(sequence, sequence.first_position + i) = cached(batch, row);
        if (std::ranges::binary_search(readout.hidden_rows, row)) {
          const auto values = hidden(batch.tokens[row], sequence.first_position + i);
          readout.hidden.insert(readout.hidden.end(), values.begin(), values.end());
        }
        if (logit_row == batch.logit_rows.size() || batch.logit_rows[logit_row] != row) continue;
        std::array<float, FakeTokenizer::kVocabulary> logits;
        predict_(read(sequence, sequence.first_position + i + 1), logits);
        last_logits_.push_back(logits);
        give(logits, logit_row++, readout);
      }
    }
    return {};
  }

  Token cached(const device::Batch& batch, uint32_t row) {
    Token token = batch.tokens[row];
    for (const device::EmbeddedRows& part : batch.embedded)
      if (row >= part.first_row && row < part.first_row + part.rows)
        token = static_cast<Token>(part.values[size_t{row - part.first_row} * kWidth]);
    for (const device::AdapterRows& part : batch.adapters)
      if (row >= part.first_row && row < part.first_row + part.rows)
        token += kAdapter_distance * static_cast<Token>(part.adapter);
    most_ranges_ = std::max<uint64_t>(most_ranges_, batch.adapters.size());
    return token;
  }

  void give(std::span<const float> logits, uint32_t row, device::Readout& readout) {
    const auto full = std::ranges::find(readout.full_rows, row);
    if (full != readout.full_rows.end()) {
      const auto at = (full - readout.full_rows.begin()) * FakeTokenizer::kVocabulary;
      std::ranges::copy(logits, readout.logits.begin() + at);
      ++full_rows_;
    } else {
      ++candidate_rows_;
    }
    if (readout.candidates == 0) return;
    std::vector<device::Candidate> all;
    for (uint32_t i = 0; i < logits.size(); ++i) all.push_back({i, std::isnan(logits[i]) ? -INFINITY : logits[i]});
    std::ranges::stable_sort(all, std::greater(), &device::Candidate::value);
    double total = 0;
    for (float logit : logits) total += std::exp(logit - all[0].value) + 0 * logit;
    all.resize(readout.candidates);
    all.push_back({FakeTokenizer::kVocabulary, static_cast<float>(total)});
    readout.best.insert(readout.best.end(), all.begin(), all.end());
  }

  void wait_while_held() {
    std::unique_lock lock(mutex_);
    inside_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    inside_ = false;
    ++steps_;
    changed_.notify_all();
  }

  std::vector<Token> read(const device::BatchSequence& sequence, uint32_t count) {
    std::vector<Token> tokens;
    for (uint32_t i = 0; i < count; ++i) tokens.push_back(cell(sequence, i));
    unwritten_reads_ += static_cast<uint64_t>(std::count(tokens.begin(), tokens.end(), kUnwritten));
    return tokens;
  }

  Token& cell(const device::BatchSequence& sequence, uint32_t position) {
    const auto page = static_cast<size_t>(sequence.pages[position / device::kPage_tokens]);
    return cache_.at(page * device::kPage_tokens + position % device::kPage_tokens);
  }

  const Predict predict_;
  const uint32_t pages_, context_, most_candidates_;
  uint32_t most_sequences_ = 0;
  std::vector<Token> cache_;
  std::vector<std::array<float, FakeTokenizer::kVocabulary>> last_logits_;
  std::atomic<int> fails_after_ = -1, throws_after_ = -1;
  std::atomic<uint64_t> steps_ = 0, unwritten_reads_ = 0, full_rows_ = 0, candidate_rows_ = 0, rows_read_ = 0,
                        most_ranges_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false, inside_ = false;
};

// Gathers the events of one request; wait() gives them joined together.
class Receiver {
 public:
  EventSink sink() {
    return [state = state_](const Event& event) {
      std::lock_guard lock(state->mutex);
      state->finals += event.finish ? 1 : 0;
      state->after_final += state->finals > 0 && !event.finish ? 1 : 0;
      state->all.text += event.text;
      state->all.tokens.insert(state->all.tokens.end(), event.tokens.begin(), event.tokens.end());
      state->all.choices.insert(state->all.choices.end(), event.choices.begin(), event.choices.end());
      state->texts.push_back(event.text);
      if (event.finish) {
        state->all.finish = event.finish;
        state->all.usage = event.usage;
        state->all.embedding = event.embedding;
        state->all.error = event.error;
      }
      state->changed.notify_all();
    };
  }

  Event wait() {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return state_->finals > 0; });
    return state_->all;
  }
  // Returns once `count` tokens have come, or the end.
  void wait_for_tokens(size_t count) {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [&] { return state_->finals > 0 || state_->all.tokens.size() >= count; });
  }
  bool exactly_one_final() const {
    std::lock_guard lock(state_->mutex);
    return state_->finals == 1 && state_->after_final == 0;
  }
  std::vector<std::string> texts() const {
    std::lock_guard lock(state_->mutex);
    return state_->texts;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    Event all;
    std::vector<std::string> texts;
    int finals = 0, after_final = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace hearth::engine::test
