#include "doctor/log_facts.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>

#include "base/check.h"
#include "doctor/files.h"

namespace hearth::doctor {
namespace {

constexpr size_t kMostHits = 2000;  // of one pattern; beyond that the first half and the newest are kept

class Patterns {
 public:
  static const Patterns& all() {
    static const Patterns patterns;
    return patterns;
  }

  std::vector<int> matching(std::string_view line) const {
    std::vector<int> found;
    set_->Match(view(line), &found);
    std::ranges::sort(found);
    return found;
  }

  std::vector<std::string> groups(int index, std::string_view line) const {
    const re2::RE2& expression = *expressions_[static_cast<size_t>(index)];
    const int count = 1 + expression.NumberOfCapturingGroups();
    std::vector<re2::StringPiece> parts(static_cast<size_t>(count));
    std::vector<std::string> groups;
    if (!expression.Match(view(line), 0, line.size(), re2::RE2::UNANCHORED, parts.data(), count)) return groups;
    for (size_t i = 1; i < parts.size(); ++i)
      groups.emplace_back(parts[i].data() != nullptr ? parts[i].as_string() : "");
    return groups;
  }

 private:
  static re2::StringPiece view(std::string_view text) { return {text.data(), text.size()}; }

  Patterns() {
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_encoding(re2::RE2::Options::EncodingLatin1);  // any bytes
    options.set_max_mem(64 << 20);
    set_ = std::make_unique<re2::RE2::Set>(options, re2::RE2::UNANCHORED);
    for (const LogPattern& pattern : log_patterns()) {
      CHECK(set_->Add(pattern.expression, nullptr) >= 0);
      expressions_.push_back(std::make_unique<re2::RE2>(pattern.expression, options));
      CHECK(expressions_.back()->ok());
    }
    CHECK(set_->Compile());
  }

  std::unique_ptr<re2::RE2::Set> set_;
  std::vector<std::unique_ptr<re2::RE2>> expressions_;
};

// Where a user's text begins in a line: what follows may say anything.
size_t quoted_prompt(std::string_view line) {
  size_t least = line.size();
  for (const std::string_view mark : {" prompt: '", " prompt: \"", "prompt: None", " prompt=\"", " prompt='"})
    least = std::min(least, line.find(mark));
  return least;
}

void read_config(const std::string& map, LogFacts& facts) {
  // "A:1 B: C:[x y]": a name in capitals, a colon, and all up to the next name.
  static const re2::RE2 name(R"((?:^| )([A-Z][A-Z0-9_]+):)");
  const re2::StringPiece text(map);
  std::vector<std::pair<std::string, size_t>> names;  // with where the value begins
  std::vector<size_t> ends;
  re2::StringPiece parts[2];
  for (size_t at = 0; at <= map.size() && name.Match(text, at, map.size(), re2::RE2::UNANCHORED, parts, 2);) {
    const size_t begin = static_cast<size_t>(parts[0].data() - map.data());
    at = begin + parts[0].size();
    ends.push_back(begin);
    names.emplace_back(parts[1].as_string(), at);
  }
  ends.push_back(map.size());
  for (size_t i = 0; i < names.size(); ++i) {
    const size_t begin = names[i].second;
    facts.config[names[i].first] = std::string(trim(std::string_view(map).substr(begin, ends[i + 1] - begin)));
  }
}

std::optional<int> small_number(std::string_view text) {
  const auto value = to_number(text);
  if (!value || *value > 1 << 30) return std::nullopt;
  return static_cast<int>(*value);
}

void note_start(const std::vector<int>& found, const Patterns& patterns, const std::string& line, LogFacts& facts) {
  RunnerStart start;
  for (const int index : found) {
    const std::string_view name = log_patterns()[static_cast<size_t>(index)].name;
    if (!name.starts_with("L14.")) continue;
    const std::vector<std::string> groups = patterns.groups(index, line);
    if (groups.empty()) continue;
    if (name == "L14.model") start.model = groups[0];
    if (name == "L14.layers") start.layers = small_number(groups[0]);
    if (name == "L14.context") start.context = small_number(groups[0]);
    if (name == "L14.parallel") start.parallel = small_number(groups[0]);
    if (name == "L14.threads") start.threads = small_number(groups[0]);
  }
  if (!start.model.empty()) facts.starts.push_back(std::move(start));
}

void note_buffer(const std::string& device, std::string kind, std::optional<double> bytes, LogFacts& facts) {
  if (!bytes) return;
  if (kind == "model" && facts.buffers[device].contains("compute")) facts.buffers.clear();  // another load begins
  facts.buffers[device][kind.empty() ? "other" : kind] += *bytes;
}

void note_buffers(const std::string& name, const std::vector<std::string>& groups, LogFacts& facts) {
  if (name == "L16") note_buffer(groups[0], groups[1], to_bytes(groups[2] + " MiB"), facts);
  if (name != "L16.engine") return;
  const std::string kind = groups[0] == "model weights" ? "model" : groups[0] == "kv cache" ? "KV" : "compute";
  note_buffer(groups[1], kind, to_bytes(groups[2]), facts);
}

void read_line(std::string_view raw, LogFacts& facts) {
  const Patterns& patterns = Patterns::all();
  ++facts.lines;
  std::string line = plain_line(raw);
  line.resize(quoted_prompt(line));
  const std::vector<int> found = patterns.matching(line);
  for (const int index : found) {
    const std::string name = log_patterns()[static_cast<size_t>(index)].name;
    const std::vector<std::string> groups = patterns.groups(index, line);
    std::vector<Hit>& hits = facts.hits[name];
    if (hits.size() >= kMostHits) hits.erase(hits.begin() + kMostHits / 2);
    hits.push_back({line, groups, facts.lines});
    if (name == "config" && !groups.empty()) read_config(groups[0], facts);
    if (name.starts_with("L16") && groups.size() == 3) note_buffers(name, groups, facts);
  }
  if (!found.empty()) note_start(found, patterns, line, facts);
}

}  // namespace

std::string RunnerStart::options() const {
  const auto text = [](const std::optional<int>& value) { return value ? std::to_string(*value) : std::string("-"); };
  return text(context) + " " + text(layers) + " " + text(parallel) + " " + text(threads);
}

const Hit* LogFacts::first(const std::string& pattern) const {
  const auto found = hits.find(pattern);
  return found == hits.end() ? nullptr : &found->second.front();
}

const Hit* LogFacts::last(const std::string& pattern) const {
  const auto found = hits.find(pattern);
  return found == hits.end() ? nullptr : &found->second.back();
}

size_t LogFacts::count(const std::string& pattern) const {
  const auto found = hits.find(pattern);
  return found == hits.end() ? 0 : found->second.size();
}

bool LogFacts::after(const std::string& pattern, const std::string& other) const {
  const Hit* here = last(pattern);
  const Hit* there = last(other);
  return here != nullptr && (there == nullptr || here->number > there->number);
}

std::string plain_line(std::string_view line) {
  std::string out;
  out.reserve(std::min(line.size(), kLongestLine_bytes));
  for (size_t i = 0; i < line.size() && out.size() < kLongestLine_bytes; ++i) {
    const char c = line[i];
    if (c == '\x1b') {  // ECMA-48: CSI, parameters, a final byte; else one more character
      if (i + 1 < line.size() && line[i + 1] == '[') {
        i += 2;
        while (i < line.size() && (line[i] < '@' || line[i] > '~')) ++i;
      } else {
        ++i;
      }
    } else if (c != '\r') {
      out += c;
    }
  }
  if (!out.starts_with("{\"log\":")) return out;
  boost::json::error_code failed;
  const boost::json::value value = boost::json::parse(out, failed);
  if (failed) return out;
  const boost::json::value* text = value.get_object().if_contains("log");
  return text != nullptr && text->is_string() ? plain_line(trim(std::string_view(text->get_string()))) : out;
}

void LogReader::read(std::string_view text, LogFacts& facts) const {
  // UTF-16 or odd line ends are the caller's; a driver's text may be glued to the next line: patterns are unanchored.
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    read_line(text.substr(at, end - at), facts);
    at = end + 1;
  }
}

}  // namespace hearth::doctor
