// The models that can be asked for, with what their files say of themselves; each file is read once.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "api/service.h"

namespace hearth::serve {

class Catalog {
 public:
  // `capabilities`: what a model can, by its name; it may take a while. None: that is not told.
  using Capabilities = std::function<std::vector<std::string>(const std::string& name)>;
  explicit Catalog(Capabilities capabilities = {}) : capabilities_(std::move(capabilities)) {}

  // The newest first: those in Ollama folders that can be read, and the demonstration model if it is installed. One
  // that cannot be is left out, with a warning the first time. Any thread.
  std::vector<api::ModelSummary> list();

 private:
  struct Known {
    std::string path;
    int64_t modified = 0;
    api::ModelSummary summary = {};
    bool usable = false, has_capabilities = false;
  };
  void look_up_capabilities(std::vector<api::ModelSummary>& list);

  const Capabilities capabilities_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;  // by name
};

}  // namespace hearth::serve
