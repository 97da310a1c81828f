// The models that can be asked for, with what their files say of themselves; each file is read once.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "api/service.h"

namespace hearth::serve {

class Catalog {
 public:
  // The newest first: those in Ollama folders that can be read, and the demonstration model if it is installed. One
  // that cannot be is left out, with a warning the first time. Any thread.
  std::vector<api::ModelSummary> list();

 private:
  struct Known {
    std::string path;
    int64_t modified = 0;
    api::ModelSummary summary = {};
    bool usable = false;
  };
  std::mutex mutex_;
  std::map<std::string, Known> known_;  // by name
};

}  // namespace hearth::serve
