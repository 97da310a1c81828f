#include "vision/keys.h"

#include <cmath>

#include "base/error.h"
#include "vision/ollama.h"

namespace hearth::vision {

Error Keys::invalid(const std::string& key, const std::string& why) const {
  return error(ErrorKind::kInvalidData, "{}: clip.vision.{} {}", file_.path(), key, why);
}

Result<uint32_t> Keys::count(const std::string& key, uint32_t least, uint32_t most) const {
  const gguf::Value* value = find(key);
  if (value == nullptr) return invalid(key, "is missing");
  const std::optional<uint64_t> number = value->as_u64();
  if (!number || *number < least || *number > most)
    return invalid(key, fmt::format("is not a count from {} to {}", least, most));
  return static_cast<uint32_t>(*number);
}

Result<uint32_t> Keys::count_or(const std::string& key, uint32_t fallback, uint32_t least, uint32_t most) const {
  if (find(key) == nullptr) return fallback;
  return count(key, least, most);
}

Result<std::vector<uint32_t>> Keys::counts(const std::string& key, size_t size, uint32_t most) const {
  std::vector<uint32_t> all;
  const gguf::Value* value = find(key);
  if (value == nullptr) return all;
  if (!value->is_array() || value->element_type() == gguf::Type::kString || value->size() > size)
    return invalid(key, fmt::format("is not an array of up to {} numbers", size));
  for (size_t i = 0; i < value->size(); ++i) {
    const int64_t number = value->at_i64(i);
    if (number < 0 || number > most) return invalid(key, fmt::format("has {}; expected 0 to {}", number, most));
    all.push_back(static_cast<uint32_t>(number));
  }
  return all;
}

Result<std::vector<float>> Keys::numbers(const std::string& key, size_t size) const {
  const gguf::Value* value = find(key);
  if (value == nullptr || !value->is_array() || value->element_type() == gguf::Type::kString || value->size() != size)
    return invalid(key, fmt::format("is not an array of {} numbers", size));
  std::vector<float> all;
  for (size_t i = 0; i < size; ++i) {
    all.push_back(static_cast<float>(value->at_f64(i)));
    if (!std::isfinite(all.back())) return invalid(key, "has a number that is not finite");
  }
  return all;
}

Result<float> Keys::number(const std::string& key, double least, double most) const {
  const gguf::Value* value = find(key);
  const std::optional<double> number = value == nullptr ? std::nullopt : value->as_f64();
  if (!number || !(*number >= least && *number <= most))
    return invalid(key, fmt::format("is not a number from {} to {}", least, most));
  return static_cast<float>(*number);
}

Result<std::vector<float>> Keys::values(const std::string& name, uint64_t size) const {
  const gguf::Tensor* tensor = file_.tensor(name);
  if (tensor == nullptr) return error(ErrorKind::kInvalidData, "{}: tensor {} is missing", file_.path(), name);
  if (tensor->values() != size)
    return error(ErrorKind::kInvalidData, "{}: tensor {} has {} values; expected {}", file_.path(), name,
                 tensor->values(), size);
  std::vector<std::byte> bytes(tensor->bytes);
  TRY(file_.read(*tensor, 0, bytes));
  std::vector<float> all(size);
  const uint64_t row = tensor->shape[0];
  const size_t row_bytes = tensor->format->bytes(row);
  for (uint64_t at = 0; at < size; at += row)
    tensor->format->decode(reinterpret_cast<const uint8_t*>(bytes.data()) + at / row * row_bytes, row, all.data() + at);
  for (const float value : all)
    if (!std::isfinite(value))
      return error(ErrorKind::kInvalidData, "{}: tensor {} has a number that is not finite", file_.path(), name);
  return all;
}

std::string projector_of(const gguf::File& file) {
  for (const char* key : {"clip.projector_type", "clip.vision.projector_type"})
    if (const std::string_view kind = file.string_or(key, ""); !kind.empty()) return std::string(kind);
  const bool llava =
      file.string_or("general.architecture", "") == "clip" && file.tensor("v.patch_embd.weight") != nullptr;
  return llava ? "mlp" : projector_of_ollama(file);
}

}  // namespace hearth::vision
