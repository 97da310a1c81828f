#include "sim/machine/faults.h"

#include <boost/json.hpp>
#include <climits>
#include <map>
#include <optional>
#include <sstream>

#include "base/error.h"

namespace hearth::sim {
namespace {

namespace json = boost::json;

// One fault as written: its name and its keys; every key must be used up.
struct Clause {
  std::string fault;
  std::map<std::string, std::string> values;

  std::optional<std::string> take(const std::string& key) {
    const auto found = values.find(key);
    if (found == values.end()) return std::nullopt;
    std::string value = found->second;
    values.erase(found);
    return value;
  }
};

Result<std::vector<Clause>> split_text(std::string_view text) {
  std::vector<Clause> clauses;
  std::stringstream stream{std::string(text)};
  for (std::string part; std::getline(stream, part, ';');) {
    std::stringstream words(part);
    Clause clause;
    if (!(words >> clause.fault)) continue;
    for (std::string word; words >> word;) {
      const auto equals = word.find('=');
      if (equals == std::string::npos) {
        return error(ErrorKind::kUsage, "fault \"{}\": \"{}\" is not key=value", clause.fault, word);
      }
      clause.values[word.substr(0, equals)] = word.substr(equals + 1);
    }
    clauses.push_back(std::move(clause));
  }
  return clauses;
}

Result<std::vector<Clause>> split_json(std::string_view text) {
  boost::system::error_code failed;
  const json::value root = json::parse(text, failed);
  if (failed || !root.is_array()) return error(ErrorKind::kUsage, "the faults are not a JSON array: {}", text);
  std::vector<Clause> clauses;
  for (const json::value& entry : root.get_array()) {
    if (!entry.is_object()) return error(ErrorKind::kUsage, "a fault is not a JSON object: {}", text);
    Clause clause;
    for (const auto& [key, value] : entry.get_object()) {
      const std::string written = value.is_string() ? std::string(value.get_string()) : json::serialize(value);
      if (key == "fault") {
        clause.fault = written;
      } else {
        clause.values[std::string(key)] = written;
      }
    }
    clauses.push_back(std::move(clause));
  }
  return clauses;
}

Result<CallRange> take_range(Clause& clause) {
  CallRange range;
  std::optional<std::string> at = clause.take("at");
  if (!at) return range;
  range.onwards = at->ends_with('+');
  if (range.onwards) at->pop_back();
  ASSIGN_OR_RETURN(const std::uint64_t first, parse_count(*at));
  range.first = static_cast<std::int64_t>(first);
  return range;
}

Result<int> take_int(Clause& clause, const std::string& key, int otherwise) {
  const std::optional<std::string> text = clause.take(key);
  if (!text) return otherwise;
  ASSIGN_OR_RETURN(const std::uint64_t value, parse_count(*text));
  if (value > INT_MAX) return error(ErrorKind::kUsage, "fault \"{}\": {}={} is too large", clause.fault, key, value);
  return static_cast<int>(value);
}

// The keys of a moment, each with `prefix` before it.
Result<Moment> take_moment(Clause& clause, const std::string& prefix) {
  Moment moment;
  for (const char* key : {"second", "launch", "call", "file"}) {
    if (const auto value = clause.take(prefix + key)) TRY(set_moment(moment, key, *value));
  }
  return moment;
}

Result<Moment> need_moment(Clause& clause) {
  ASSIGN_OR_RETURN(Moment moment, take_moment(clause, ""));
  if (moment.never()) {
    return error(ErrorKind::kUsage, "fault \"{}\": say when: second=, launch=, call= or file=", clause.fault);
  }
  return moment;
}

Status read_fail(Clause& clause, Faults& faults) {
  FailFault fail;
  const auto call = clause.take("call");
  if (!call || !clause.values.contains("error")) {
    return error(ErrorKind::kUsage, "fault \"fail\": write call=FUNCTION error=CODE");
  }
  fail.function = *call;
  ASSIGN_OR_RETURN(fail.code, take_int(clause, "error", 0));
  ASSIGN_OR_RETURN(fail.range, take_range(clause));
  faults.fail.push_back(std::move(fail));
  return {};
}

Status read_take(Clause& clause, Faults& faults) {
  OtherProcess process;
  process.name = clause.take("name").value_or("/usr/bin/other");
  process.pid = static_cast<unsigned>(9000 + faults.take.size());
  ASSIGN_OR_RETURN(process.device, take_int(clause, "device", 0));
  const auto mib = clause.take("mib");
  if (!mib) return error(ErrorKind::kUsage, "fault \"take\": write how much: mib=N");
  ASSIGN_OR_RETURN(const std::uint64_t count, parse_count(*mib));
  if (count > UINT64_MAX >> 20) return error(ErrorKind::kUsage, "fault \"take\": mib={} is too large", count);
  process.bytes = count << 20;
  ASSIGN_OR_RETURN(process.from, take_moment(clause, ""));
  process.always = process.from.never();
  ASSIGN_OR_RETURN(process.until, take_moment(clause, "until-"));
  faults.take.push_back(std::move(process));
  return {};
}

Status read_clause(Clause& clause, Faults& faults) {
  if (clause.fault == "oom") {
    ASSIGN_OR_RETURN(const CallRange range, take_range(clause));
    faults.out_of_memory.push_back(range);
  } else if (clause.fault == "fail") {
    TRY(read_fail(clause, faults));
  } else if (clause.fault == "sticky") {
    StickyFault sticky;
    ASSIGN_OR_RETURN(sticky.code, take_int(clause, "error", sticky.code));
    ASSIGN_OR_RETURN(sticky.device, take_int(clause, "device", 0));
    ASSIGN_OR_RETURN(sticky.when, need_moment(clause));
    faults.sticky.push_back(std::move(sticky));
  } else if (clause.fault == "lost") {
    LostFault lost;
    ASSIGN_OR_RETURN(lost.code, take_int(clause, "error", lost.code));
    ASSIGN_OR_RETURN(lost.device, take_int(clause, "device", 0));
    ASSIGN_OR_RETURN(lost.until, take_moment(clause, "until-"));
    ASSIGN_OR_RETURN(lost.when, need_moment(clause));
    faults.lost.push_back(std::move(lost));
  } else if (clause.fault == "take") {
    TRY(read_take(clause, faults));
  } else if (clause.fault == "slow-copy") {
    ASSIGN_OR_RETURN(faults.copy_mib_per_s, parse_number(clause.take("mib-per-s").value_or("")));
  } else if (clause.fault == "slow-compile") {
    ASSIGN_OR_RETURN(faults.compile_seconds, parse_number(clause.take("seconds").value_or("")));
    ASSIGN_OR_RETURN(faults.slow_compilations, take_range(clause));
  } else if (clause.fault == "no-reset") {
    faults.no_reset = true;
  } else if (clause.fault == "stub") {
    faults.stub = true;
  } else if (clause.fault == "missing") {
    const auto call = clause.take("call");
    if (!call) return error(ErrorKind::kUsage, "fault \"missing\": write call=FUNCTION");
    faults.missing.push_back(*call);
  } else {
    return error(ErrorKind::kUsage,
                 "unknown fault \"{}\": oom, fail, sticky, lost, take, slow-copy, slow-compile, no-reset, stub, "
                 "missing are known",
                 clause.fault);
  }
  if (!clause.values.empty()) {
    return error(ErrorKind::kUsage, "fault \"{}\": unknown key \"{}\"", clause.fault, clause.values.begin()->first);
  }
  return {};
}

}  // namespace

Result<Faults> parse_faults(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\n");
  const bool is_json = first != std::string_view::npos && text[first] == '[';
  ASSIGN_OR_RETURN(std::vector<Clause> clauses, is_json ? split_json(text) : split_text(text));
  Faults faults;
  for (Clause& clause : clauses) TRY(read_clause(clause, faults));
  return faults;
}

}  // namespace hearth::sim
