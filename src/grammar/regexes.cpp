#include "grammar/regexes.h"

#include <algorithm>
#include <queue>

#include "base/check.h"

namespace hearth::grammar {
namespace {

constexpr size_t kMost_searched = 300'000;     // states of one search for a text
constexpr size_t kMost_derivatives = 400'000;  // remembered beside the rows
constexpr int kMost_unit_states = 200;         // of a prefix code
constexpr size_t kMost_meet_states = 300;      // of a search for a text that two have in common

uint32_t less_one(uint32_t count) {
  return count == kUnbounded || count == 0 ? count : count - 1;
}

}  // namespace

Regexes::Regexes() {
  nodes_.push_back({.kind = Kind::kEmpty});
  nodes_.push_back({.kind = Kind::kEpsilon, .nullable = true});
  nodes_.push_back({.kind = Kind::kAll, .nullable = true});
  alive_ = {0, 1, 1};
}

RegexId Regexes::intern(Node node, std::span<const RegexId> parts) {
  uint64_t hash = mix_hash(static_cast<uint64_t>(node.kind), uint64_t{node.least} << 32 | node.most);
  if (node.kind == Kind::kLiteral || node.kind == Kind::kBytes || node.kind == Kind::kMultiple) {
    hash = mix_hash(hash, node.first);
    hash = mix_hash(hash, node.count);
  }
  for (const RegexId part : parts) hash = mix_hash(hash, part);
  const uint32_t found = interner_.find(hash, [&](uint32_t id) {
    const Node& other = nodes_[id];
    if (other.kind != node.kind || other.least != node.least || other.most != node.most) return false;
    if (parts.empty()) return other.first == node.first && other.count == node.count;
    return std::ranges::equal(children(other), parts);
  });
  if (found != Interner::kNone) return found;
  if (!parts.empty()) {
    node.first = static_cast<uint32_t>(children_.size());
    node.count = static_cast<uint32_t>(parts.size());
    children_.insert(children_.end(), parts.begin(), parts.end());
    for (const RegexId part : parts) node.depth = std::max(node.depth, nodes_[part].depth + 1);
  }
  const auto id = static_cast<RegexId>(nodes_.size());
  nodes_.push_back(node);
  alive_.push_back(node.logical ? -1 : 1);
  interner_.insert(hash, id);
  return id;
}

void Regexes::refine(const ByteSet& set) {
  if (frozen_) return;
  std::array<int, 256> renamed;
  renamed.fill(-1);
  std::array<int, 256> kept;
  kept.fill(-1);
  representatives_.clear();
  for (unsigned byte = 0; byte < 256; ++byte) {
    auto& names = set.has(static_cast<uint8_t>(byte)) ? renamed : kept;
    int& name = names[classes_[byte]];
    if (name < 0) {
      name = static_cast<int>(representatives_.size());
      representatives_.push_back(static_cast<uint8_t>(byte));
    }
    classes_[byte] = static_cast<uint8_t>(name);
  }
}

RegexId Regexes::bytes(const ByteSet& set) {
  if (set.empty()) return kEmpty;
  const uint64_t hash =
      mix_hash(mix_hash(mix_hash(mix_hash(77, set.words[0]), set.words[1]), set.words[2]), set.words[3]);
  const uint32_t found = interner_.find(
      hash, [&](uint32_t id) { return nodes_[id].kind == Kind::kBytes && sets_[nodes_[id].first] == set; });
  if (found != Interner::kNone) return found;
  refine(set);
  const auto id = static_cast<RegexId>(nodes_.size());
  nodes_.push_back({.kind = Kind::kBytes, .first = static_cast<uint32_t>(sets_.size())});
  sets_.push_back(set);
  alive_.push_back(1);
  interner_.insert(hash, id);
  return id;
}

RegexId Regexes::literal(std::string_view text) {
  if (text.empty()) return kEpsilon;
  const uint64_t hash = mix_hash(78, std::hash<std::string_view>{}(text));
  const uint32_t found = interner_.find(
      hash, [&](uint32_t id) { return nodes_[id].kind == Kind::kLiteral && literal_text(nodes_[id]) == text; });
  if (found != Interner::kNone) return found;
  if (!frozen_) {
    for (const char c : text) {
      const auto byte = static_cast<uint8_t>(c);
      const bool alone = std::ranges::count(classes_, classes_[byte]) == 1;
      if (!alone) refine(ByteSet::range(byte, byte));
    }
  }
  // A part of what is there needs no copy.
  const bool inside = !texts_.empty() && text.data() >= texts_.data() && text.data() < texts_.data() + texts_.size();
  const size_t at = inside ? static_cast<size_t>(text.data() - texts_.data()) : texts_.size();
  const size_t count = text.size();
  if (!inside) texts_.append(text);
  const auto id = static_cast<RegexId>(nodes_.size());
  nodes_.push_back({.kind = Kind::kLiteral, .first = static_cast<uint32_t>(at), .count = static_cast<uint32_t>(count)});
  alive_.push_back(1);
  interner_.insert(hash, id);
  return id;
}

RegexId Regexes::concat(RegexId first, RegexId second) {
  if (first == kEmpty || second == kEmpty) return kEmpty;
  if (first == kEpsilon) return second;
  if (second == kEpsilon) return first;
  if (first == kAll && second == kAll) return kAll;
  const Node a = nodes_[first], b = nodes_[second];
  if (a.kind == Kind::kConcat) return concat(children_[a.first], concat(children_[a.first + 1], second));
  if (a.kind == Kind::kLiteral && b.kind == Kind::kLiteral) {
    return literal(std::string(literal_text(a)) + std::string(literal_text(b)));
  }
  if (a.kind == Kind::kLiteral && b.kind == Kind::kConcat && nodes_[children_[b.first]].kind == Kind::kLiteral) {
    const RegexId head = concat(first, children_[b.first]);
    return concat(head, children_[b.first + 1]);
  }
  const RegexId parts[] = {first, second};
  return intern({.kind = Kind::kConcat, .nullable = a.nullable && b.nullable, .logical = a.logical || b.logical},
                parts);
}

RegexId Regexes::concat(std::initializer_list<RegexId> parts) {
  RegexId whole = kEpsilon;
  for (auto part = std::rbegin(parts); part != std::rend(parts); ++part) whole = concat(*part, whole);
  return whole;
}

std::vector<RegexId> Regexes::flatten(Kind kind, const std::vector<RegexId>& parts) const {
  std::vector<RegexId> flat;
  for (const RegexId part : parts) {
    const Node& node = nodes_[part];
    if (node.kind == kind) {
      const auto inner = children(node);
      flat.insert(flat.end(), inner.begin(), inner.end());
    } else {
      flat.push_back(part);
    }
  }
  std::ranges::sort(flat);
  flat.erase(std::unique(flat.begin(), flat.end()), flat.end());
  return flat;
}

RegexId Regexes::either(std::vector<RegexId> alternatives) {
  std::vector<RegexId> flat = flatten(Kind::kEither, alternatives);
  std::erase(flat, kEmpty);
  if (std::ranges::binary_search(flat, kAll)) return kAll;
  ByteSet set;
  int sets = 0;
  for (const RegexId part : flat) {
    if (nodes_[part].kind == Kind::kBytes) ++sets, set |= sets_[nodes_[part].first];
  }
  if (sets > 1) {
    std::erase_if(flat, [&](RegexId part) { return nodes_[part].kind == Kind::kBytes; });
    flat.push_back(bytes(set));
    std::ranges::sort(flat);
  }
  // (X{a,b} | empty) with a <= 1 is X{0,b}; the empty text is in what is nullable anyway.
  if (flat.size() > 1 && flat.front() == kEpsilon) {
    const bool needless = std::any_of(flat.begin() + 1, flat.end(), [&](RegexId part) { return nullable(part); });
    if (needless) flat.erase(flat.begin());
  }
  if (flat.empty()) return kEmpty;
  if (flat.size() == 1) return flat[0];
  Node node{.kind = Kind::kEither};
  bool all_logical = true;
  for (const RegexId part : flat) {
    node.nullable |= nullable(part);
    node.logical |= nodes_[part].logical;
    all_logical &= nodes_[part].logical;
  }
  // One part that is alive for certain is enough, but its derivatives need to know about the others too.
  const RegexId id = intern(node, flat);
  if (!all_logical) alive_[id] = 1;
  return id;
}

RegexId Regexes::both(std::vector<RegexId> parts) {
  std::vector<RegexId> flat = flatten(Kind::kBoth, parts);
  std::erase(flat, kAll);
  if (std::ranges::binary_search(flat, kEmpty)) return kEmpty;
  if (flat.empty()) return kAll;
  if (flat.size() == 1) return flat[0];
  Node node{.kind = Kind::kBoth, .nullable = true, .logical = true};
  for (const RegexId part : flat) {
    node.nullable &= nullable(part);
    if (part == kEpsilon) return std::ranges::all_of(flat, [&](RegexId p) { return nullable(p); }) ? kEpsilon : kEmpty;
  }
  return intern(node, flat);
}

RegexId Regexes::complement(RegexId inner) {
  if (inner == kEmpty) return kAll;
  if (inner == kAll) return kEmpty;
  const Node& node = nodes_[inner];
  if (node.kind == Kind::kNot) return children_[node.first];
  const RegexId parts[] = {inner};
  return intern({.kind = Kind::kNot, .nullable = !node.nullable, .logical = true}, parts);
}

RegexId Regexes::repeat(RegexId inner, uint32_t least, uint32_t most) {
  if (most == 0 || inner == kEpsilon) return kEpsilon;
  if (inner == kEmpty) return least == 0 ? kEpsilon : kEmpty;
  if (least == 1 && most == 1) return inner;
  if (inner == kAll) return kAll;
  const Node& node = nodes_[inner];
  if (node.nullable) least = 0;
  if (node.kind == Kind::kRepeat && node.least <= 1 && node.most == kUnbounded && (least <= 1 || node.least == 0)) {
    return repeat(children_[node.first], node.least * least, kUnbounded);
  }
  const RegexId parts[] = {inner};
  return intern({.kind = Kind::kRepeat, .nullable = least == 0, .logical = node.logical, .least = least, .most = most},
                parts);
}

RegexId Regexes::multiple_of(uint64_t divisor, uint32_t scale) {
  for (uint8_t digit = '0'; digit <= '9'; ++digit) bytes(ByteSet::range(digit, digit));
  bytes(ByteSet::range('.', '.'));
  return intern_multiple({divisor, 0, scale, 0, false, false});
}

RegexId Regexes::intern_multiple(const Multiple& multiple) {
  uint64_t hash = mix_hash(mix_hash(79, multiple.divisor), multiple.remainder);
  hash = mix_hash(hash, uint64_t{multiple.scale} << 32 | multiple.places << 2 | multiple.point << 1 | multiple.digits);
  const uint32_t found = interner_.find(hash, [&](uint32_t id) {
    return nodes_[id].kind == Kind::kMultiple && multiples_[nodes_[id].first] == multiple;
  });
  if (found != Interner::kNone) return found;
  __extension__ using Wide = unsigned __int128;
  Wide value = multiple.remainder;
  for (uint32_t i = multiple.places; i < multiple.scale; ++i) value = value * 10 % multiple.divisor;
  const auto id = static_cast<RegexId>(nodes_.size());
  nodes_.push_back({.kind = Kind::kMultiple,
                    .nullable = multiple.digits && value == 0,
                    .logical = true,
                    .first = static_cast<uint32_t>(multiples_.size())});
  multiples_.push_back(multiple);
  alive_.push_back(-1);
  interner_.insert(hash, id);
  return id;
}

RegexId Regexes::derive_multiple(const Multiple& multiple, uint8_t byte) {
  Multiple next = multiple;
  if (byte == '.') {
    if (multiple.point || !multiple.digits) return kEmpty;
    next.point = true;
    next.digits = false;
    return intern_multiple(next);
  }
  if (byte < '0' || byte > '9') return kEmpty;
  next.digits = true;
  if (multiple.point && multiple.places == multiple.scale) return byte == '0' ? intern_multiple(next) : kEmpty;
  if (multiple.point) ++next.places;
  __extension__ using Wide = unsigned __int128;
  next.remainder = static_cast<uint64_t>((Wide{multiple.remainder} * 10 + (byte - '0')) % multiple.divisor);
  return intern_multiple(next);
}

RegexId Regexes::derivative(RegexId id, uint8_t byte) {
  const Kind kind = nodes_[id].kind;
  if (kind == Kind::kEmpty || kind == Kind::kEpsilon) return kEmpty;
  if (kind == Kind::kAll) return kAll;
  if (kind == Kind::kBytes) return sets_[nodes_[id].first].has(byte) ? kEpsilon : kEmpty;
  if (kind == Kind::kLiteral) {
    const std::string_view text = literal_text(nodes_[id]);
    return static_cast<uint8_t>(text[0]) == byte ? literal(text.substr(1)) : kEmpty;
  }
  const uint64_t key = uint64_t{id} << 8 | byte;
  if (const auto found = derivatives_.find(key); found != derivatives_.end()) return found->second;
  const RegexId result = derive(id, byte);
  if (derivatives_.size() >= kMost_derivatives) derivatives_.clear();
  derivatives_.emplace(key, result);
  return result;
}

RegexId Regexes::derive(RegexId id, uint8_t byte) {
  const Node node = nodes_[id];  // a copy: the builders below move nodes_
  switch (node.kind) {
    case Kind::kConcat: {
      const RegexId first = children_[node.first], second = children_[node.first + 1];
      const RegexId direct = concat(derivative(first, byte), second);
      return nullable(first) ? either(direct, derivative(second, byte)) : direct;
    }
    case Kind::kEither:
    case Kind::kBoth: {
      std::vector<RegexId> parts(children(node).begin(), children(node).end());
      for (RegexId& part : parts) {
        part = derivative(part, byte);
        if (part == kEmpty && node.kind == Kind::kBoth) return kEmpty;
      }
      return node.kind == Kind::kEither ? either(std::move(parts)) : both(std::move(parts));
    }
    case Kind::kNot:
      return complement(derivative(children_[node.first], byte));
    case Kind::kRepeat: {
      const RegexId inner = children_[node.first];
      const RegexId rest = repeat(inner, less_one(node.least), less_one(node.most));
      return concat(derivative(inner, byte), rest);
    }
    case Kind::kMultiple:
      return derive_multiple(multiples_[node.first], byte);
    default:
      return kEmpty;
  }
}

bool Regexes::alive(RegexId id) {
  if (alive_[id] < 0) alive_[id] = nullable(id) || search_alive(id);
  return alive_[id] == 1;
}

// Breadth first, until a state that is alive for certain. All states on the way to it are alive too; if there is none,
// all that were seen are dead.
bool Regexes::search_alive(RegexId start) {
  std::unordered_map<RegexId, RegexId> from{{start, start}};
  std::queue<RegexId> queue({start});
  while (!queue.empty()) {
    const RegexId state = queue.front();
    queue.pop();
    for (const uint8_t byte : representatives_) {
      const RegexId next = derivative(state, byte);
      if (alive_[next] == 0) continue;
      if (!from.emplace(next, state).second) continue;
      if (alive_[next] == 1 || nullable(next)) {
        for (RegexId on = next;; on = from.at(on)) {
          alive_[on] = 1;
          if (on == start) return true;
        }
      }
      queue.push(next);
    }
    if (from.size() > kMost_searched) return true;
  }
  for (const auto& [state, before] : from) alive_[state] = 0;
  return false;
}

ByteSet Regexes::first(RegexId id) {
  ByteSet set;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const uint8_t representative = representatives_[classes_[byte]];
    if (derivative(id, representative) != kEmpty) set.add(static_cast<uint8_t>(byte));
  }
  return set;
}

bool Regexes::matches(RegexId id, std::string_view text) {
  for (const char c : text) {
    id = derivative(id, static_cast<uint8_t>(c));
    if (id == kEmpty) return false;
  }
  return nullable(id);
}

void Regexes::freeze() {
  frozen_ = true;
}

uint32_t Regexes::step_slowly(RegexId id, uint8_t byte_class) {
  RegexId next = derivative(id, representatives_[byte_class]);
  if (!alive(next)) next = kEmpty;
  if (nodes_[id].row == kNoRow) {
    nodes_[id].row = static_cast<uint32_t>(rows_.size());
    rows_.resize(rows_.size() + class_count(), kUnknown);
  }
  const uint32_t step = next << 1 | uint32_t{nullable(next)};
  rows_[nodes_[id].row + byte_class] = step;
  return step;
}

// Whether no text of it begins another: whatever is nullable on the way is the empty text alone.
bool Regexes::is_prefix_code(RegexId id) {
  if (const auto found = prefix_codes_.find(id); found != prefix_codes_.end()) return found->second;
  std::vector<RegexId> seen{id};
  bool is_code = !nullable(id);
  for (size_t i = 0; i < seen.size() && is_code; ++i) {
    for (const uint8_t byte : representatives_) {
      const RegexId next = derivative(seen[i], byte);
      if (next == kEmpty || next == kEpsilon) continue;
      if (nullable(next) || seen.size() > kMost_unit_states) {
        is_code = false;
        break;
      }
      if (std::ranges::find(seen, next) == seen.end()) seen.push_back(next);
    }
  }
  prefix_codes_.emplace(id, is_code);
  return is_code;
}

bool Regexes::counted(RegexId id, Counted* out) {
  const Node node = nodes_[id];
  if (node.kind != Kind::kConcat) return false;
  const Node head = nodes_[children_[node.first]];
  if (head.kind != Kind::kRepeat) return false;
  *out = {children_[head.first], children_[node.first + 1], head.least, head.most};
  if (nullable(out->tail) || nodes_[out->tail].logical || nodes_[out->unit].logical) return false;
  const auto [apart, added] = apart_.emplace(uint64_t{out->unit} << 32 | out->tail, false);
  if (added) apart->second = is_prefix_code(out->unit) && !first(out->unit).meets(first(out->tail));
  return apart->second;
}

bool Regexes::begins_with_one(RegexId id, uint8_t* byte) const {
  while (nodes_[id].kind == Kind::kConcat) id = children_[nodes_[id].first];
  if (nodes_[id].kind != Kind::kLiteral) return false;
  *byte = static_cast<uint8_t>(literal_text(nodes_[id])[0]);
  return true;
}

std::optional<RegexId> Regexes::with_exceptions(RegexId id) {
  if (nodes_[id].kind != Kind::kConcat) return std::nullopt;
  const Node node = nodes_[id], head = nodes_[children_[node.first]];
  if (head.kind != Kind::kBoth) return std::nullopt;
  std::optional<RegexId> all;
  for (const RegexId part : children(head)) {
    if (nodes_[part].kind == Kind::kNot) continue;
    if (all) return std::nullopt;
    all = part;
  }
  if (!all || nodes_[*all].logical) return std::nullopt;
  return concat(*all, children_[node.first + 1]);
}

// Of the intersection that the expression begins with, the one part that is repeated so many times at most; or null.
const RegexId* Regexes::limited_part(RegexId id) const {
  if (nodes_[id].kind == Kind::kConcat) id = children_[nodes_[id].first];
  if (nodes_[id].kind != Kind::kBoth) return nullptr;
  const RegexId* limited = nullptr;
  for (const RegexId& part : children(nodes_[id])) {
    if (nodes_[part].kind != Kind::kRepeat || nodes_[part].most == kUnbounded) continue;
    if (limited != nullptr) return nullptr;
    limited = &part;
  }
  return limited;
}

std::optional<uint32_t> Regexes::limit(RegexId id) const {
  const RegexId* part = limited_part(id);
  return part == nullptr ? std::nullopt : std::optional(nodes_[*part].most);
}

RegexId Regexes::with_limit(RegexId id, uint32_t most) {
  const Node whole = nodes_[id];
  const bool has_tail = whole.kind == Kind::kConcat;
  const RegexId head = has_tail ? children_[whole.first] : id;
  const RegexId tail = has_tail ? children_[whole.first + 1] : kEpsilon;
  const RegexId limited = *limited_part(id);
  std::vector<RegexId> parts(children(nodes_[head]).begin(), children(nodes_[head]).end());
  const Node repeated = nodes_[limited];
  const RegexId other = repeat(children_[repeated.first], repeated.least, most);
  std::ranges::replace(parts, limited, other);
  return concat(both(std::move(parts)), tail);
}

std::optional<RegexId> Regexes::cover(RegexId id) {
  // The expression is one of these.
  std::vector<RegexId> ways;
  const auto split = [&](RegexId part, RegexId rest) {
    if (nodes_[part].kind != Kind::kEither) return ways.push_back(concat(part, rest));
    const Node node = nodes_[part];
    for (uint32_t i = 0; i < node.count; ++i) ways.push_back(concat(children_[node.first + i], rest));
  };
  const Node node = nodes_[id];
  if (node.kind == Kind::kConcat) {
    split(children_[node.first], children_[node.first + 1]);
  } else {
    split(id, kEpsilon);
  }
  // One begins with X*, what follows there is no X*, and neither is another way: since X is a prefix code, X* and what
  // follows it is in X* only if the latter is.
  std::optional<RegexId> all;
  for (const RegexId way : ways) {
    if (nodes_[way].kind != Kind::kConcat) continue;
    const RegexId head = children_[nodes_[way].first];
    const Node& repeat = nodes_[head];
    if (repeat.kind != Kind::kRepeat || repeat.least != 0 || repeat.most != kUnbounded || repeat.logical) continue;
    if (alive(children_[nodes_[way].first + 1])) all = head;
  }
  if (!all || !is_prefix_code(children_[nodes_[*all].first])) return std::nullopt;
  for (const RegexId way : ways) {
    const Node& parts = nodes_[way];
    const bool begins = parts.kind == Kind::kConcat && children_[parts.first] == *all;
    if (may_meet(begins ? children_[parts.first + 1] : way, *all)) return std::nullopt;
  }
  return all;
}

// Whether the two have a text in common; also true if that is not found out quickly.
bool Regexes::may_meet(RegexId a, RegexId b) {
  const RegexId start = both(a, b);
  if (const auto found = meet_.find(start); found != meet_.end()) return found->second;
  std::vector<RegexId> seen{start};
  bool meet = nullable(start);
  for (size_t i = 0; i < seen.size() && !meet; ++i) {
    for (const uint8_t byte : representatives_) {
      const RegexId next = derivative(seen[i], byte);
      if (next == kEmpty || std::ranges::find(seen, next) != seen.end()) continue;
      const auto known = meet_.find(next);
      if (known != meet_.end() && !known->second) continue;
      seen.push_back(next);
      meet |= nullable(next) || seen.size() > kMost_meet_states;
    }
  }
  if (meet) {
    meet_.emplace(start, true);
  } else {
    for (const RegexId state : seen) meet_.emplace(state, false);
  }
  return meet;
}

Regexes::Loops Regexes::loops(RegexId id) {
  Loops loops;
  std::vector<bool> by_class;
  for (size_t c = 0; c < class_count(); ++c) by_class.push_back(step(id, static_cast<uint8_t>(c)) >> 1 == id);
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (by_class[classes_[byte]]) loops.bytes.add(static_cast<uint8_t>(byte));
  }
  // RFC 3629: the bytes that begin a character, those that may follow, and how many more come.
  struct Form {
    uint8_t first, last, next_first, next_last;
    int more;
  };
  constexpr Form kForms[] = {{0xC2, 0xDF, 0x80, 0xBF, 0}, {0xE0, 0xE0, 0xA0, 0xBF, 1}, {0xE1, 0xEC, 0x80, 0xBF, 1},
                             {0xED, 0xED, 0x80, 0x9F, 1}, {0xEE, 0xEF, 0x80, 0xBF, 1}, {0xF0, 0xF0, 0x90, 0xBF, 2},
                             {0xF1, 0xF3, 0x80, 0xBF, 2}, {0xF4, 0xF4, 0x80, 0x8F, 2}};
  std::vector<uint64_t> seen;
  loops.characters = std::ranges::all_of(kForms, [&](const Form& form) {
    for (unsigned byte = form.first; byte <= form.last; ++byte) {
      const uint32_t next = step(id, classes_[byte]) >> 1;
      if (next == kEmpty || !returns(next, id, form.next_first, form.next_last, form.more, seen)) return false;
    }
    return true;
  });
  return loops;
}

// Whether a byte of the range and `more` bytes that go on with a character lead to `home`, whichever they are.
bool Regexes::returns(RegexId id, RegexId home, uint8_t first, uint8_t last, int more, std::vector<uint64_t>& seen) {
  const uint64_t key = uint64_t{id} << 32 | uint64_t{first} << 16 | uint64_t{last} << 8 | static_cast<uint64_t>(more);
  if (std::ranges::find(seen, key) != seen.end()) return true;
  for (unsigned byte = first; byte <= last; ++byte) {
    const uint32_t next = step(id, classes_[byte]) >> 1;
    if (more == 0 ? next != home : next == kEmpty || !returns(next, home, 0x80, 0xBF, more - 1, seen)) return false;
  }
  seen.push_back(key);
  return true;
}

std::string Regexes::text(RegexId id) const {
  const Node& node = nodes_[id];
  std::string text(1, static_cast<char>('a' + static_cast<int>(node.kind)));
  if (node.kind == Kind::kBytes) {
    for (const uint64_t word : sets_[node.first].words) text.append(reinterpret_cast<const char*>(&word), sizeof word);
  } else if (node.kind == Kind::kLiteral) {
    text += std::to_string(node.count) + ':' + std::string(literal_text(node));
  } else if (node.kind == Kind::kMultiple) {
    const Multiple& multiple = multiples_[node.first];
    for (const uint64_t value : {multiple.divisor, multiple.remainder, uint64_t{multiple.scale},
                                 uint64_t{multiple.places}, uint64_t{multiple.point}, uint64_t{multiple.digits}}) {
      text += std::to_string(value) + ',';
    }
  } else {
    text += std::to_string(node.least) + ',' + std::to_string(node.most) + '(';
    for (const RegexId child : children(node)) text += this->text(child);
    text += ')';
  }
  return text;
}

size_t Regexes::memory_bytes() const {
  return nodes_.capacity() * sizeof(Node) + children_.capacity() * sizeof(RegexId) + texts_.capacity() +
         sets_.capacity() * sizeof(ByteSet) + multiples_.capacity() * sizeof(Multiple) + interner_.bytes() +
         rows_.capacity() * sizeof(uint32_t) + derivatives_.size() * 40 + alive_.capacity();
}

RegexId Regexes::import(const Regexes& from, RegexId id, std::unordered_map<RegexId, RegexId>& done) {
  if (id <= kAll) return id;
  if (const auto found = done.find(id); found != done.end()) return found->second;
  const Node node = from.nodes_[id];
  std::vector<RegexId> parts;
  if (node.kind >= Kind::kConcat && node.kind <= Kind::kRepeat) {
    for (const RegexId child : from.children(node)) parts.push_back(import(from, child, done));
  }
  RegexId result = kEmpty;
  switch (node.kind) {
    case Kind::kBytes:
      result = bytes(from.sets_[node.first]);
      break;
    case Kind::kLiteral:
      result = literal(std::string(from.literal_text(node)));
      break;
    case Kind::kMultiple:
      result = intern_multiple(from.multiples_[node.first]);
      break;
    case Kind::kConcat:
      result = concat(parts[0], parts[1]);
      break;
    case Kind::kEither:
      result = either(std::move(parts));
      break;
    case Kind::kBoth:
      result = both(std::move(parts));
      break;
    case Kind::kNot:
      result = complement(parts[0]);
      break;
    case Kind::kRepeat:
      result = repeat(parts[0], node.least, node.most);
      break;
    default:
      break;
  }
  done.emplace(id, result);
  return result;
}

}  // namespace hearth::grammar
