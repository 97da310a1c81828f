// What the logs of servers and of the kernel say: lines that patterns of the catalogue recognise, and what follows from
// their order.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::doctor {

struct Hit {
  std::string line;  // without colours, at most kLongestLine_bytes
  std::vector<std::string> groups;
  size_t number = 0;  // of the line, from 1
};

inline constexpr size_t kLongestLine_bytes = 8192;

// One start of a runner: its command line.
struct RunnerStart {
  std::string model;
  std::optional<int> context, layers, parallel, threads;
  std::string options() const;  // all but the model, to compare
};

struct LogFacts {
  size_t lines = 0;
  std::map<std::string, std::vector<Hit>> hits;  // by the pattern's name; see log_patterns.cpp
  std::map<std::string, std::string> config;     // Ollama's "server config"
  std::vector<RunnerStart> starts;
  std::map<std::string, std::map<std::string, double>> buffers;  // device -> kind -> bytes, of the last load

  bool has(const std::string& pattern) const { return hits.contains(pattern); }
  const Hit* first(const std::string& pattern) const;
  const Hit* last(const std::string& pattern) const;
  size_t count(const std::string& pattern) const;
  // Whether `pattern` was seen after the last `other`, or `other` never.
  bool after(const std::string& pattern, const std::string& other) const;
};

struct LogPattern {
  const char* name;
  const char* expression;  // RE2
};
// The catalogue's L1 to L52, alternatives with a meaning of their own under names of their own ("L36.xid").
const std::vector<LogPattern>& log_patterns();

// Takes any bytes. Lines that quote a prompt are cut before it.
class LogReader {
 public:
  void read(std::string_view text, LogFacts& facts) const;
};

// A line without escape sequences, carriage returns and Docker's JSON around it.
std::string plain_line(std::string_view line);

}  // namespace hearth::doctor
