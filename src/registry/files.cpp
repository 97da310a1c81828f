// Models that come as a file of a plain URL.
#include <boost/json.hpp>
#include <charconv>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/sha256.h"
#include "registry/challenge.h"
#include "registry/file_manifest.h"
#include "registry/source.h"
#include "store/manifest.h"

namespace hearth::registry {
namespace {

namespace json = boost::json;

constexpr const char* kImage = "application/vnd.ollama.image.";
}  // namespace

std::string manifest_of_files(const std::vector<std::pair<const char*, Blob>>& layers, const Blob& config) {
  json::array list;
  for (const auto& [kind, blob] : layers)
    list.push_back(
        json::object{{"mediaType", std::string(kImage) + kind}, {"digest", blob.digest}, {"size", blob.bytes}});
  json::object manifest{{"schemaVersion", 2},
                        {"mediaType", "application/vnd.docker.distribution.manifest.v2+json"},
                        {"config", json::object{{"mediaType", "application/vnd.docker.container.image.v1+json"},
                                                {"digest", config.digest},
                                                {"size", config.bytes}}},
                        {"layers", std::move(list)}};
  return json::serialize(manifest);
}

Blob configuration_of_files() {
  const std::string text = R"({"model_format":"gguf","architecture":"amd64","os":"linux"})";
  return {"sha256:" + sha256_hex(text), text.size(), "", text};
}

Result<Listing> list_url(const std::string& text, const SourceOptions& options) {
  const size_t mark = text.find('#');
  std::string digest = text.substr(mark + 1);
  if (digest.starts_with("sha256=")) digest[6] = ':';
  if (!store::is_digest(digest))
    return error(ErrorKind::kUsage, "'{}' has no hash to check the file by; write URL#sha256:<64 hex digits>",
                 printable(text));
  ASSIGN_OR_RETURN(const Url url, parse_url(text.substr(0, mark)));
  Listing listing;
  ASSIGN_OR_RETURN(listing.name, target_name(text));
  listing.client = std::make_shared<Client>(
      url.origin(), ClientOptions{.insecure = options.insecure, .credentials = options.credentials});
  Client::Ask ask{.method = "HEAD", .path = url.path};
  ask.goes_on = options.goes_on;
  ASSIGN_OR_RETURN(const Client::Answer answer, listing.client->ask(ask));
  const http::ResponseHead& head = answer.response.head;
  if (head.status == 404) return error(ErrorKind::kNotFound, "{} does not have {}", url.host, url.path);
  if (head.status != 200) return error(ErrorKind::kIo, "{} answers {} for {}", url.host, head.status, url.path);
  uint64_t bytes = 0;
  const std::string_view length = head.headers.get("Content-Length");
  const auto [end, code] = std::from_chars(length.data(), length.data() + length.size(), bytes);
  if (code != std::errc() || end != length.data() + length.size())
    return error(ErrorKind::kUnsupported, "{} does not say how long {} is, so there is no telling whether it fits",
                 url.host, url.path);
  for (char& c : digest)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  const Blob weights{digest, bytes, url.path}, config = configuration_of_files();
  listing.manifest = manifest_of_files({{"model", weights}}, config);
  listing.blobs = {weights, config};
  return listing;
}

}  // namespace hearth::registry
