// Makes a model of a store: from another one, from GGUF files, or from a folder of Hugging Face; with a template, a
// system text, options, messages and licenses of its own. The layers are Ollama's, which can read them.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "store/manifest.h"

namespace hearth::store {

struct Blueprint {
  std::string name;
  // One of these: a model that is there, whose layers are inherited; files or one folder of this machine, which are
  // those of its user; blobs that are in the store already, each with the name of the file that it was.
  std::string from_model;
  std::vector<std::string> from_paths;
  std::vector<std::pair<std::string, std::string>> from_blobs;  // name, digest

  std::optional<std::string> template_text, system;  // in place of inherited ones
  boost::json::object parameters;                    // over inherited ones
  std::optional<std::vector<Message>> messages;      // in place of inherited ones
  std::vector<std::string> licenses;                 // beside inherited ones
  std::string minimum_version, renderer, parser;     // in place of inherited ones, where they are not empty
  std::string quantize;                              // the name of a recipe; empty: weights stay as they are
  int threads = 1;
};

struct CreateHooks {
  // One line of what is being done, as Ollama words it; `total` 0: without a count. An error ends the work. On the
  // calling thread.
  std::function<Status(std::string_view status, const std::string& digest, uint64_t done, uint64_t total)> progress;
  std::function<Status(std::string_view text)> check_template;  // may be empty
};

// Writes to the first of the folders; models to begin with are looked for in all. Nothing of it is seen before all is
// there, and nothing is left of what fails. Returns notes for people: what was not taken along, and why. Errors: kUsage
// (a name or an option that is none), kNotFound (a model, a file or a blob), kUnsupported, kInvalidData, kIo, kNoSpace,
// those of the hooks.
Result<std::vector<std::string>> create_model(const Blueprint& blueprint, std::span<const std::string> folders,
                                              const CreateHooks& hooks);

}  // namespace hearth::store
