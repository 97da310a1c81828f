#include "chat/output.h"

#include <iterator>
#include <utility>

#include "base/check.h"
#include "chat/input.h"

namespace hearth::chat {

void Output::add(const Delta& delta) {
  std::vector<Delta>& list = waits_.empty() ? ready_ : waiting_;
  const size_t begin = waits_.empty() ? 0 : waits_.back().begin;  // what came before waits by itself
  const bool text = delta.kind == Delta::Kind::kReasoning || delta.kind == Delta::Kind::kContent ||
                    delta.kind == Delta::Kind::kArguments;
  if (text && list.size() > begin && list.back().kind == delta.kind && list.back().index == delta.index) {
    list.back().text += delta.text;
  } else {
    list.push_back(delta);
  }
}

void Output::text(Delta::Kind kind, std::string_view text) {
  if (!text.empty()) add({.kind = kind, .text = std::string(text)});
}

void Output::begin_call(std::string id, std::string name) {
  CHECK(!in_call_);
  in_call_ = true;
  add({.kind = Delta::Kind::kCallBegin, .index = calls_++, .id = std::move(id), .name = std::move(name)});
}

void Output::arguments(std::string_view json) {
  CHECK(in_call_);
  if (!json.empty()) add({.kind = Delta::Kind::kArguments, .text = std::string(json), .index = calls_ - 1});
}

void Output::end_call(bool complete) {
  CHECK(in_call_);
  in_call_ = false;
  whole_ = complete;
  add({.kind = Delta::Kind::kCallEnd, .index = calls_ - 1, .complete = complete});
}

void Output::problem(std::string text) {
  add({.kind = Delta::Kind::kProblem, .text = std::move(text)});
}

void Output::commit() {
  CHECK(!waits_.empty());
  waits_.pop_back();
  if (!waits_.empty()) return;
  for (const Delta& delta : std::exchange(waiting_, {})) add(delta);
}

std::vector<Delta> Output::discard() {
  CHECK(!waits_.empty());
  const Wait wait = waits_.back();
  waits_.pop_back();
  in_call_ = false;
  calls_ = wait.calls;
  const auto begin = waiting_.begin() + static_cast<std::ptrdiff_t>(wait.begin);
  std::vector<Delta> out(std::make_move_iterator(begin), std::make_move_iterator(waiting_.end()));
  waiting_.erase(begin, waiting_.end());
  return out;
}

void Output::flush(const Sink& sink) {
  for (const Delta& delta : std::exchange(ready_, {})) sink(delta);
}

void TextChannel::text(std::string_view text) {
  if (skips_) {
    const size_t begin = text.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) return;
    text.remove_prefix(begin);
    skips_ = false;
  }
  const size_t end = text.find_last_not_of(kSpace);
  if (end == std::string_view::npos) {
    held_ += text;
    return;
  }
  output_->text(kind_, held_);
  output_->text(kind_, text.substr(0, end + 1));
  held_ = text.substr(end + 1);
}

void TextChannel::trim() {
  held_.clear();
  skips_ = true;
}

void TextChannel::finish() {
  output_->text(kind_, held_);
  held_.clear();
}

}  // namespace hearth::chat
