// Where a model comes from and what it is made of there: a registry (Ollama's, any OCI registry, another hearth), a
// repository of Hugging Face, one file at a URL.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "registry/client.h"
#include "store/model_name.h"

namespace hearth::registry {

// One file of a model.
struct Blob {
  std::string digest;  // "sha256:<64 hex>"
  uint64_t bytes = 0;
  std::string path;                      // where the client finds it
  std::optional<std::string> text = {};  // or what it holds
};

struct Listing {
  store::ModelName name;
  std::string manifest;  // as it is to be stored, byte for byte
  std::vector<Blob> blobs;
  std::shared_ptr<Client> client;
};

struct SourceOptions {
  bool insecure = false;
  std::optional<Credentials> credentials = {};
  std::function<bool()> goes_on = {};
};

// What people write:
//   llama3.2, user/model:tag, host:port/space/model:tag      a registry
//   hf.co/org/repo[:QUANTISATION]                             Hugging Face ($HF_TOKEN, $HF_ENDPOINT)
//   https://host/file.gguf#sha256:<64 hex>                    one file, whose model has the file's name
// Errors: kUsage, kNotFound, kRefused, kUnsupported, kInvalidData, and those of Client::ask().
Result<Listing> find_source(const std::string& name, const SourceOptions& options);
// The name in the store that a pull of `name` fills. Errors: kUsage.
Result<store::ModelName> target_name(const std::string& name);

// The parts of find_source().
Result<Listing> list_registry(const store::ModelName& name, const std::string& host, const SourceOptions& options);
Result<Listing> list_hugging_face(const store::ModelName& name, const SourceOptions& options);
Result<Listing> list_url(const std::string& url, const SourceOptions& options);

// What a registry's manifest text lists, with paths of `name`. Errors: kInvalidData, kUnsupported. Anything may stand
// in it.
Result<std::vector<Blob>> blobs_of_manifest(std::string_view manifest, const store::ModelName& name);

// Of what Hugging Face tells of a repository (/api/models/ORG/REPO/revision/main?blobs=true), the GGUF file that is
// meant by a quantisation; "latest": a usual one. Errors: kNotFound, with those that there are; kUnsupported;
// kInvalidData.
struct RepositoryFile {
  std::string path, sha256;
  uint64_t bytes = 0;
};
struct RepositoryChoice {
  RepositoryFile weights;
  std::optional<RepositoryFile> projector;
  std::string commit;
};
Result<RepositoryChoice> choose_file(std::string_view answer, const std::string& quantization);

}  // namespace hearth::registry
