// Which files of a repository of Hugging Face are meant.
// API: https://huggingface.co/docs/hub/api (models).
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "registry/source.h"
#include "store/manifest.h"

namespace hearth::registry {
namespace {

namespace json = boost::json;

// Taken where no quantisation is named, the first that is there.
constexpr std::string_view kUsual[] = {"Q4_K_M", "Q4_K_S", "Q4_0", "Q5_K_M", "Q8_0", "Q6_K", "F16", "BF16"};
// What describes safetensors and cuts texts for them.
constexpr std::string_view kCompanions[] = {
    "config.json",     "generation_config.json",  "tokenizer.json",     "tokenizer_config.json",
    "tokenizer.model", "special_tokens_map.json", "added_tokens.json",  "vocab.json",
    "merges.txt",      "chat_template.jinja",     "chat_template.json", "model.safetensors.index.json"};
constexpr size_t kPart_digits = 5;

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

uint64_t number_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code failed;
  const uint64_t number = value != nullptr && value->is_number() ? value->to_number<uint64_t>(failed) : 0;
  return failed ? 0 : number;
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

// "a-00001-of-00003.gguf": {"a-", 1, 3}.
struct Part {
  std::string before;
  unsigned number = 0, count = 0;
};
std::optional<Part> part_of(const std::string& path) {
  constexpr std::string_view kEnd = ".gguf", kOf = "-of-";
  const size_t tail = kPart_digits + kOf.size() + kPart_digits + kEnd.size();
  if (path.size() <= tail || !path.ends_with(kEnd)) return std::nullopt;
  const size_t at = path.size() - tail;
  const std::string number = path.substr(at, kPart_digits),
                    count = path.substr(at + kPart_digits + kOf.size(), kPart_digits);
  if (path.substr(at + kPart_digits, kOf.size()) != kOf ||
      (number + count).find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return Part{path.substr(0, at), static_cast<unsigned>(std::stoul(number)), static_cast<unsigned>(std::stoul(count))};
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

bool is_meant(const RepositoryFile& file, std::string_view word) {
  return has_word(file.path, word) || same_ignoring_case(file_name(file.path), std::string(word) + ".gguf") ||
         same_ignoring_case(file_name(file.path), word);
}

// Without those that nothing can be checked by.
std::vector<RepositoryFile> files_in(const json::array& siblings) {
  std::vector<RepositoryFile> files;
  for (const json::value& sibling : siblings) {
    const json::object* object = sibling.if_object();
    if (object == nullptr) continue;
    RepositoryFile file{.path = text_of(*object, "rfilename"), .sha256 = {}, .git_hash = text_of(*object, "blobId")};
    file.bytes = number_of(*object, "size");
    if (const json::value* lfs = object->if_contains("lfs"); lfs != nullptr && lfs->is_object()) {
      file.sha256 = text_of(lfs->get_object(), "sha256");
      file.bytes = number_of(lfs->get_object(), "size");
      if (!store::is_digest("sha256:" + file.sha256)) continue;
    }
    files.push_back(std::move(file));
  }
  return files;
}

Result<RepositoryChoice> choose_gguf(RepositoryChoice choice, const std::vector<RepositoryFile>& files,
                                     const std::string& quantization) {
  std::vector<std::string_view> wanted = {quantization};
  if (quantization == "latest") wanted.assign(std::begin(kUsual), std::end(kUsual));
  const RepositoryFile* found = nullptr;
  for (const std::string_view word : wanted)
    for (const RepositoryFile& file : files)
      if (found == nullptr && is_meant(file, word)) found = &file;
  if (found == nullptr && quantization == "latest") found = &files.front();
  if (found == nullptr) {
    std::string names;
    for (const RepositoryFile& file : files)
      names += fmt::format("{}{}", names.empty() ? "" : ", ", printable(file_name(file.path)));
    return error(ErrorKind::kNotFound, "the repository has no GGUF file of {}; there are {}", quantization, names);
  }
  const auto part = part_of(found->path);
  if (!part) {
    choice.weights = {*found};
    return choice;
  }
  for (const RepositoryFile& file : files)
    if (const auto other = part_of(file.path); other && other->before == part->before && other->count == part->count)
      choice.weights.push_back(file);
  std::ranges::sort(choice.weights, {}, &RepositoryFile::path);
  for (unsigned number = 1; number <= part->count; ++number)
    if (choice.weights.size() != part->count || part_of(choice.weights[number - 1].path)->number != number)
      return error(ErrorKind::kNotFound, "the repository has {} of the {} parts of {}", choice.weights.size(),
                   part->count, printable(found->path));
  return choice;
}

Result<RepositoryChoice> choose_checkpoint(RepositoryChoice choice, const std::vector<RepositoryFile>& all) {
  size_t weights = 0;
  for (const RepositoryFile& file : all) {
    const std::string& path = file.path;
    if (path.find('/') != std::string::npos || path.starts_with('.')) continue;
    const bool weight = path.ends_with(".safetensors") && !path.starts_with("adapter_") &&
                        !path.starts_with("consolidated") && !file.sha256.empty();
    weights += weight ? 1 : 0;
    if (weight || std::ranges::find(kCompanions, path) != std::end(kCompanions)) choice.weights.push_back(file);
  }
  const bool described =
      std::ranges::find(choice.weights, "config.json", &RepositoryFile::path) != choice.weights.end();
  if (weights == 0 || !described)
    return error(ErrorKind::kNotFound, "the repository has neither a GGUF file nor a config.json with safetensors");
  choice.converted = true;
  return choice;
}

}  // namespace

Result<RepositoryChoice> choose_file(std::string_view answer, const std::string& quantization) {
  boost::system::error_code failed;
  const json::value value = json::parse(json::string_view(answer.data(), answer.size()), failed);
  const json::object* repository = failed ? nullptr : value.if_object();
  const json::value* siblings = repository != nullptr ? repository->if_contains("siblings") : nullptr;
  if (siblings == nullptr || !siblings->is_array())
    return error(ErrorKind::kInvalidData, "Hugging Face answers with no list of files");
  RepositoryChoice choice;
  choice.commit = text_of(*repository, "sha");
  const std::vector<RepositoryFile> all = files_in(siblings->get_array());
  std::vector<RepositoryFile> files;
  for (const RepositoryFile& file : all) {
    if (!file.path.ends_with(".gguf") || file.sha256.empty()) continue;
    if (!upper(file_name(file.path)).starts_with("MMPROJ")) {
      files.push_back(file);
    } else if (!choice.projector) {
      choice.projector = file;
    }
  }
  return files.empty() ? choose_checkpoint({.weights = {}, .projector = {}, .commit = choice.commit}, all)
                       : choose_gguf(std::move(choice), files, quantization);
}

std::string git_hash_of(std::string_view content) {
  const std::string head = fmt::format("blob {}", content.size());
  std::array<unsigned char, 20> hash{};
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  CHECK(context != nullptr && EVP_DigestInit_ex(context, EVP_sha1(), nullptr) == 1 &&
        EVP_DigestUpdate(context, head.c_str(), head.size() + 1) == 1 &&
        EVP_DigestUpdate(context, content.data(), content.size()) == 1 &&
        EVP_DigestFinal_ex(context, hash.data(), nullptr) == 1);
  EVP_MD_CTX_free(context);
  std::string hex;
  for (const unsigned char byte : hash) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace hearth::registry
