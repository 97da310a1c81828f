// What a command takes on the command line. CLI11, which reads it, stays behind this header: it would take a compiler
// ten seconds in every file that sees it.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace CLI {
class App;
}

namespace hearth::cli {

// The arguments of one command: each call declares one and names where its value goes, which must live until the
// command has run. A name is "-p,--prompt", "--prompt", or "PROMPT" for an argument by position. Of an option that is
// given several times the last one counts. `summary` is its line of the help page.
class Arguments {
 public:
  explicit Arguments(CLI::App& app) : app_(app) {}

  void flag(const char* name, bool& target, const std::string& summary);
  void text(const char* name, std::string& target, const std::string& summary);
  void text(const char* name, std::optional<std::string>& target, const std::string& summary);  // unset if not given
  void required_text(const char* name, std::string& target, const std::string& summary);
  void choice(const char* name, std::string& target, std::initializer_list<const char*> values,
              const std::string& summary);
  void required_choice(const char* name, std::string& target, std::initializer_list<const char*> values,
                       const std::string& summary);
  void number(const char* name, uint32_t& target, uint32_t least, uint32_t most, const std::string& summary);
  void number(const char* name, int& target, int least, int most, const std::string& summary);
  // "1,3,8".
  void numbers(const char* name, std::vector<uint32_t>& target, uint32_t least, uint32_t most,
               const std::string& summary);
  // `take` gets every value of the option, in the order in which they are given; an error of its own is one of usage.
  void each(const char* name, const char* type, std::function<Status(const std::string& value)> take,
            const std::string& summary, const char* group);
  // All words that are left over, each as it was written.
  void words(const char* name, std::vector<std::string>& target, const std::string& summary);
  // The two options cannot be given together.
  void exclude(const char* one, const char* other);

 private:
  CLI::App& app_;
};

// What a command line asks for.
struct Invocation {
  std::string command;  // empty: none was named
  std::string help;     // the page that was asked for; empty: none
  bool version = false, verbose = false;
};

// A program of several commands.
class ArgumentParser {
 public:
  ArgumentParser(const char* program, const char* summary);
  ~ArgumentParser();

  // The arguments of the command `name`, to be declared; they live as long as this.
  Arguments& add_command(const std::string& name, const char* summary);
  // Fills the targets of the command that was given. Errors: kUsage, in one line that names the page of help.
  Result<Invocation> parse(int argc, char** argv);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::cli
