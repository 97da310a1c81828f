#include "grammar/thinking_budget.h"

#include <algorithm>
#include <deque>

#include "base/check.h"
#include "base/error.h"

namespace hearth::grammar {
namespace {

// What does not change on the way; clones share it.
struct Limits {
  std::string opens, closes;
  std::vector<int32_t> closing;  // the tokens of `closes`
  uint32_t most_tokens;
  const text::Tokenizer& tokenizer;
};

class ThinkingBudget final : public sampling::Constraint {
 public:
  ThinkingBudget(std::shared_ptr<const Limits> limits, bool open, std::unique_ptr<sampling::Constraint> inner)
      : limits_(std::move(limits)), inner_(std::move(inner)) {
    history_.push_back({.phase = open ? Phase::kThinking : Phase::kBefore});
  }

  Status allowed(sampling::TokenMask mask) override {
    if (const auto token = due()) {
      std::ranges::fill(mask, 0);
      mask[static_cast<size_t>(*token) / 64] |= uint64_t{1} << (*token % 64);
      return {};
    }
    if (inner_) return inner_->allowed(mask);
    std::ranges::fill(mask, ~uint64_t{0});
    return {};
  }

  bool is_allowed(int32_t token) override {
    if (const auto only = due()) return token == *only;
    return inner_ ? inner_->is_allowed(token) : token >= 0;
  }

  bool accept(int32_t token) override {
    if (const auto only = due(); only && *only != token) return false;
    if (inner_ && !inner_->accept(token)) return false;
    history_.push_back(after(history_.back(), token));
    if (history_.size() > kMost_rollback + 1) history_.pop_front();
    return true;
  }

  void rollback(size_t count) override {
    CHECK(count < history_.size());
    history_.resize(history_.size() - count);
    if (inner_) inner_->rollback(count);
  }

  std::vector<int32_t> forced() override {
    if (!due()) return inner_ ? inner_->forced() : std::vector<int32_t>();
    const auto& closing = limits_->closing;
    return {closing.begin() + static_cast<ptrdiff_t>(history_.back().closed), closing.end()};
  }

  bool may_end() const override { return !inner_ || inner_->may_end(); }
  bool ended() const override { return inner_ && inner_->ended(); }

  std::unique_ptr<sampling::Constraint> clone() const override {
    auto copy = std::make_unique<ThinkingBudget>(limits_, false, inner_ ? inner_->clone() : nullptr);
    copy->history_ = history_;
    return copy;
  }

 private:
  enum class Phase { kBefore, kThinking, kOver };
  struct State {
    Phase phase;
    uint32_t tokens = 0;    // of thinking
    size_t closed = 0;      // how many of the closing tokens have come, once it is time
    std::string tail = {};  // the text's end, as far as a marker may have begun in it
  };

  // The token that must come now, if one must.
  std::optional<int32_t> due() {
    const State& state = history_.back();
    if (state.phase != Phase::kThinking || state.tokens < limits_->most_tokens) return std::nullopt;
    const int32_t token = limits_->closing[state.closed];
    if (inner_ && !inner_->is_allowed(token)) return std::nullopt;
    return token;
  }

  State after(const State& before, int32_t token) const {
    State state = before;
    if (state.phase == Phase::kOver) return state;
    const std::string& marker = state.phase == Phase::kBefore ? limits_->opens : limits_->closes;
    state.tail += limits_->tokenizer.piece(token, true);
    const bool found = !marker.empty() && state.tail.find(marker) != std::string::npos;
    if (found) {
      state = {.phase = state.phase == Phase::kBefore ? Phase::kThinking : Phase::kOver, .tokens = state.tokens};
      return state;
    }
    const bool time = state.phase == Phase::kThinking && state.tokens >= limits_->most_tokens;
    state.closed = time && token == limits_->closing[state.closed] ? state.closed + 1 : 0;
    if (state.closed == limits_->closing.size()) return {.phase = Phase::kOver, .tokens = state.tokens};
    if (state.phase == Phase::kThinking) ++state.tokens;
    if (state.phase == Phase::kBefore) {  // thinking stands before all else, but for blanks
      state.tail.erase(0, std::min(state.tail.find_first_not_of(" \t\r\n"), state.tail.size()));
      if (!marker.starts_with(state.tail)) return {.phase = Phase::kOver};
    } else if (state.tail.size() >= marker.size()) {
      state.tail.erase(0, state.tail.size() - marker.size() + 1);
    }
    return state;
  }

  const std::shared_ptr<const Limits> limits_;
  const std::unique_ptr<sampling::Constraint> inner_;
  std::deque<State> history_;
};

}  // namespace

Result<std::unique_ptr<sampling::Constraint>> limit_thinking(const ReasoningFrame& frame, uint32_t most_tokens,
                                                             const text::Tokenizer& tokenizer,
                                                             std::unique_ptr<sampling::Constraint> inner) {
  const std::vector<text::Token> closing =
      tokenizer.encode(frame.closes, {.add_special = false, .parse_special = true});
  if (frame.begins == ReasoningFrame::Begins::kNever || closing.empty())
    return error(ErrorKind::kUnsupported, "how this model ends its thinking is not known");
  const auto limits = std::make_shared<const Limits>(
      Limits{frame.opens, frame.closes, {closing.begin(), closing.end()}, most_tokens, tokenizer});
  const bool open = frame.begins == ReasoningFrame::Begins::kOpen;
  return std::unique_ptr<sampling::Constraint>(std::make_unique<ThinkingBudget>(limits, open, std::move(inner)));
}

}  // namespace hearth::grammar
