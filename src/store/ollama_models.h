// Finds models by name in the model folders of an existing Ollama installation. Read only.
// Layout: <folder>/manifests/<host>/<namespace>/<model>/<tag> (JSON), <folder>/blobs/sha256-<64 hex> (before
// version 0.1.32: sha256:<64 hex>).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/manifest.h"
#include "store/model_name.h"

namespace hearth::store {

struct ModelFiles {
  std::string name;   // as people know it: the path that was given, or "llama3.2:latest"
  std::string model;  // path of the GGUF file

  // What a named model brings along; all empty for a path.
  std::string template_text;       // of the chat, in Go's template language
  std::string system;              // the default system prompt
  std::string renderer, parser;    // Ollama's built-in code that it asks for, by name
  Parameters parameters;           // default options
  std::vector<Message> messages;   // the start of every conversation
  std::string projector;           // path of a vision or audio encoder (GGUF)
  std::vector<std::string> notes;  // what of it cannot be used, and why; it never keeps a model from running
};

// Whether both are the same weights with the same of all that they bring along, whatever they are called.
bool same_apart_from_name(const ModelFiles& a, const ModelFiles& b);

// Those of all stores, see tiers.h: $OLLAMA_MODELS, $HOME/.ollama/models, /usr/share/ollama/.ollama/models, ...
std::vector<std::string> model_folders();

// The path of a model's manifest in a folder, whatever the case of its name's letters; nothing if it is not there.
std::optional<std::string> find_manifest(const std::string& folder, const ModelName& name);

// Names of all models there, sorted; folders that are absent or unreadable have none.
std::vector<std::string> list_models(std::span<const std::string> folders);

// A name, wherever it comes from: it never opens a file that its text could be the path of. Errors: kNotFound (says
// where was searched and what is there), kUsage (no valid name), kInvalidData (bad manifest), kIo, kUnsupported (a
// model that is no GGUF file, or one with an adapter).
Result<ModelFiles> resolve_name(const std::string& name, std::span<const std::string> folders);
// A path. Errors: kNotFound.
Result<ModelFiles> resolve_path(const std::string& path);
// What the user of this machine writes on a command line: an existing file wins; otherwise it is a name. Never for
// what comes from elsewhere. Errors: of both.
Result<ModelFiles> resolve_argument(const std::string& name_or_path, std::span<const std::string> folders);
Result<ModelFiles> resolve_argument(const std::string& name_or_path);

}  // namespace hearth::store
