// Protocol: https://github.com/opencontainers/distribution-spec/blob/main/spec.md (push); Ollama's registry leads the
// parts elsewhere.
#include <openssl/evp.h>

#include <boost/json.hpp>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "registry/challenge.h"
#include "registry/pull.h"
#include "store/blobs.h"
#include "store/manifest.h"
#include "store/ollama_models.h"

namespace hearth::registry {
namespace {

constexpr uint64_t kPart_bytes = 64 << 20;
constexpr const char* kManifest_type = "application/vnd.docker.distribution.manifest.v2+json";

// As those who keep parts make the tag of the whole (RFC 1321).
std::string md5(std::string_view bytes) {
  std::string hash(16, '\0');
  CHECK(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(hash.data()), nullptr, EVP_md5(),
                   nullptr) == 1);
  return hash;
}

std::string hex_text(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

class Push {
 public:
  Push(const TransferOptions& options, const ProgressSink& sink, store::ModelName name, std::string store)
      : options_(options), sink_(sink), name_(std::move(name)), store_(std::move(store)) {}

  Status run(const std::string& host, const std::string& manifest_path) {
    client_ = std::make_unique<Client>(
        host, ClientOptions{.insecure = options_.insecure, .credentials = options_.credentials});
    ASSIGN_OR_RETURN(const std::string manifest, read_file(manifest_path));
    ASSIGN_OR_RETURN(const std::vector<Blob> blobs, blobs_of_manifest(manifest, name_));
    for (const Blob& blob : blobs) TRY(send(blob));
    sink_({"pushing manifest"});
    Client::Ask ask{.method = "PUT",
                    .path = fmt::format("/v2/{}/{}/manifests/{}", name_.space, name_.model, name_.tag)};
    ask.headers.add("Content-Type", media_type(manifest));
    ask.content = manifest;
    ask.goes_on = options_.goes_on;
    ASSIGN_OR_RETURN(const Client::Answer answer, client_->ask(ask));
    if (answer.response.head.status >= 300) return refusal(answer.response, "does not take the manifest");
    sink_({"success"});
    return {};
  }

 private:
  static std::string media_type(const std::string& manifest) {
    boost::system::error_code failed;
    const boost::json::value value = boost::json::parse(manifest, failed);
    const boost::json::value* type = failed ? nullptr : value.get_object().if_contains("mediaType");
    return type != nullptr && type->is_string() ? std::string(type->get_string()) : kManifest_type;
  }

  Error refusal(const http::Response& response, const char* what) const {
    const unsigned status = response.head.status;
    const std::string cause = fmt::format("{} {}: it answers {}: {}", name_.host, what, status, message_of(response));
    if ((status == 401 || status == 403) && name_.host == store::ModelName().host)
      return with_remedy(ErrorKind::kRefused, cause,
                         "make the key ~/.ollama/id_ed25519 (ssh-keygen -t ed25519 -N '' -f ~/.ollama/id_ed25519) and "
                         "add its .pub at https://ollama.com/settings/keys");
    if (status == 401 || status == 403)
      return with_remedy(ErrorKind::kRefused, cause,
                         fmt::format("docker login {}, as somebody who may write there", name_.host));
    return error(ErrorKind::kIo, "{}", cause);
  }

  Status send(const Blob& blob) {
    const std::string status = "pushing " + blob.digest.substr(7, 12);
    ASSIGN_OR_RETURN(const InputFile file, InputFile::open(store::blob_path(store_, blob.digest)));
    const uint64_t total = file.size();
    Client::Ask look{.method = "HEAD", .path = blob.path};
    look.goes_on = options_.goes_on;
    ASSIGN_OR_RETURN(const Client::Answer there, client_->ask(look));
    if (there.response.head.status == 200) {
      sink_({status, blob.digest, total, total});
      return {};
    }
    Client::Ask begin{.method = "POST", .path = fmt::format("/v2/{}/{}/blobs/uploads/", name_.space, name_.model)};
    begin.goes_on = options_.goes_on;
    ASSIGN_OR_RETURN(const Client::Answer upload, client_->ask(begin));
    if (upload.response.head.status != 202) return refusal(upload.response, "begins no upload");
    ASSIGN_OR_RETURN(std::string url, next_url(upload));
    ASSIGN_OR_RETURN(const MappedFile content, MappedFile::map(file));
    const std::string_view bytes(reinterpret_cast<const char*>(content.bytes().data()), content.bytes().size());
    sink_({status, blob.digest, total, 0});
    part_hashes_.clear();
    for (uint64_t at = 0; at < total; at += kPart_bytes) {
      const std::string_view part = bytes.substr(at, kPart_bytes);
      ASSIGN_OR_RETURN(url, send_part(url, part, at));
      TRY(content.check());  // else zeros were sent
      sink_({status, blob.digest, total, at + part.size()});
    }
    url += (url.find('?') == std::string::npos ? "?" : "&") + ("digest=" + percent_encoded(blob.digest));
    if (!part_hashes_.empty()) url += fmt::format("&etag={}-{}", hex_text(md5(part_hashes_)), part_hashes_.size() / 16);
    Client::Ask end{.method = "PUT", .path = url};
    end.goes_on = options_.goes_on;
    ASSIGN_OR_RETURN(const Client::Answer done, client_->ask(end));
    if (done.response.head.status != 201 && done.response.head.status != 204)
      return refusal(done.response, fmt::format("does not keep {}", blob.digest.substr(0, 19)).c_str());
    return {};
  }

  // Returns where the next part goes to.
  Result<std::string> send_part(const std::string& url, std::string_view part, uint64_t at) {
    Client::Ask ask{.method = "PATCH", .path = url};
    ask.headers.add("Content-Type", "application/octet-stream");
    ask.headers.add("Content-Range", fmt::format("{}-{}", at, at + part.size() - 1));
    ask.headers.add("X-Redirect-Uploads", "1");
    ask.content = part;
    ask.follows = false;
    ask.goes_on = options_.goes_on;
    ASSIGN_OR_RETURN(const Client::Answer answer, client_->ask(ask));
    const unsigned status = answer.response.head.status;
    if (status == 307) {  // the part belongs elsewhere, which takes it whole
      ASSIGN_OR_RETURN(const std::string target, resolve_url(answer.url, answer.response.head.headers.get("Location")));
      Client::Ask put{.method = "PUT", .path = target};
      put.headers.add("Content-Type", "application/octet-stream");
      put.content = part;
      put.goes_on = options_.goes_on;
      part_hashes_ += md5(part);
      ASSIGN_OR_RETURN(const Client::Answer stored, client_->ask(put));
      if (stored.response.head.status >= 300) return refusal(stored.response, "does not take a part");
      return next_url(answer);
    }
    if (status != 202 && status != 201 && status != 204) return refusal(answer.response, "does not take a part");
    return next_url(answer);
  }

  Result<std::string> next_url(const Client::Answer& answer) const {
    const http::Headers& headers = answer.response.head.headers;
    const std::string_view own = headers.get("Docker-Upload-Location");
    return resolve_url(answer.url, own.empty() ? headers.get("Location") : own);
  }

  const TransferOptions& options_;
  const ProgressSink& sink_;
  const store::ModelName name_;
  const std::string store_;
  std::unique_ptr<Client> client_;
  std::string part_hashes_;  // of the parts of one blob that went elsewhere, for its end
};

}  // namespace

Status push(const std::string& name, const TransferOptions& options, const ProgressSink& sink) {
  sink({"retrieving manifest"});
  ASSIGN_OR_RETURN(const store::ModelName parsed, store::ModelName::parse(name));
  for (const std::string& folder : store::model_folders()) {
    const auto manifest = store::find_manifest(folder, parsed);
    if (!manifest) continue;
    const size_t scheme = name.find("://");
    const std::string host = (scheme == std::string::npos ? "" : name.substr(0, scheme + 3)) + parsed.host;
    return Push(options, sink, parsed, folder).run(host, *manifest);
  }
  sink({"couldn't retrieve manifest"});
  return error(ErrorKind::kNotFound, "model '{}' not found; \"hearth cp\" gives a model the name of where it goes",
               name);
}

}  // namespace hearth::registry
