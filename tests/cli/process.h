// Runs the real binary: what a user sees.
#pragma once

#include <string>
#include <vector>

namespace hearth::test {

struct Finished {
  int code = -1;    // exit code, or -1 if a signal ended it
  int signal = 0;   // that ended it
  std::string out;  // standard output; on a terminal everything that it showed
  std::string err;
};

// A running `hearth ARGS`. Its standard streams are pipes (with kNoInput one that brings nothing), or with kTerminal
// one pseudo-terminal.
class Process {
 public:
  enum class Streams { kPipes, kNoInput, kTerminal };
  explicit Process(const std::vector<std::string>& args, Streams streams = Streams::kPipes,
                   const std::vector<std::string>& environment = {});
  ~Process();  // kills it if it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void write(const std::string& text);
  void close_input();
  void close_output();  // our end of the pipe: its next write fails
  // Reads until `text` has been seen (searched from where the last wait ended); false if it does not come.
  bool wait_for(const std::string& text);
  const std::string& shown() const { return finished_.out; }  // so far
  bool wait_for_output();                                     // any that no wait has seen yet
  bool runs() const;                                          // it has not ended yet
  void send(int signal);
  void resize(unsigned short columns);  // the terminal
  // Reads to the end and reaps. One that does not end is killed, which shows as signal SIGKILL.
  Finished finish();

 private:
  class Patience;
  bool read_some(Patience& patience);  // false at the end of all streams, or of the patience

  int pid_ = -1, in_ = -1, out_ = -1, err_ = -1;
  size_t searched_ = 0;
  Finished finished_;
};

// Start to end, with this on standard input.
Finished hearth(const std::vector<std::string>& args, const std::string& input = "");

}  // namespace hearth::test
