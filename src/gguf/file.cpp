#include "gguf/file.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "gguf/parser.h"

namespace hearth::gguf {
namespace {

constexpr uint64_t kMaxParts = 99999;  // the file name has five digits

std::string part_suffix(uint64_t number, uint64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", number + 1, count);
}

// "dir/model" of "dir/model-00001-of-00003.gguf".
Result<std::string> split_prefix(const std::string& path, const Split& split) {
  const std::string suffix = part_suffix(split.number, split.count);
  if (!path.ends_with(suffix)) {
    // The store of Ollama names files by what they hold, and keeps no other parts beside them.
    if (path.substr(path.rfind('/') + 1).starts_with("sha256"))
      return error(
          ErrorKind::kInvalidData,
          "{}: is part {} of {} of a split model, whose other parts cannot be found from here; give the path of "
          "the first of the original files, or merge them into one and import that",
          path, split.number + 1, split.count);
    return error(ErrorKind::kInvalidData,
                 "{}: is part {} of {} of a split model, so its name must end in {}; rename it and its other parts",
                 path, split.number + 1, split.count, suffix);
  }
  return path.substr(0, path.size() - suffix.size());
}

Error wrong_key(const std::string& path, std::string_view key, const Value* value, const char* needed) {
  if (value == nullptr) return error(ErrorKind::kInvalidData, "{}: metadata '{}' is missing", path, key);
  return error(ErrorKind::kInvalidData, "{}: metadata '{}' is {} {}, {} is needed", path, key,
               value->is_array() ? "an array of" : "of type",
               type_name(value->is_array() ? value->element_type() : value->type()), needed);
}

}  // namespace

Status File::read_part(std::unique_ptr<Source> source, Split* split) {
  const std::string& name = source->name();
  Parser parser(*source, static_cast<uint32_t>(parts_.size()), *this);
  TRY(parser.run());
  *split = parser.split();
  if (split->count == 0 || split->count > kMaxParts || split->number >= split->count) {
    return error(ErrorKind::kInvalidData, "{}: metadata 'split.no' is {} and 'split.count' {}, which cannot be", name,
                 split->number, split->count);
  }
  parts_.push_back(std::move(source));
  return {};
}

Status File::open_part(const std::string& path, Split* split) {
  ASSIGN_OR_RETURN(std::unique_ptr<Source> source, Source::open(path));
  TRY(read_part(std::move(source), split));
  return parts_.back()->check();
}

Status File::open_other_parts(const Split& first) {
  ASSIGN_OR_RETURN(const std::string prefix, split_prefix(path_, first));
  if (first.number != 0) {
    return error(ErrorKind::kUsage, "{}: is part {} of {} of a split model; open the first, {}{}", path_,
                 first.number + 1, first.count, prefix, part_suffix(0, first.count));
  }
  for (uint64_t i = 1; i < first.count; ++i) {
    const std::string path = prefix + part_suffix(i, first.count);
    Split split;
    const Status opened = open_part(path, &split);
    if (!opened && opened.error().kind == ErrorKind::kNotFound) {
      return error(ErrorKind::kNotFound, "{}: part {} of {} of the split model is missing", path, i + 1, first.count);
    }
    TRY(opened);
    if (split.number != i || split.count != first.count) {
      return error(ErrorKind::kInvalidData, "{}: should be part {} of {}, but says that it is part {} of {}", path,
                   i + 1, first.count, split.number + 1, split.count);
    }
  }
  if (first.tensors != 0 && first.tensors != tensors_.size()) {
    return error(ErrorKind::kInvalidData, "{}: 'split.tensors.count' is {}, but the {} parts hold {} tensors", path_,
                 first.tensors, first.count, tensors_.size());
  }
  return {};
}

Result<std::shared_ptr<const File>> File::open(const std::string& path) {
  const auto file = std::make_shared<File>();
  file->path_ = path;
  Split split;
  TRY(file->open_part(path, &split));
  if (split.count > 1) TRY(file->open_other_parts(split));
  return std::shared_ptr<const File>(file);
}

Result<std::shared_ptr<const File>> File::parse(std::span<const std::byte> bytes, const std::string& name) {
  const auto file = std::make_shared<File>();
  file->path_ = name;
  Split split;
  TRY(file->read_part(Source::of_memory(bytes, name), &split));
  return std::shared_ptr<const File>(file);
}

std::shared_ptr<const File> File::renamed(const std::vector<std::pair<std::string, Value>>& metadata,
                                          const std::function<std::string(const std::string&)>& name) const {
  const auto file = std::make_shared<File>();
  file->path_ = path_;
  file->version_ = version_;
  file->file_bytes_ = file_bytes_;
  file->parts_ = parts_;
  file->metadata_ = metadata;
  file->metadata_.insert(file->metadata_.end(), metadata_.begin(), metadata_.end());
  file->tensors_ = tensors_;
  for (Tensor& tensor : file->tensors_) tensor.name = name(tensor.name);
  for (size_t i = 0; i < file->metadata_.size(); ++i) file->metadata_index_.emplace(file->metadata_[i].first, i);
  for (size_t i = 0; i < file->tensors_.size(); ++i) file->tensor_index_.emplace(file->tensors_[i].name, i);
  return file;
}

std::vector<std::string> File::part_paths() const {
  std::vector<std::string> paths;
  for (const auto& part : parts_) paths.push_back(part->name());
  return paths;
}

const Value* File::find(std::string_view key) const {
  const auto found = metadata_index_.find(key);
  return found == metadata_index_.end() ? nullptr : &metadata_[found->second].second;
}

const Tensor* File::tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

Status File::read(const Tensor& tensor, uint64_t at, std::span<std::byte> to) const {
  CHECK(at <= tensor.bytes && to.size() <= tensor.bytes - at);
  return parts_[tensor.part]->read(tensor.offset + at, to);
}

void File::read_ahead(const Tensor& tensor, uint64_t at, uint64_t bytes) const {
  parts_[tensor.part]->read_ahead(tensor.offset + at, bytes);
}

Result<const uint8_t*> File::map(const Tensor& tensor) const {
  ASSIGN_OR_RETURN(const std::byte* start, parts_[tensor.part]->map());
  return reinterpret_cast<const uint8_t*>(start) + tensor.offset;
}

void File::bring_in(const Tensor& tensor) const {
  parts_[tensor.part]->bring_in(tensor.offset, tensor.bytes);
}

Status File::check() const {
  for (const auto& part : parts_) TRY(part->check());
  return {};
}

Status File::check_mapped() const {
  for (const auto& part : parts_) {
    if (part->is_mapped()) TRY(part->check());
  }
  return {};
}

Result<uint64_t> File::get_u64(std::string_view key) const {
  const Value* value = find(key);
  const std::optional<uint64_t> number = value ? value->as_u64() : std::nullopt;
  if (!number) return wrong_key(path_, key, value, "a whole number, not negative,");
  return *number;
}

Result<double> File::get_f64(std::string_view key) const {
  const Value* value = find(key);
  const std::optional<double> number = value ? value->as_f64() : std::nullopt;
  if (!number) return wrong_key(path_, key, value, "a number");
  return *number;
}

Result<std::string_view> File::get_string(std::string_view key) const {
  const Value* value = find(key);
  const std::optional<std::string_view> text = value ? value->as_string() : std::nullopt;
  if (!text) return wrong_key(path_, key, value, "a string");
  return *text;
}

uint64_t File::u64_or(std::string_view key, uint64_t fallback) const {
  const Value* value = find(key);
  return value ? value->as_u64().value_or(fallback) : fallback;
}

double File::f64_or(std::string_view key, double fallback) const {
  const Value* value = find(key);
  return value ? value->as_f64().value_or(fallback) : fallback;
}

bool File::bool_or(std::string_view key, bool fallback) const {
  const Value* value = find(key);
  return value ? value->as_bool().value_or(fallback) : fallback;
}

std::string_view File::string_or(std::string_view key, std::string_view fallback) const {
  const Value* value = find(key);
  return value ? value->as_string().value_or(fallback) : fallback;
}

}  // namespace hearth::gguf
