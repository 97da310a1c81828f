// Models that come as files and not from a registry: Hugging Face's repositories and plain URLs.
// API: https://huggingface.co/docs/hub/api (models), https://huggingface.co/docs/hub/storage-backends (resolve).
#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "base/sha256.h"
#include "base/text.h"
#include "registry/challenge.h"
#include "registry/source.h"
#include "store/manifest.h"

namespace hearth::registry {
namespace {

namespace json = boost::json;

constexpr const char* kImage = "application/vnd.ollama.image.";
// Taken where no quantisation is named, the first that is there.
constexpr std::string_view kUsual[] = {"Q4_K_M", "Q4_K_S", "Q4_0", "Q5_K_M", "Q8_0", "Q6_K", "F16", "BF16"};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// "-00001-of-00003.gguf": one of several parts.
bool is_part(const std::string& path) {
  const size_t of = path.rfind("-of-");
  return of != std::string::npos && of >= 6 &&
         path.substr(of - 5, 5).find_first_not_of("0123456789") == std::string::npos;
}

// The word `quantization` stands in the name between marks: Q4_K is not in Q4_K_M.
bool has_word(const std::string& path, std::string_view quantization) {
  const std::string name = upper(file_name(path)), word = upper(quantization);
  const auto is_mark = [](char c) { return c == '-' || c == '.' || c == '_'; };
  for (size_t at = name.find(word); at != std::string::npos; at = name.find(word, at + 1)) {
    const size_t end = at + word.size();
    const bool begins = at == 0 || is_mark(name[at - 1]);
    if (begins && (end == name.size() || name[end] == '.' || name[end] == '-')) return true;
  }
  return false;
}

std::string manifest_of(const std::vector<std::pair<const char*, Blob>>& layers, const Blob& config) {
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

Blob configuration() {
  const std::string text = R"({"model_format":"gguf","architecture":"amd64","os":"linux"})";
  return {"sha256:" + sha256_hex(text), text.size(), "", text};
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

}  // namespace

Result<RepositoryChoice> choose_file(std::string_view answer, const std::string& quantization) {
  boost::system::error_code failed;
  const json::value value = json::parse(json::string_view(answer.data(), answer.size()), failed);
  const json::object* repository = failed ? nullptr : value.if_object();
  const json::value* siblings = repository != nullptr ? repository->if_contains("siblings") : nullptr;
  if (siblings == nullptr || !siblings->is_array())
    return error(ErrorKind::kInvalidData, "Hugging Face answers with no list of files");
  RepositoryChoice choice{.weights = {}, .projector = {}, .commit = text_of(*repository, "sha")};
  std::vector<RepositoryFile> files;
  bool safetensors = false;
  for (const json::value& sibling : siblings->get_array()) {
    const json::object* object = sibling.if_object();
    if (object == nullptr) continue;
    RepositoryFile file{.path = text_of(*object, "rfilename"), .sha256 = {}};
    safetensors = safetensors || file.path.ends_with(".safetensors");
    if (!file.path.ends_with(".gguf")) continue;
    const json::value* lfs = object->if_contains("lfs");
    if (lfs != nullptr && lfs->is_object()) {
      file.sha256 = text_of(lfs->get_object(), "sha256");
      const json::value* size = lfs->get_object().if_contains("size");
      boost::system::error_code no_number;
      if (size != nullptr && size->is_number()) file.bytes = size->to_number<uint64_t>(no_number);
    }
    if (!store::is_digest("sha256:" + file.sha256)) continue;  // nothing to check it by
    if (upper(file_name(file.path)).starts_with("MMPROJ")) {
      if (!choice.projector) choice.projector = std::move(file);
      continue;
    }
    files.push_back(std::move(file));
  }
  if (files.empty())
    return error(
        ErrorKind::kNotFound, "the repository has no GGUF file{}",
        safetensors
            ? "; fetch its safetensors as a folder and make a model of that: hearth create NAME, with FROM /FOLDER"
            : "");
  std::vector<std::string_view> wanted = {quantization};
  if (quantization == "latest") wanted.assign(std::begin(kUsual), std::end(kUsual));
  const RepositoryFile* found = nullptr;
  for (const std::string_view word : wanted)
    for (const RepositoryFile& file : files)
      if (found == nullptr &&
          (has_word(file.path, word) || same_ignoring_case(file_name(file.path), std::string(word) + ".gguf") ||
           same_ignoring_case(file_name(file.path), word)))
        found = &file;
  if (found == nullptr && quantization == "latest") found = &files.front();
  if (found == nullptr) {
    std::string names;
    for (const RepositoryFile& file : files)
      names += fmt::format("{}{}", names.empty() ? "" : ", ", printable(file_name(file.path)));
    return error(ErrorKind::kNotFound, "the repository has no GGUF file of {}; there are {}", quantization, names);
  }
  if (is_part(found->path))
    return error(ErrorKind::kUnsupported,
                 "{} is one of several parts, which cannot be used yet; take a quantisation in one file",
                 printable(found->path));
  choice.weights = *found;
  return choice;
}

Result<Listing> list_hugging_face(const store::ModelName& name, const SourceOptions& options) {
  if (variable("HF_HUB_OFFLINE") == "1")
    return error(ErrorKind::kRefused, "HF_HUB_OFFLINE is set: nothing is fetched from Hugging Face");
  ASSIGN_OR_RETURN(const std::string token, hugging_face_token());
  std::string endpoint = variable("HF_ENDPOINT");
  if (endpoint.empty()) endpoint = "https://huggingface.co";
  ASSIGN_OR_RETURN(const Url url, parse_url(endpoint));
  const std::string repository = name.space + "/" + name.model;
  Listing listing;
  listing.name = name;
  listing.client = std::make_shared<Client>(url.origin(), ClientOptions{.bearer = token});
  const std::string base = url.path == "/" ? "" : url.path;
  Client::Ask ask{.path = fmt::format("{}/api/models/{}/revision/main?blobs=true", base, repository)};
  ask.goes_on = options.goes_on;
  ASSIGN_OR_RETURN(const Client::Answer answer, listing.client->ask(ask));
  if (answer.response.head.status != 200) return refusal(answer.response, repository, !token.empty());
  ASSIGN_OR_RETURN(const RepositoryChoice choice, choose_file(answer.response.body, name.tag));
  const auto blob = [&](const RepositoryFile& file) {
    std::string path;
    for (std::string_view rest = file.path; !rest.empty();) {
      const size_t slash = std::min(rest.find('/'), rest.size());
      path += "/" + percent_encoded(rest.substr(0, slash));
      rest.remove_prefix(std::min(slash + 1, rest.size()));
    }
    const std::string commit = choice.commit.empty() ? "main" : percent_encoded(choice.commit);
    return Blob{"sha256:" + file.sha256, file.bytes, fmt::format("{}/{}/resolve/{}{}", base, repository, commit, path)};
  };
  // Whether it is gated shows at the files only.
  Client::Ask look{.method = "HEAD", .path = blob(choice.weights).path};
  look.follows = false;
  look.goes_on = options.goes_on;
  ASSIGN_OR_RETURN(const Client::Answer head, listing.client->ask(look));
  if (head.response.head.status >= 400) return refusal(head.response, repository, !token.empty());
  std::vector<std::pair<const char*, Blob>> layers = {{"model", blob(choice.weights)}};
  if (choice.projector) layers.emplace_back("projector", blob(*choice.projector));
  const Blob config = configuration();
  listing.manifest = manifest_of(layers, config);
  for (auto& [kind, file] : layers) listing.blobs.push_back(std::move(file));
  listing.blobs.push_back(config);
  return listing;
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
  const Blob weights{digest, bytes, url.path}, config = configuration();
  listing.manifest = manifest_of({{"model", weights}}, config);
  listing.blobs = {weights, config};
  return listing;
}

}  // namespace hearth::registry
