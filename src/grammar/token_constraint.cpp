#include "grammar/token_constraint.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <stop_token>
#include <thread>

#include "base/check.h"
#include "base/error.h"
#include "grammar/machine.h"

namespace hearth::grammar {
namespace {

// A machine that grew past this is left for a new one; the old one goes when nobody uses it any more.
constexpr size_t kMost_machine_bytes = size_t{96} << 20;
constexpr size_t kMost_kept_bytes = size_t{24} << 20;  // that is used again for other requests
constexpr uint64_t kVisits_at_once = 50'000;           // nodes of the vocabulary for which a mask may have to wait
constexpr size_t kMost_forced_bytes = 512;

struct Shared {
  Shared(std::shared_ptr<const Grammar> g, std::shared_ptr<const TokenTrie> t)
      : grammar(std::move(g)), trie(std::move(t)), machine(grammar, trie) {}

  std::mutex mutex;
  std::shared_ptr<const Grammar> grammar;
  std::shared_ptr<const TokenTrie> trie;
  Machine machine;

  // While the prompt is prefilled: the first masks are needed after that.
  void prepare_in_background() {
    preparing = std::jthread([this](const std::stop_token& stop) {
      for (bool more = true; more && !stop.stop_requested();) {
        const std::scoped_lock lock(mutex);
        more = machine.prepare(kVisits_at_once);
      }
    });
  }

  size_t memory_bytes() {
    const std::scoped_lock lock(mutex);
    return machine.memory_bytes();
  }

  std::jthread preparing;  // the first to go: it uses the others
};

// All that the rules say, as a text.
std::string key_of(const AnswerRules& rules) {
  std::string key;
  const auto add = [&](std::string_view part) { key += fmt::format("{}:{},", part.size(), part); };
  const auto add_number = [&](auto number) { key += fmt::format("{},", static_cast<uint64_t>(number)); };
  const AnswerFrames& frames = rules.frames;
  add_number(frames.reasoning.begins);
  for (const std::string* part :
       {&frames.reasoning.opens, &frames.reasoning.closes, &frames.text_opens, &frames.text_closes,
        &frames.calls.trigger, &frames.calls.opens, &frames.calls.before_name, &frames.calls.before_arguments,
        &frames.calls.after_arguments, &frames.calls.between, &frames.calls.closes}) {
    add(*part);
  }
  add_number(frames.calls.triggers_first);
  add_number(frames.calls.json_name);
  add_number(rules.text.kind);
  add(rules.text.source);
  add_number(rules.text.schema.open_objects);
  add_number(rules.text.schema.lenient);
  add_number(rules.must_call);
  add_number(rules.most_calls);
  for (const ToolRule& tool : rules.tools) {
    add(tool.name);
    add(tool.schema);
    add_number(tool.strict);
  }
  return key;
}

class TokenConstraint final : public sampling::Constraint {
 public:
  TokenConstraint(std::shared_ptr<Shared> shared, std::shared_ptr<const TokenTrie> trie)
      : trie_(std::move(trie)), shared_(std::move(shared)) {
    history_.push_back(shared_->machine.start());
  }

  Status allowed(sampling::TokenMask mask) override {
    renew();
    const std::scoped_lock lock(shared_->mutex);
    const TokenTrie& trie = *shared_->trie;
    CHECK(mask.size() >= sampling::mask_words(trie.vocabulary()));
    std::ranges::fill(mask, 0);
    if (ended_) return {};
    Machine& machine = shared_->machine;
    machine.mask(history_.back(), mask);
    if (machine.accepts(history_.back())) {
      for (const int32_t token : trie.ends()) mask[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
    }
    if (machine.overflowed()) {
      return error(ErrorKind::kUnsupported, "the grammar is too ambiguous to be followed; use a simpler one");
    }
    const bool any = std::ranges::any_of(mask, [](uint64_t word) { return word != 0; });
    if (!any && machine.continues(history_.back())) {
      return error(ErrorKind::kUnsupported, "the vocabulary has no token for what the grammar asks for next");
    }
    return {};
  }

  bool is_allowed(int32_t token) override {
    const std::scoped_lock lock(shared_->mutex);
    bool ends = false;
    return next(token, &ends) || ends;
  }

  bool accept(int32_t token) override {
    const std::scoped_lock lock(shared_->mutex);
    bool ends = false;
    const auto state = next(token, &ends);
    if (!state && !ends) return false;
    history_.push_back(ends ? history_.back() : *state);
    ended_ = ends;
    if (history_.size() > kMost_rollback + 1) history_.pop_front();
    return true;
  }

  void rollback(size_t count) override {
    CHECK(count < history_.size());
    if (count == 0) return;
    history_.resize(history_.size() - count);
    ended_ = false;
  }

  std::vector<int32_t> forced() override {
    const std::scoped_lock lock(shared_->mutex);
    std::vector<int32_t> tokens;
    if (ended_) return tokens;
    std::vector<StateId> states{history_.back()};
    std::string text;
    for (uint8_t byte; text.size() < kMost_forced_bytes && shared_->machine.forced(states.back(), &byte);) {
      text += static_cast<char>(byte);
      states.push_back(shared_->machine.step(states.back(), byte));
    }
    size_t at = 0;
    for (const int32_t token : shared_->trie->encode(text)) {
      if (extends(std::string_view(text).substr(at), states.back())) break;
      tokens.push_back(token);
      at += shared_->trie->text(token).size();
    }
    return tokens;
  }

  bool may_end() const override {
    const std::scoped_lock lock(shared_->mutex);
    return ended_ || shared_->machine.accepts(history_.back());
  }
  bool ended() const override {
    const std::scoped_lock lock(shared_->mutex);
    return ended_ || (shared_->machine.accepts(history_.back()) && !shared_->machine.continues(history_.back()));
  }
  std::unique_ptr<sampling::Constraint> clone() const override { return std::make_unique<TokenConstraint>(*this); }

 private:
  // Nothing, and `ends` set, for a token that ends generation where that may be.
  std::optional<StateId> next(int32_t token, bool* ends) {
    const TokenTrie& trie = *shared_->trie;
    if (ended_ || token < 0 || static_cast<size_t>(token) >= trie.vocabulary()) return std::nullopt;
    *ends = trie.is_end(token) && shared_->machine.accepts(history_.back());
    if (trie.text(token).empty()) return std::nullopt;
    const StateId state = shared_->machine.step(history_.back(), trie.text(token));
    return state == Machine::kDead ? std::nullopt : std::optional(state);
  }

  // Whether some token begins with `rest` and goes on in a way that the state behind it allows.
  bool extends(std::string_view rest, StateId state) {
    const TokenTrie& trie = *shared_->trie;
    uint32_t node = 0;
    for (const char c : rest) {
      node = trie.child(node, static_cast<uint8_t>(c));
      if (node == 0) return false;
    }
    const auto nodes = trie.nodes();
    for (uint32_t i = node + 1; i < nodes[node].end; i = nodes[i].end) {
      if (shared_->machine.step(state, nodes[i].byte) != Machine::kDead) return true;
    }
    return false;
  }

  void renew() {
    const std::shared_ptr<Shared> old = shared_;
    const std::scoped_lock lock(old->mutex);
    if (old->machine.memory_bytes() < kMost_machine_bytes) return;
    const auto fresh = std::make_shared<Shared>(old->grammar, old->trie);
    for (StateId& state : history_) state = fresh->machine.import(old->machine, state);
    shared_ = fresh;
  }

  std::shared_ptr<const TokenTrie> trie_;  // what is kept with the trie does not hold it
  std::shared_ptr<Shared> shared_;
  std::deque<StateId> history_;  // the last is now
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<sampling::Constraint> make_constraint(std::shared_ptr<const Grammar> grammar,
                                                      std::shared_ptr<const TokenTrie> trie) {
  auto shared = std::make_shared<Shared>(std::move(grammar), trie);
  return std::make_unique<TokenConstraint>(std::move(shared), std::move(trie));
}

Result<std::unique_ptr<sampling::Constraint>> constrain(const AnswerRules& rules, std::shared_ptr<const TokenTrie> trie,
                                                        std::vector<std::string>* warnings) {
  if (rules.free()) return std::unique_ptr<sampling::Constraint>();
  struct Kept {
    std::shared_ptr<Shared> shared;
    std::vector<std::string> warnings;
  };
  const std::string key = key_of(rules);
  auto kept = std::static_pointer_cast<Kept>(trie->find_kept(key));
  if (kept == nullptr || kept->shared->memory_bytes() > kMost_kept_bytes) {
    kept = std::make_shared<Kept>();
    ASSIGN_OR_RETURN(std::shared_ptr<const Grammar> grammar, compile_answer(rules, *trie, &kept->warnings));
    // It is kept with the trie, which it must not keep alive in turn.
    const std::shared_ptr<const TokenTrie> unowned(std::shared_ptr<const TokenTrie>(), trie.get());
    kept->shared = std::make_shared<Shared>(std::move(grammar), unowned);
    kept->shared->prepare_in_background();
    trie->keep(key, kept);
  }
  if (warnings != nullptr) warnings->insert(warnings->end(), kept->warnings.begin(), kept->warnings.end());
  return std::unique_ptr<sampling::Constraint>(std::make_unique<TokenConstraint>(kept->shared, std::move(trie)));
}

}  // namespace hearth::grammar
