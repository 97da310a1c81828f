#include "doctor/anonymise.h"

#include <pwd.h>
#include <re2/re2.h>
#include <unistd.h>

#include <array>

#include "doctor/collect.h"
#include "doctor/files.h"
#include "doctor/log_facts.h"

namespace hearth::doctor {
namespace {

namespace json = boost::json;

struct Rewrite {
  re2::RE2 expression;
  const char* with;
};

// What identifies somebody whatever its name.
const std::vector<Rewrite*>& rewrites() {
  static Rewrite list[] = {
      {re2::RE2(R"((/home/|/Users/|/mnt/c/Users/|C:\\Users\\|/run/user/)[^/\\\s"':,]+)"), R"(\1USER)"},
      {re2::RE2(R"((?i)(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,})"), R"(\1 KEY)"},
      {re2::RE2(R"(\b(sk|hf|ghp|gho|pk|api|xox[bp]|glpat|AKIA)[-_][A-Za-z0-9_-]{8,})"), "KEY"},
      {re2::RE2(R"((?i)(--?(?:api-?key|hf-?token|token|password|secret)[= ])\S+)"), R"(\1KEY)"},
      {re2::RE2(
           R"((?i)("?[A-Za-z0-9_]*(?:api_?key|token|secret|passw(?:or)?d|credential)[A-Za-z0-9_]*"?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;\]]+))"),
       R"(\1KEY)"},
      {re2::RE2(R"(\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+)"), "ADDRESS"},
      {re2::RE2(R"(([a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@)"), R"(\1KEY@)"},
      {re2::RE2(R"(\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b(:[0-9]+)?)"), "ADDRESS"},
  };
  static std::vector<Rewrite*> pointers = [] {
    std::vector<Rewrite*> all;
    for (Rewrite& one : list) all.push_back(&one);
    return all;
  }();
  return pointers;
}

void replace_word(std::string& text, const std::string& word, const std::string& with) {
  if (word.size() < 3 || word == "root" || word == "localhost") return;
  const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos;) {
    const size_t end = at + word.size();
    if ((at > 0 && letter(text[at - 1])) || (end < text.size() && letter(text[end]))) {
      at = end;
      continue;
    }
    text.replace(at, word.size(), with);
    at += with.size();
  }
}

std::string clean(std::string text, const Names& names) {
  // 127.0.0.1 and 0.0.0.0 say nothing of anybody, and versions of drivers have three parts.
  constexpr std::array kKept = {std::pair("127.0.0.1", "\x01local\x01"), std::pair("0.0.0.0", "\x01any\x01")};
  for (const auto& [address, mark] : kKept) replace_word(text, address, mark);
  for (Rewrite* one : rewrites()) re2::RE2::GlobalReplace(&text, one->expression, one->with);
  for (const auto& [address, mark] : kKept)
    for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos;)
      text.replace(at, std::string_view(mark).size(), address);
  replace_word(text, names.user, "USER");
  replace_word(text, names.host, "HOST");
  return text;
}

// Values of variables that may be anything go, the names stay.
std::string clean_compose(const std::string& text) {
  static const re2::RE2 variable(R"re((\s*-?\s*["']?)([A-Za-z][A-Za-z0-9_]*)(["']?\s*[=:]\s*)(\S.*))re");
  std::string out;
  bool variables = false;
  size_t depth = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    const size_t indent = line.find_first_not_of(' ');
    if (variables && indent != std::string::npos && indent <= depth && line[indent] != '-') variables = false;
    std::string before, name, between, value;
    const bool entry = re2::RE2::FullMatch(line, variable, &before, &name, &between, &value);
    const bool capitals = name.find_first_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
    if (entry && (variables || capitals) && !is_telling_variable(name)) line = before + name + between + "REMOVED";
    if (indent != std::string::npos && trim(line) == "environment:") {
      variables = true;
      depth = indent;
    }
    out += line + "\n";
  }
  return out;
}

// Only lines that a pattern knows; where a prompt begins they end.
std::string telling_log(const std::string& text) {
  const LogReader reader;
  std::string kept;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    LogFacts one;
    reader.read(std::string_view(text).substr(at, end - at), one);
    if (!one.hits.empty()) kept += one.hits.begin()->second.front().line + "\n";
    at = end + 1;
  }
  return kept;
}

std::string joined(const json::array& lines) {
  std::string all;
  for (const json::value& line : lines)
    if (line.is_string()) all += std::string(line.get_string()) + "\n";
  return all;
}

void clean_all(json::value& value, const Names& names) {
  if (value.is_string()) value = clean(std::string(value.get_string()), names);
  if (value.is_array())
    for (json::value& item : value.get_array()) clean_all(item, names);
  if (!value.is_object()) return;
  json::object renamed;
  for (auto& member : value.get_object()) {
    clean_all(member.value(), names);
    renamed[clean(std::string(member.key()), names)] = std::move(member.value());
  }
  value = std::move(renamed);
}

}  // namespace

Names names_here() {
  Names names;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0) names.host = host.data();
  const passwd* user = ::getpwuid(::getuid());
  names.user = user != nullptr ? user->pw_name : "";
  return names;
}

Bundle anonymised(const Bundle& bundle, const Names& names) {
  Bundle out;
  out.all = bundle.all;
  out.all.erase("notes");
  for (const char* part : {"logs", "commands"}) {
    for (auto& member : out.part(part)) {
      json::value& log = member.value();
      if (log.is_array()) log = joined(log.get_array());
      if (log.is_string()) log = telling_log(std::string(log.get_string()));
    }
  }
  if (auto* compose = out.all.if_contains("compose")) {
    if (compose->is_string()) *compose = clean_compose(std::string(compose->get_string()));
    if (compose->is_object())
      for (auto& member : compose->get_object())
        if (member.value().is_string()) member.value() = clean_compose(std::string(member.value().get_string()));
  }
  json::value whole = out.all;
  clean_all(whole, names);
  out.all = std::move(whole.get_object());
  return out;
}

}  // namespace hearth::doctor
