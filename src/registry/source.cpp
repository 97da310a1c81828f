#include "registry/source.h"

#include <boost/json.hpp>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/sha256.h"
#include "http/target.h"
#include "registry/challenge.h"
#include "store/manifest.h"

namespace hearth::registry {
namespace {

namespace json = boost::json;

constexpr const char* kManifest_types =
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";
constexpr uint64_t kMost_bytes = uint64_t{1} << 50;
constexpr size_t kMost_layers = 10'000;

std::string lower_case(std::string digest) {
  for (char& c : digest)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  digest[6] = ':';
  return digest;
}

// "https://host/..." has a hash: a file; else the scheme of a registry.
bool is_file_url(const std::string& name) {
  return (name.starts_with("https://") || name.starts_with("http://")) && name.find('#') != std::string::npos;
}

std::string given_scheme(const std::string& name) {
  const size_t end = name.find("://");
  return end == std::string::npos ? "" : name.substr(0, end + 3);
}

// Other hearths: "host:11434=KEY,other=KEY".
std::string peer_key(const std::string& host) {
  const char* text = std::getenv("HEARTH_PEER_KEYS");
  for (std::string_view rest = text == nullptr ? "" : text; !rest.empty();) {
    const std::string_view entry = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
    if (entry.size() > host.size() && entry.starts_with(host) && entry[host.size()] == '=')
      return std::string(entry.substr(host.size() + 1));
  }
  return {};
}

Error refusal(const http::Response& response, const store::ModelName& name) {
  const std::string text = message_of(response);
  const unsigned status = response.head.status;
  if (status == 404) return error(ErrorKind::kNotFound, "pull model manifest: file does not exist");
  if (status == 401 || status == 403)
    return with_remedy(ErrorKind::kRefused,
                       fmt::format("{} does not give {} away: {}", name.host, name.display(), text),
                       fmt::format("check the name, or sign in: docker login {}", name.host));
  if (status == 412) return error(ErrorKind::kUnsupported, "{}: {}", name.host, text);
  return error(ErrorKind::kIo, "{} answers {}: {}", name.host, status, text);
}

}  // namespace

Result<std::vector<Blob>> blobs_of_manifest(std::string_view text, const store::ModelName& name) {
  auto manifest = store::parse_manifest(text);
  if (!manifest)
    return error(ErrorKind::kInvalidData, "the manifest of {} is of no use: {}", name.display(),
                 manifest.error().message);
  boost::system::error_code failed;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), failed);
  if (manifest->layers.size() > kMost_layers)
    return error(ErrorKind::kInvalidData, "{} has too many layers", name.display());
  std::vector<store::Layer> layers = manifest->layers;
  if (!manifest->config_digest.empty()) {
    const json::value* size = value.get_object().at("config").get_object().if_contains("size");
    boost::system::error_code no_number;
    layers.push_back(
        {"", manifest->config_digest, size != nullptr && size->is_number() ? size->to_number<uint64_t>(no_number) : 0});
  }
  std::vector<Blob> blobs;
  uint64_t sum = 0;
  for (const store::Layer& layer : layers) {
    if (layer.media_type.ends_with("image.tensor"))
      return error(ErrorKind::kUnsupported,
                   "this model requires MLX support, but the MLX runtime is not available; take its GGUF form");
    const std::string digest = lower_case(layer.digest);
    if (layer.bytes > kMost_bytes || (sum += layer.bytes) > kMost_bytes)
      return error(ErrorKind::kInvalidData, "{} has a layer of {} bytes, which no disk holds", name.display(),
                   layer.bytes);
    const auto same = [&](const Blob& blob) { return blob.digest == digest; };
    if (std::find_if(blobs.begin(), blobs.end(), same) != blobs.end()) continue;
    blobs.push_back({digest, layer.bytes, fmt::format("/v2/{}/{}/blobs/{}", name.space, name.model, digest)});
  }
  if (manifest->layers.empty())
    return error(ErrorKind::kInvalidData, "the manifest of {} lists no files", name.display());
  return blobs;
}

bool is_hugging_face(const store::ModelName& name) {
  return name.host == "hf.co" || name.host == "huggingface.co";
}

std::shared_ptr<Client> client_of(const store::ModelName& name, const std::string& host, const SourceOptions& options) {
  ClientOptions client_options{.insecure = options.insecure, .credentials = options.credentials};
  client_options.bearer = peer_key(name.host);
  return std::make_shared<Client>(host, client_options);
}

Result<Listing> list_registry(const store::ModelName& name, const std::string& host, const SourceOptions& options) {
  Listing listing;
  listing.name = name;
  listing.client = client_of(name, host, options);
  Client::Ask ask{.path = fmt::format("/v2/{}/{}/manifests/{}", name.space, name.model, name.tag)};
  ask.headers.add("Accept", kManifest_types);
  ask.goes_on = options.goes_on;
  const auto answer = listing.client->ask(ask);
  if (!answer) {
    if (answer.error().kind == ErrorKind::kNotFound)  // nobody listens: the model may well be there
      return error(ErrorKind::kIo, "pull model manifest: {}{}", answer.error().message,
                   options.insecure || http::is_loopback_host(name.host) ? "" : "; --insecure tries http too");
    return answer.error();
  }
  if (answer->response.head.status != 200) return refusal(answer->response, name);
  listing.manifest = answer->response.body;
  if (answer->response.head.headers.get("Content-Type").starts_with("text/html"))
    return error(ErrorKind::kInvalidData,
                 "{} answers with a web page in place of a manifest; is it a registry, and is there a login page or a "
                 "proxy between?",
                 name.host);
  ASSIGN_OR_RETURN(listing.blobs, blobs_of_manifest(listing.manifest, name));
  return listing;
}

Result<store::ModelName> target_name(const std::string& name) {
  if (!is_file_url(name)) {
    ASSIGN_OR_RETURN(store::ModelName parsed, store::ModelName::parse(name));
    if (parsed.host == "huggingface.co") parsed.host = "hf.co";
    return parsed;
  }
  ASSIGN_OR_RETURN(const Url url, parse_url(name.substr(0, name.find('#'))));
  std::string path = url.path.substr(0, url.path.find('?'));
  std::string file = path.substr(path.rfind('/') + 1);
  if (file.ends_with(".gguf")) file.resize(file.size() - 5);
  for (char& c : file)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
          c == '.'))
      c = '-';
  constexpr size_t kMost_name = 80;
  return store::ModelName::parse(file.substr(0, kMost_name));
}

Result<Listing> find_source(const std::string& name, const SourceOptions& options) {
  ASSIGN_OR_RETURN(const store::ModelName target, target_name(name));
  if (is_file_url(name)) return list_url(name, options);
  if (is_hugging_face(target)) return list_hugging_face(target, options);
  return list_registry(target, given_scheme(name) + target.host, options);
}

}  // namespace hearth::registry
