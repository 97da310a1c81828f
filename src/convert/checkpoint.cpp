#include "convert/checkpoint.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "convert/json_file.h"

namespace hearth::convert {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr uint64_t kMost_index_bytes = 256 << 20;
constexpr size_t kMost_files = 2048;  // each is mapped

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.find('/') == std::string_view::npos && name.find('\\') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos && !name.starts_with('.') && name.ends_with(".safetensors");
}

// Those that a folder without an index has. Mistral's repositories hold the same weights once more under other names.
Result<std::vector<std::string>> list_files(const std::string& folder) {
  std::vector<std::string> names, consolidated;
  bool pickled = false;
  std::error_code failed;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    pickled |= name.starts_with("pytorch_model") && name.ends_with(".bin");
    if (!is_plain_name(name) || name.starts_with("adapter_")) continue;
    (name.starts_with("consolidated") ? consolidated : names).push_back(name);
  }
  if (failed) return error(ErrorKind::kNotFound, "cannot read the folder {}: {}", folder, failed.message());
  if (names.empty() && !consolidated.empty())
    return error(ErrorKind::kUnsupported,
                 "{}: its weights are in Mistral's own form ({}), which is not supported; get the repository's "
                 "model*.safetensors",
                 folder, consolidated.front());
  if (names.empty() && pickled)
    return error(ErrorKind::kUnsupported,
                 "{}: its weights are in PyTorch's form (pytorch_model*.bin), which can hold programs and is not read; "
                 "get them as safetensors",
                 folder);
  if (names.empty()) return error(ErrorKind::kNotFound, "{}: there are no safetensors files in this folder", folder);
  std::sort(names.begin(), names.end());
  return names;
}

// "model-00001-of-00003.safetensors" says how many there are.
Status check_complete(const std::string& folder, const std::vector<std::string>& names) {
  constexpr std::string_view kOf = "-of-";
  const std::string& first = names.front();
  const size_t of = first.rfind(kOf), end = first.rfind(".safetensors");
  if (of == std::string::npos) return {};
  const size_t digits = of + kOf.size();
  const std::string count = first.substr(digits, end - digits);
  if (count.empty() || count.size() > 9 || count.find_first_not_of("0123456789") != std::string::npos) return {};
  if (std::stoul(count) == names.size()) return {};
  return error(ErrorKind::kNotFound, "{}: {} of {} safetensors files are there; get the rest", folder, names.size(),
               std::stoul(count));
}

}  // namespace

Result<std::vector<std::string>> parse_index(std::string_view text, const std::string& name) {
  ASSIGN_OR_RETURN(const json::object object, parse_json_object(text, name));
  const json::value* map = object.if_contains("weight_map");
  if (map == nullptr || !map->is_object()) return error(ErrorKind::kInvalidData, "{}: it has no weight_map", name);
  std::set<std::string> files;
  for (const json::key_value_pair& member : map->get_object()) {
    if (!member.value().is_string() || !is_plain_name(std::string_view(member.value().get_string())))
      return error(ErrorKind::kInvalidData,
                   "{}: tensor '{}' is said to be in what is no safetensors file of the folder", name,
                   std::string_view(member.key()));
    files.emplace(member.value().get_string());
    if (files.size() > kMost_files)
      return error(ErrorKind::kUnsupported, "{}: it names more than {} files", name, kMost_files);
  }
  if (files.empty()) return error(ErrorKind::kInvalidData, "{}: it names no file", name);
  return std::vector<std::string>(files.begin(), files.end());
}

Result<Checkpoint> Checkpoint::open(const std::string& folder) {
  std::vector<std::string> names;
  const fs::path index = fs::path(folder) / kIndex;
  std::error_code failed;
  if (fs::exists(index, failed)) {
    if (fs::file_size(index, failed) > kMost_index_bytes && !failed)
      return error(ErrorKind::kInvalidData, "{}: is too large for an index", index.string());
    ASSIGN_OR_RETURN(const std::string text, read_file(index.string()));
    ASSIGN_OR_RETURN(names, parse_index(text, index.string()));
    for (const std::string& name : names)
      if (!fs::exists(fs::path(folder) / name, failed))
        return error(ErrorKind::kNotFound, "{}: {} is missing; get it as well", folder, name);
  } else {
    ASSIGN_OR_RETURN(names, list_files(folder));
    TRY(check_complete(folder, names));
  }
  Checkpoint checkpoint;
  for (const std::string& name : names) TRY(checkpoint.add((fs::path(folder) / name).string()));
  return checkpoint;
}

Status Checkpoint::add(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> file, SafetensorsFile::open(path));
  for (const Safetensor& tensor : file->tensors()) {
    const Place place{file.get(), &tensor};
    const auto [other, fresh] = by_name_.emplace(tensor.name, place);
    if (!fresh)
      return error(ErrorKind::kInvalidData, "{}: tensor '{}' is in {} too", path, tensor.name,
                   other->second.file->path());
    all_.push_back(place);
  }
  files_.push_back(std::move(file));
  return {};
}

Checkpoint::Place Checkpoint::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? Place{nullptr, nullptr} : found->second;
}

uint64_t Checkpoint::bytes() const {
  uint64_t bytes = 0;
  for (const Place& place : all_) bytes += place.tensor->bytes();
  return bytes;
}

Status Checkpoint::check() const {
  for (const auto& file : files_) TRY(file->check());
  return {};
}

}  // namespace hearth::convert
