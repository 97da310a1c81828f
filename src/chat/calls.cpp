#include "chat/calls.h"

#include <algorithm>

namespace hearth::chat {
namespace {

// Of what could not be a name, some reader has lost its way.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes &&
         text.find_first_of(" \t\r\n<>{}()\"'") == std::string_view::npos;
}

std::string_view without_namespace(std::string_view name) {
  constexpr std::string_view kFunctions = "functions.";
  return name.starts_with(kFunctions) ? name.substr(kFunctions.size()) : name;
}

}  // namespace

std::string CallIds::next() {
  constexpr std::string_view kAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string id = style_ == Style::kLong ? "call_" : "";
  for (size_t left = style_ == Style::kLong ? 24 : 9; left > 0; --left) {
    // SplitMix64 (Steele, Lea, Flood 2014).
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    id += kAlphabet[(z ^ z >> 31) % kAlphabet.size()];
  }
  return id;
}

bool Calls::accepts(std::string_view called) const {
  called = trimmed(called);
  return tools_.find(called) != nullptr || (!must_be_offered() && is_name(without_namespace(called)));
}

bool Calls::begin(std::string_view called, std::string_view id) {
  called = trimmed(called);
  if (!accepts(called)) return false;
  tool_ = tools_.find(called);
  keys_.clear();
  content_.trim();
  reasoning_.trim();
  if (tool_ == nullptr) problem("a tool is called that is not offered: " + std::string(called));
  output_.begin_call(id.empty() ? ids_.next() : std::string(id),
                     tool_ != nullptr ? tool_->name : std::string(without_namespace(called)));
  return true;
}

bool Calls::take_key(std::string_view key) {
  if (std::find(keys_.begin(), keys_.end(), key) != keys_.end()) return false;
  keys_.emplace_back(key);
  return true;
}

void Calls::end_early(Ending ending, std::string_view missing) {
  const bool whole =
      tool_ == nullptr || std::all_of(tool_->required.begin(), tool_->required.end(), [&](const std::string& name) {
        return std::find(keys_.begin(), keys_.end(), name) != keys_.end();
      });
  if (ending == Ending::kStop && whole) {
    arguments(missing);
    end();
  } else {
    fail();
  }
}

void Calls::fail() {
  if (!begun()) return;
  problem("the answer breaks off inside the arguments of a call");
  output_.end_call(false);
}

}  // namespace hearth::chat
