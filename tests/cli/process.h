// Runs the real binary: what a user sees.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace hearth::test {

struct Finished {
  int code = -1;    // exit code, or -1 if a signal ended it
  int signal = 0;   // that ended it
  std::string out;  // standard output; on a terminal everything that it showed
  std::string err;
};

// A running `hearth ARGS`. Its standard streams are pipes, or with kTerminal one pseudo-terminal.
class Process {
 public:
  enum class Streams { kPipes, kTerminal };
  explicit Process(const std::vector<std::string>& args, Streams streams = Streams::kPipes,
                   const std::vector<std::string>& environment = {});
  ~Process();  // kills it if it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void write(const std::string& text);
  void close_input();
  void close_output();  // our end of the pipe: its next write fails
  // Reads until `text` has been seen (searched from where the last wait ended); false after the time.
  bool wait_for(const std::string& text, std::chrono::seconds patience = std::chrono::seconds(20));
  bool wait_for_output(std::chrono::seconds patience = std::chrono::seconds(20));  // any at all
  void send(int signal);
  // Reads to the end and reaps. After `patience` it is killed, which shows as signal SIGKILL.
  Finished finish(std::chrono::seconds patience = std::chrono::seconds(120));

 private:
  bool read_some(std::chrono::milliseconds patience);  // false at the end of all streams

  int pid_ = -1, in_ = -1, out_ = -1, err_ = -1;
  size_t searched_ = 0;
  Finished finished_;
};

// Start to end, with this on standard input.
Finished hearth(const std::vector<std::string>& args, const std::string& input = "");

}  // namespace hearth::test
