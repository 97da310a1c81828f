// Repositories of Hugging Face.
// API: https://huggingface.co/docs/hub/api (models), https://huggingface.co/docs/hub/storage-backends (resolve).
#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "base/sha256.h"
#include "registry/challenge.h"
#include "registry/file_manifest.h"
#include "registry/source.h"
#include "store/weights_of.h"

namespace hearth::registry {
namespace {

constexpr uint64_t kMost_small_bytes = 16 << 20;  // of a file that is no LFS file, which is in memory for a while

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Of the API's or a file's refusal, in the words that help.
Error refusal(const http::Response& response, const std::string& repository, bool has_token) {
  const unsigned status = response.head.status;
  const std::string code(response.head.headers.get("X-Error-Code"));
  const std::string page = "https://huggingface.co/" + repository;
  if (code == "GatedRepo" && has_token)
    return with_remedy(ErrorKind::kRefused, fmt::format("{} is given only to who has accepted its terms", repository),
                       fmt::format("accept them at {} with the account that HF_TOKEN is of", page));
  if (code == "GatedRepo")
    return with_remedy(ErrorKind::kRefused, fmt::format("{} is given only to who has accepted its terms", repository),
                       fmt::format("accept them at {}, then set HF_TOKEN to a token of that account", page));
  if (status == 404 || (status == 401 && !has_token))
    return with_remedy(
        ErrorKind::kNotFound,
        fmt::format("pull model manifest: file does not exist: {} is not there, or is private", repository),
        has_token ? "check the name and that the account of HF_TOKEN may read it"
                  : "check the name, or set HF_TOKEN if it is private");
  if (status == 401 || status == 403)
    return with_remedy(ErrorKind::kRefused,
                       fmt::format("Hugging Face does not take HF_TOKEN: {}", message_of(response)),
                       "make a token at https://huggingface.co/settings/tokens that may read");
  return error(ErrorKind::kIo, "Hugging Face answers {}: {}", status, message_of(response));
}

Result<std::string> hugging_face_token() {
  std::string token = variable("HF_TOKEN");
  if (token.empty()) {
    std::string home = variable("HF_HOME");
    if (home.empty() && !variable("HOME").empty()) home = variable("HOME") + "/.cache/huggingface";
    const auto text = home.empty() ? Result<std::string>(std::string()) : read_file(home + "/token");
    if (text) token = *text;
  }
  while (!token.empty() && (token.back() == '\n' || token.back() == ' ' || token.back() == '\r')) token.pop_back();
  return token;
}

// One repository that is asked.
class Repository {
 public:
  Repository(std::string name, std::string base, std::string token, const SourceOptions& options,
             std::shared_ptr<Client> client)
      : name_(std::move(name)),
        base_(std::move(base)),
        token_(std::move(token)),
        options_(options),
        client_(std::move(client)) {}

  Result<RepositoryChoice> choose(const std::string& tag) {
    ASSIGN_OR_RETURN(const Client::Answer answer,
                     ask("GET", fmt::format("{}/api/models/{}/revision/main?blobs=true", base_, name_)));
    ASSIGN_OR_RETURN(RepositoryChoice choice, choose_file(answer.response.body, tag));
    commit_ = choice.commit.empty() ? "main" : choice.commit;
    return choice;
  }

  // Whether it is gated shows at the files only.
  Status check_access(const RepositoryFile& file) {
    const auto answer = ask("HEAD", path_of(file));
    return answer ? Status() : Status(answer.error());
  }

  // A small file comes at once, as its SHA-256 is not known before.
  Result<Blob> blob(const RepositoryFile& file) {
    if (!file.sha256.empty()) return Blob{"sha256:" + file.sha256, file.bytes, path_of(file)};
    if (file.bytes > kMost_small_bytes)
      return error(ErrorKind::kInvalidData, "{} of {} has no hash to check it by", printable(file.path), name_);
    ASSIGN_OR_RETURN(Client::Answer answer, ask("GET", path_of(file)));
    std::string& text = answer.response.body;
    if (!file.git_hash.empty() && git_hash_of(text) != file.git_hash)
      return error(ErrorKind::kInvalidData, "{} of {} came with another content than its hash says",
                   printable(file.path), name_);
    const std::string digest = "sha256:" + sha256_hex(text);
    return Blob{digest, text.size(), "", std::move(text)};
  }

 private:
  Result<Client::Answer> ask(const char* method, const std::string& path) {
    Client::Ask ask{.method = method, .path = path};
    ask.follows = std::string_view(method) == "GET";
    ask.goes_on = options_.goes_on;
    ASSIGN_OR_RETURN(Client::Answer answer, client_->ask(ask));
    const unsigned status = answer.response.head.status;
    if (status >= 400 || (ask.follows && status != 200)) return refusal(answer.response, name_, !token_.empty());
    return answer;
  }

  std::string path_of(const RepositoryFile& file) const {
    std::string path = fmt::format("{}/{}/resolve/{}", base_, name_, percent_encoded(commit_));
    for (std::string_view rest = file.path; !rest.empty();) {
      const size_t slash = std::min(rest.find('/'), rest.size());
      path += "/" + percent_encoded(rest.substr(0, slash));
      rest.remove_prefix(std::min(slash + 1, rest.size()));
    }
    return path;
  }

  const std::string name_, base_, token_;
  const SourceOptions& options_;
  const std::shared_ptr<Client> client_;
  std::string commit_;
};

// Before gigabytes come: whether they can be converted, and to what.
Status check_conversion(const store::ModelName& name, const Making& making, const std::vector<Blob>& blobs) {
  for (const auto& [file, digest] : making.files) {
    const auto blob = std::ranges::find(blobs, digest, &Blob::digest);
    if (file != "config.json" || blob == blobs.end() || !blob->text) continue;
    const Status done = store::check_checkpoint(*blob->text, making.quantize);
    if (done || done.error().kind != ErrorKind::kUsage) return done;
    return error(ErrorKind::kNotFound,
                 "the repository has no GGUF file, and '{}' is no format that its safetensors could be quantised to; "
                 "hf.co/{}/{} takes them as they are",
                 name.tag, name.space, name.model);
  }
  return {};
}

}  // namespace

Result<Listing> list_hugging_face(const store::ModelName& name, const SourceOptions& options) {
  if (variable("HF_HUB_OFFLINE") == "1")
    return error(ErrorKind::kRefused, "HF_HUB_OFFLINE is set: nothing is fetched from Hugging Face");
  ASSIGN_OR_RETURN(const std::string token, hugging_face_token());
  std::string endpoint = variable("HF_ENDPOINT");
  if (endpoint.empty()) endpoint = "https://huggingface.co";
  ASSIGN_OR_RETURN(const Url url, parse_url(endpoint));
  Listing listing;
  listing.name = name;
  listing.client = std::make_shared<Client>(url.origin(), ClientOptions{.bearer = token});
  Repository repository(name.space + "/" + name.model, url.path == "/" ? "" : url.path, token, options, listing.client);
  ASSIGN_OR_RETURN(RepositoryChoice choice, repository.choose(name.tag));
  TRY(repository.check_access(choice.weights.front()));
  const bool whole = !choice.converted && choice.weights.size() == 1;
  if (choice.projector) choice.weights.push_back(*choice.projector);
  Making making;
  if (choice.converted && name.tag != "latest") making.quantize = name.tag;
  for (const RepositoryFile& file : choice.weights) {
    ASSIGN_OR_RETURN(Blob blob, repository.blob(file));
    making.files.emplace_back(file.path.substr(file.path.rfind('/') + 1), blob.digest);
    making.bytes += blob.bytes;
    listing.blobs.push_back(std::move(blob));
  }
  if (whole) {
    std::vector<std::pair<const char*, Blob>> layers = {{"model", listing.blobs[0]}};
    if (choice.projector) layers.emplace_back("projector", listing.blobs[1]);
    listing.blobs.push_back(configuration_of_files());
    listing.manifest = manifest_of_files(layers, listing.blobs.back());
    return listing;
  }
  if (choice.converted) TRY(check_conversion(name, making, listing.blobs));
  listing.making = std::move(making);
  return listing;
}

}  // namespace hearth::registry
