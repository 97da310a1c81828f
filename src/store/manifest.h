// The JSON documents of a model in Ollama's store: manifest, configuration, parameters, messages.
// Format: the OCI image manifest (https://github.com/opencontainers/image-spec) with media types of
// https://github.com/ollama/ollama (server/images.go). Unknown members are ignored; wrong types, digests
// that are none, and documents that are no JSON are errors (kInvalidData; the caller names the file).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hearth::store {

// "sha256:<64 hex>" or "sha256-<64 hex>"; nothing else, so a digest can be used as a file name.
bool is_digest(std::string_view text);
// In the one spelling by which digests are compared: "sha256:" and lower-case digits. `digest` must be one.
std::string plain_digest(std::string digest);

struct Layer {
  std::string media_type;  // "application/vnd.ollama.image.model"
  std::string digest;      // "sha256:<64 hex>"
  uint64_t bytes = 0;
};

struct Manifest {
  std::string config_digest;  // empty if there is none
  std::vector<Layer> layers;
};
Result<Manifest> parse_manifest(std::string_view json);

// What of a model's configuration matters here; empty texts for what it does not say.
struct Configuration {
  std::string remote;            // "host/model" of the cloud model that it stands for
  std::string renderer, parser;  // Ollama's built-in code for prompts and answers, by name
};
Result<Configuration> parse_configuration(std::string_view json);

// Option names and their values as text; a list ("stop") gives one pair per element. Values that are no text, number or
// bool are left out.
using Parameters = std::vector<std::pair<std::string, std::string>>;
Result<Parameters> parse_parameters(std::string_view json);

struct Message {
  std::string role, content;
  bool operator==(const Message&) const = default;
};
Result<std::vector<Message>> parse_messages(std::string_view json);

}  // namespace hearth::store
