// Questions that may hang, asked in a process of their own.
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <string>
#include <vector>

namespace hearth::doctor {

// A child `program doctor --probe NAME` that answers with a JSON object on its standard output.
class Probe {
 public:
  // `environment`: "NAME=value" replaces a variable, "NAME" removes it.
  Probe(const std::string& program, const std::string& name, const std::vector<std::string>& environment = {});
  ~Probe();  // ends it if it still runs
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // Its answer; {"error": "timeout"} if there is none until then, {"error": "..."} if it broke off. Once.
  boost::json::object answer(std::chrono::steady_clock::time_point until);

 private:
  int pid_ = -1, out_ = -1;
  std::string problem_;  // why it could not be started
};

}  // namespace hearth::doctor
