#include "grammar/token_trie.h"

#include <algorithm>
#include <numeric>

#include "grammar/regexes.h"
#include "sampling/constraint.h"
#include "text/utf8.h"

namespace hearth::grammar {
namespace {

constexpr size_t kMost_unit_counts = 24;  // of different units; each takes a few hundred kilobytes
constexpr size_t kMost_common_masks = 64;
constexpr size_t kMost_kept = 8;
constexpr size_t kMost_prefix_masks = 24;

size_t common_prefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// Lays texts out as a tree; `at_end(node, i)` is told where the i-th of the sorted texts ends. `Node` has byte, depth
// and end.
template <class Node, class AtEnd>
std::vector<Node> lay_out(const std::vector<std::string_view>& sorted, const AtEnd& at_end) {
  std::vector<Node> nodes(1);
  std::vector<uint32_t> path{0};  // the nodes from the root to the last
  const auto leave = [&](size_t depth) {
    for (; path.size() > depth + 1; path.pop_back()) nodes[path.back()].end = static_cast<uint32_t>(nodes.size());
  };
  std::string_view last;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const std::string_view text = sorted[i];
    const size_t shared = common_prefix(last, text);
    leave(shared);
    for (size_t depth = shared; depth < text.size(); ++depth) {
      path.push_back(static_cast<uint32_t>(nodes.size()));
      Node node{};
      node.byte = static_cast<uint8_t>(text[depth]);
      node.depth = static_cast<uint16_t>(depth + 1);
      nodes.push_back(node);
    }
    at_end(nodes[path.back()], i);
    last = text;
  }
  leave(0);
  nodes[0].end = static_cast<uint32_t>(nodes.size());
  return nodes;
}

}  // namespace

std::string token_mark(int32_t token) {
  const char mark = static_cast<char>(kTokenMark);
  return mark + std::to_string(token) + mark;
}

TokenTrie::TokenTrie(const text::Tokenizer& tokenizer) : tokenizer_(&tokenizer) {
  const auto size = static_cast<int32_t>(tokenizer.size());
  texts_.resize(tokenizer.size());
  same_text_.assign(tokenizer.size(), -1);
  std::vector<int32_t> order;
  for (int32_t token = 0; token < size; ++token) {
    std::string& text = texts_[static_cast<size_t>(token)];
    const bool control = tokenizer.is_control(token);
    if (control) special_.emplace(tokenizer.piece(token, true), token);
    if (tokenizer.is_end_of_generation(token)) {
      ends_.push_back(token);
      continue;
    }
    if (!control) text = tokenizer.piece(token, false);
    const bool ambiguous = text.find(static_cast<char>(kTokenMark)) != text.npos;
    if (text.empty() || ambiguous || text.size() > 60'000) text = token_mark(token);
    order.push_back(token);
    most_bytes_ = std::max(most_bytes_, text.size());
  }
  std::ranges::stable_sort(order, {}, [&](int32_t token) { return text(token); });
  std::vector<std::string_view> sorted(order.size());
  std::ranges::transform(order, sorted.begin(), [&](int32_t token) { return text(token); });
  for (size_t i = 0; i < order.size(); ++i) {
    if (i + 1 < order.size() && sorted[i] == sorted[i + 1]) same_text_[static_cast<size_t>(order[i])] = order[i + 1];
  }
  nodes_ = lay_out<Node>(sorted, [&](Node& node, size_t i) {
    if (node.token <= 0) node.token = order[i] + 1;  // zero means none, until all is laid out
  });
  for (Node& node : nodes_) --node.token;
  for (uint32_t i = 1; i < nodes_.size(); i = nodes_[i].end) root_children_[nodes_[i].byte] = i;
  in_order_ = std::move(order);
  uint32_t count = 0;
  for (const Node& node : nodes_) {
    first_token_.push_back(count);
    for (int32_t token = node.token; token >= 0; token = same_text(token)) ++count;
  }
  first_token_.push_back(count);
  find_kinds();
}

// Letters in four kinds (those of hexadecimal digits apart), digits, three white spaces, other control characters, and
// every other character alone.
int TokenTrie::kind_of(uint8_t byte) {
  if (byte >= 'a' && byte <= 'z') return byte <= 'f' ? 0 : 1;
  if (byte >= 'A' && byte <= 'Z') return byte <= 'F' ? 2 : 3;
  if (byte >= '0' && byte <= '9') return 4;
  if (byte == '\n' || byte == '\r' || byte == '\t') return byte == '\n' ? 5 : byte == '\r' ? 6 : 7;
  if (byte < ' ' || byte == 0x7F) return 8;
  if (byte <= '/') return 9 + (byte - ' ');
  if (byte <= '@') return 25 + (byte - ':');
  if (byte <= '`') return 32 + (byte - '[');
  return 38 + (byte - '{');
}

void TokenTrie::find_kinds() {
  constexpr uint64_t kChars = uint64_t{1} << kCharacters, kStray = uint64_t{1} << kStray_bytes;
  kinds_below_.assign(nodes_.size(), 0);
  for (auto at = static_cast<uint32_t>(nodes_.size()); at-- > 0;) {
    uint64_t kinds = 0;
    char bytes[4];  // of a character beyond ASCII, so far
    for (uint32_t i = at + 1; i < nodes_[at].end;) {
      const size_t count = nodes_[i].depth - nodes_[at].depth;
      bytes[count - 1] = static_cast<char>(nodes_[i].byte);
      const text::Utf8Char character = text::decode_utf8({bytes, count});
      if (character.status == text::Utf8Status::kIncomplete) {
        kinds |= kChars;
        ++i;
        continue;
      }
      const bool valid = character.status == text::Utf8Status::kValid;
      kinds |= kinds_below_[i] | (!valid ? kStray : count > 1 ? kChars : uint64_t{1} << kind_of(nodes_[i].byte));
      i = nodes_[i].end;
    }
    kinds_below_[at] = kinds;
  }
}

bool TokenTrie::is_end(int32_t token) const {
  return std::ranges::binary_search(ends_, token);
}

uint32_t TokenTrie::child(uint32_t node, uint8_t byte) const {
  if (node == 0) return root_children_[byte];
  for (uint32_t i = node + 1; i < nodes_[node].end; i = nodes_[i].end) {
    if (nodes_[i].byte == byte) return i;
    if (nodes_[i].byte > byte) break;
  }
  return 0;
}

int32_t TokenTrie::find(std::string_view text) const {
  uint32_t node = 0;
  for (const char c : text) {
    node = child(node, static_cast<uint8_t>(c));
    if (node == 0) return -1;
  }
  return nodes_[node].token;
}

int32_t TokenTrie::longest(std::string_view text) const {
  uint32_t node = 0;
  int32_t best = -1;
  for (const char c : text) {
    node = child(node, static_cast<uint8_t>(c));
    if (node == 0) break;
    if (nodes_[node].token >= 0) best = nodes_[node].token;
  }
  return best;
}

std::vector<int32_t> TokenTrie::encode(std::string_view text) const {
  std::vector<int32_t> tokens;
  while (!text.empty()) {
    const size_t plain = std::min(text.find(static_cast<char>(kTokenMark)), text.size());
    if (plain > 0) {
      encode_unmarked(text.substr(0, plain), tokens);
      text.remove_prefix(plain);
      continue;
    }
    const int32_t token = longest(text);
    if (token < 0) break;
    tokens.push_back(token);
    text.remove_prefix(this->text(token).size());
  }
  return tokens;
}

// As the tokenizer does, unless that gives another text (a space in front, a mark); then the longest first.
void TokenTrie::encode_unmarked(std::string_view text, std::vector<int32_t>& tokens) const {
  const std::vector<int32_t> usual = tokenizer_->encode(text, {.add_special = false, .parse_special = false});
  std::string back;
  for (const int32_t token : usual) {
    if (token >= 0 && static_cast<size_t>(token) < texts_.size()) back += this->text(token);
  }
  if (back == text) {
    tokens.insert(tokens.end(), usual.begin(), usual.end());
    return;
  }
  while (!text.empty()) {
    const int32_t token = longest(text);
    if (token < 0) break;
    tokens.push_back(token);
    text.remove_prefix(this->text(token).size());
  }
}

std::string TokenTrie::mark_special(std::string_view text) const {
  std::string marked;
  while (!text.empty()) {
    size_t longest = 0;
    int32_t found = -1;
    for (const auto& [special, token] : special_) {
      if (special.size() > longest && text.starts_with(special)) longest = special.size(), found = token;
    }
    if (found < 0) {
      marked += text[0];
      text.remove_prefix(1);
      continue;
    }
    if (!is_end(found)) marked += this->text(found);
    text.remove_prefix(longest);
  }
  return marked;
}

std::shared_ptr<const RegexMask> TokenTrie::find_mask(const std::string& regex) const {
  const std::scoped_lock lock(mutex_);
  const auto found = common_masks_.find(regex);
  return found == common_masks_.end() ? nullptr : found->second;
}

void TokenTrie::keep_mask(const std::string& regex, const RegexMask& mask) const {
  auto kept = std::make_shared<const RegexMask>(mask);
  const std::scoped_lock lock(mutex_);
  if (common_masks_.size() >= kMost_common_masks) common_masks_.erase(common_masks_.begin());
  common_masks_.emplace(regex, std::move(kept));
}

std::shared_ptr<void> TokenTrie::find_kept(const std::string& key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find(kept_, key, [](const auto& entry) { return entry.first; });
  if (found == kept_.end()) return nullptr;
  std::rotate(found, found + 1, kept_.end());
  return kept_.back().second;
}

void TokenTrie::keep(const std::string& key, std::shared_ptr<void> made) const {
  const std::scoped_lock lock(mutex_);
  std::erase_if(kept_, [&](const auto& entry) { return entry.first == key; });
  if (kept_.size() >= kMost_kept) kept_.pop_front();
  kept_.emplace_back(key, std::move(made));
}

std::shared_ptr<const UnitCounts> TokenTrie::unit_counts(Regexes& regexes, uint32_t unit, const ByteSet& leave,
                                                         uint64_t* visited) const {
  std::string key = regexes.text(unit);
  for (const uint64_t word : leave.words) key.append(reinterpret_cast<const char*>(&word), sizeof word);
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = counts_.find(key); found != counts_.end()) return found->second;
  }
  std::shared_ptr<const UnitCounts> counts = count_units(regexes, unit, leave);
  *visited += nodes_.size();
  const std::scoped_lock lock(mutex_);
  if (counts_.size() >= kMost_unit_counts)
    counts_.erase(std::next(counts_.begin(), static_cast<long>(counts->rest.size() % counts_.size())));
  return counts_.emplace(std::move(key), std::move(counts)).first->second;
}

std::shared_ptr<UnitCounts> TokenTrie::count_units(Regexes& regexes, uint32_t unit, const ByteSet& leave) const {
  const auto counts = std::make_shared<UnitCounts>();
  struct State {
    uint32_t regex, units;
  };
  std::vector<State> states(1, {unit, 0});
  std::vector<std::pair<uint32_t, int32_t>> inside;
  struct Leaving {
    std::string_view rest;
    uint32_t units;
    int32_t token;
  };
  std::vector<Leaving> leaving;
  for (uint32_t i = 1; i < nodes_.size();) {
    const Node& node = nodes_[i];
    const State before = states[node.depth - 1u];
    if (before.regex == unit && leave.has(node.byte)) {
      for (uint32_t j = i; j < node.end; ++j) {
        for (int32_t token = nodes_[j].token; token >= 0; token = same_text(token))
          leaving.push_back({text(token).substr(node.depth - 1u), before.units, token});
      }
      i = node.end;
      continue;
    }
    State after{regexes.step(before.regex, regexes.class_of(node.byte)) >> 1, before.units};
    if (after.regex == Regexes::kEmpty) {
      i = node.end;
      continue;
    }
    if (after.regex == Regexes::kEpsilon) after = {unit, before.units + 1};
    states.resize(node.depth);
    states.push_back(after);
    for (int32_t token = node.token; token >= 0; token = same_text(token))
      inside.emplace_back(after.units + (after.regex == unit ? 0 : 1), token);
    ++i;
  }
  counts->all.assign(sampling::mask_words(vocabulary()), 0);
  std::vector<uint32_t>& ends = counts->ends;  // at first, where the tokens of one unit less end
  ends.assign(1, 0);
  for (const auto& [units, token] : inside) {
    if (units + 1 >= ends.size()) ends.resize(units + 2);
    ++ends[units + 1];
    counts->all[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
  }
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  counts->inside.resize(inside.size());
  for (const auto& [units, token] : inside) counts->inside[ends[units]++] = token;
  if (ends.size() > 1) ends.pop_back();
  std::vector<uint64_t> mask(counts->all.size());
  for (size_t c = 0, i = 0; c < std::min(counts->ends.size(), kMost_prefix_masks); ++c) {
    for (; i < counts->ends[c]; ++i) {
      const auto token = static_cast<size_t>(counts->inside[i]);
      mask[token / 64] |= uint64_t{1} << (token % 64);
    }
    counts->at_most.push_back(mask);
  }

  std::ranges::sort(leaving, {}, [](const Leaving& l) { return std::tuple(l.rest, l.units, l.token); });
  std::vector<std::string_view> texts(leaving.size());
  std::ranges::transform(leaving, texts.begin(), &Leaving::rest);
  for (const Leaving& l : leaving) counts->leaving.emplace_back(l.units, l.token);
  counts->rest = lay_out<UnitCounts::Node>(texts, [](UnitCounts::Node& node, size_t i) {
    if (node.count++ == 0) node.first = static_cast<uint32_t>(i);
  });
  return counts;
}

}  // namespace hearth::grammar
