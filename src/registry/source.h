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

// What is made of the blobs when they are there, where they are no model yet: files of a split set, which are joined,
// or a folder of safetensors, which is converted.
struct Making {
  std::vector<std::pair<std::string, std::string>> files;  // name, digest
  std::string quantize;                                    // a recipe's name; empty: weights stay as they are
  uint64_t bytes = 0;                                      // that it takes, at most
};

struct Listing {
  store::ModelName name;
  std::string manifest;  // as it is to be stored, byte for byte; empty with `making`
  std::vector<Blob> blobs;
  std::shared_ptr<Client> client;
  std::optional<Making> making = {};
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

// Whose models lie at Hugging Face.
bool is_hugging_face(const store::ModelName& name);
// Asks the registry of a name; `host` may have a scheme before it.
std::shared_ptr<Client> client_of(const store::ModelName& name, const std::string& host, const SourceOptions& options);

// The parts of find_source().
Result<Listing> list_registry(const store::ModelName& name, const std::string& host, const SourceOptions& options);
Result<Listing> list_hugging_face(const store::ModelName& name, const SourceOptions& options);
Result<Listing> list_url(const std::string& url, const SourceOptions& options);

// What a registry's manifest text lists, with paths of `name`. Errors: kInvalidData, kUnsupported. Anything may stand
// in it.
Result<std::vector<Blob>> blobs_of_manifest(std::string_view manifest, const store::ModelName& name);

// Of what Hugging Face tells of a repository (/api/models/ORG/REPO/revision/main?blobs=true), the files that are meant
// by a quantisation; "latest": a usual one. GGUF files come first: one, or all parts of a split set; where there are
// none, what makes a folder of safetensors. Errors: kNotFound, with those that there are; kInvalidData.
struct RepositoryFile {
  std::string path, sha256;  // empty sha256: a small file, of which the API tells git's hash only
  std::string git_hash;      // SHA-1, 40 digits; may be empty
  uint64_t bytes = 0;
};
struct RepositoryChoice {
  std::vector<RepositoryFile> weights;
  std::optional<RepositoryFile> projector;
  std::string commit;
  bool converted = false;  // `weights` are such a folder's files
};
Result<RepositoryChoice> choose_file(std::string_view answer, const std::string& quantization);
// Git's hash of a file with this content (gitformat-pack: "blob SIZE\0" and the bytes), 40 digits.
std::string git_hash_of(std::string_view content);

}  // namespace hearth::registry
