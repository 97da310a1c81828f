#include "gguf/parser.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/load.h"
#include "base/outside_text.h"
#include "gguf/foreign.h"

namespace hearth::gguf {
namespace {

constexpr uint64_t kMinMetadata_bytes = 8 + 1 + 4 + 1;    // key length, one-letter key, type, one byte
constexpr uint64_t kMinTensor_bytes = 8 + 1 + 4 + 4 + 8;  // name length, one-letter name, dimensions, type, offset
constexpr uint64_t kForeign_bytes = 4096;                 // by which a file that is not GGUF is recognised
constexpr uint64_t kMinAlignment = 8, kMaxAlignment = 1 << 24;

// Tensor types that ggml had once.
const char* withdrawn_type_name(uint64_t type) {
  switch (type) {
    case 4:
      return "Q4_2, withdrawn";
    case 5:
      return "Q4_3, withdrawn";
    case 31:
      return "Q4_0_4_4, withdrawn: use Q4_0";
    case 32:
      return "Q4_0_4_8, withdrawn: use Q4_0";
    case 33:
      return "Q4_0_8_8, withdrawn: use Q4_0";
    case 36:
      return "IQ4_NL_4_4, withdrawn: use IQ4_NL";
    case 37:
      return "IQ4_NL_4_8, withdrawn: use IQ4_NL";
    case 38:
      return "IQ4_NL_8_8, withdrawn: use IQ4_NL";
    default:
      return "unknown";
  }
}

}  // namespace

std::string printable(std::string_view text) {
  constexpr size_t kMax = 100;
  return hearth::printable(text.substr(0, kMax)) + (text.size() > kMax ? "..." : "");
}

Status Parser::run() {
  TRY(read_header());
  TRY(read_metadata());
  TRY(read_tensors());
  TRY(place_tensors());
  TRY(check_overlaps());
  if (file_.metadata_.empty()) {
    file_.metadata_ = std::move(metadata_);
    file_.metadata_index_ = std::move(metadata_index_);
  }
  file_.file_bytes_ += source_.size();
  return {};
}

Status Parser::read_header() {
  ASSIGN_OR_RETURN(const auto start, source_.keep(0, std::min(source_.size(), kForeign_bytes)));
  if (start.size() < 4 || std::memcmp(start.data(), "GGUF", 4) != 0) {
    return error(ErrorKind::kInvalidData, "{}: not a GGUF file: {}", name_, describe_foreign(start));
  }
  at_ = 4;
  ASSIGN_OR_RETURN(const uint64_t version, read_u32("the version"));
  if (version != 0 && (version & 0xffff) == 0) {
    return unsupported(4, "a big-endian GGUF file (version {}); get the little-endian one",
                       __builtin_bswap32(static_cast<uint32_t>(version)));
  }
  if (version != 2 && version != 3) {
    return unsupported(4, "GGUF version {}; versions 2 and 3 are supported", version);
  }
  file_.version_ = static_cast<uint32_t>(version);
  ASSIGN_OR_RETURN(tensor_count_, read_u64("the number of tensors"));
  ASSIGN_OR_RETURN(metadata_count_, read_u64("the number of metadata entries"));
  if (tensor_count_ > std::min(kMaxTensors, remaining() / kMinTensor_bytes)) {
    return invalid(8, "{} tensors cannot be: {} bytes follow, and at most {} are supported", tensor_count_, remaining(),
                   kMaxTensors);
  }
  if (metadata_count_ > std::min(kMaxMetadata, remaining() / kMinMetadata_bytes)) {
    return invalid(16, "{} metadata entries cannot be: {} bytes follow, and at most {} are supported", metadata_count_,
                   remaining(), kMaxMetadata);
  }
  return {};
}

Result<std::span<const std::byte>> Parser::read_bytes(uint64_t size, const char* what) {
  if (size > remaining()) {
    return invalid(at_, "the file is cut or damaged: {} needs {} bytes and {} follow", what, size, remaining());
  }
  at_ += size;
  return source_.keep(at_ - size, size);
}

Result<uint64_t> Parser::read_u32(const char* what) {
  ASSIGN_OR_RETURN(const auto bytes, read_bytes(4, what));
  return uint64_t{load<uint32_t>(bytes.data())};
}

Result<uint64_t> Parser::read_u64(const char* what) {
  ASSIGN_OR_RETURN(const auto bytes, read_bytes(8, what));
  return load<uint64_t>(bytes.data());
}

Result<std::string_view> Parser::read_string(const char* what) {
  ASSIGN_OR_RETURN(const uint64_t size, read_u64(what));
  ASSIGN_OR_RETURN(const auto bytes, read_bytes(size, what));
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Status Parser::read_metadata() {
  metadata_.reserve(metadata_count_);
  metadata_index_.reserve(metadata_count_);
  for (uint64_t i = 0; i < metadata_count_; ++i) {
    const uint64_t start = at_;
    ASSIGN_OR_RETURN(const std::string_view key, read_string("a metadata key"));
    if (key.empty() || key.size() > kMaxKey_bytes) {
      return invalid(start, "metadata key {} has {} bytes; 1 to {} are allowed", i, key.size(), kMaxKey_bytes);
    }
    if (!metadata_index_.emplace(key, metadata_.size()).second) {
      return invalid(start, "metadata key '{}' appears twice", printable(key));
    }
    ASSIGN_OR_RETURN(const uint64_t type, read_u32("a metadata type"));
    const uint64_t value_at = at_;
    ASSIGN_OR_RETURN(Value value, read_value(key, type));
    TRY(interpret(key, value, value_at));
    metadata_.emplace_back(key, std::move(value));
  }
  return {};
}

Result<Value> Parser::read_value(std::string_view key, uint64_t type) {
  if (type > static_cast<uint64_t>(Type::kF64)) {
    return invalid(at_ - 4, "metadata '{}' has the unknown type {}", printable(key), type);
  }
  const Type known = static_cast<Type>(type);
  if (known == Type::kArray) return read_array(key);
  if (known == Type::kString) {
    ASSIGN_OR_RETURN(const std::string_view text, read_string("a metadata string"));
    return Value::string(text);
  }
  const uint64_t start = at_;
  ASSIGN_OR_RETURN(const auto bytes, read_bytes(type_bytes(known), "a metadata value"));
  if (known == Type::kBool) TRY(check_bools(key, bytes, start));
  return Value::number(known, bytes);
}

Result<Value> Parser::read_array(std::string_view key) {
  ASSIGN_OR_RETURN(const uint64_t type, read_u32("an array's type"));
  if (type > static_cast<uint64_t>(Type::kF64)) {
    return invalid(at_ - 4, "the array '{}' has elements of the unknown type {}", printable(key), type);
  }
  const Type element = static_cast<Type>(type);
  if (element == Type::kArray) {
    return unsupported(at_ - 4, "metadata '{}' is an array of arrays, which is not supported", printable(key));
  }
  ASSIGN_OR_RETURN(const uint64_t count, read_u64("an array's length"));
  const uint64_t element_bytes = element == Type::kString ? 8 : type_bytes(element);  // at least
  if (count > remaining() / element_bytes) {
    return invalid(at_ - 8, "the file is cut or damaged: the array '{}' has {} elements and {} bytes follow",
                   printable(key), count, remaining());
  }
  if (element == Type::kString) return read_strings(key, count);
  const uint64_t start = at_;
  ASSIGN_OR_RETURN(const auto bytes, read_bytes(count * element_bytes, "an array"));
  if (element == Type::kBool) TRY(check_bools(key, bytes, start));
  return Value::numbers(element, bytes);
}

// The string that begins here, if all of it is in memory: without what errors and reading take, as there may be
// hundreds of thousands.
std::optional<std::string_view> Parser::kept_string() {
  const std::span<const std::byte> kept = source_.kept_from(at_);
  if (kept.size() < 8) return {};
  const uint64_t size = load<uint64_t>(kept.data());
  if (size > kept.size() - 8) return {};
  at_ += 8 + size;
  return std::string_view(reinterpret_cast<const char*>(kept.data()) + 8, size);
}

Result<Value> Parser::read_strings(std::string_view key, uint64_t count) {
  std::vector<std::string_view> texts;
  texts.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t start = at_;
    if (const auto text = kept_string()) {
      texts.push_back(*text);
      continue;
    }
    const Result<std::string_view> text = read_string("a string");
    if (!text && text.error().kind == ErrorKind::kInvalidData)
      return invalid(start, "the file is cut or damaged: string {} of {} of the array '{}' goes beyond the end", i,
                     count, printable(key));
    ASSIGN_OR_RETURN(const std::string_view whole, text);
    texts.push_back(whole);
  }
  return Value::strings(std::move(texts));
}

Status Parser::check_bools(std::string_view key, std::span<const std::byte> bytes, uint64_t at) const {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] > std::byte{1}) {
      return invalid(at + i, "metadata '{}' holds the bool {}; only 0 and 1 are allowed", printable(key),
                     static_cast<int>(bytes[i]));
    }
  }
  return {};
}

// The few keys that say how the file itself is to be read.
Status Parser::interpret(std::string_view key, const Value& value, uint64_t at) {
  const auto number = [&](uint64_t& out) -> Status {
    const std::optional<uint64_t> n = value.as_u64();
    if (!n) return invalid(at, "metadata '{}' is not a whole number", printable(key));
    out = *n;
    return {};
  };
  if (key == "split.no") return number(split_.number);
  if (key == "split.count") return number(split_.count);
  if (key == "split.tensors.count") return number(split_.tensors);
  if (key != "general.alignment") return {};
  TRY(number(alignment_));
  if (!std::has_single_bit(alignment_) || alignment_ < kMinAlignment || alignment_ > kMaxAlignment) {
    return invalid(at, "general.alignment is {}; a power of two from {} to {} is needed", alignment_, kMinAlignment,
                   kMaxAlignment);
  }
  return {};
}

Status Parser::read_tensors() {
  first_tensor_ = file_.tensors_.size();
  file_.tensors_.reserve(first_tensor_ + tensor_count_);
  file_.tensor_index_.reserve(first_tensor_ + tensor_count_);
  for (uint64_t i = 0; i < tensor_count_; ++i) {
    const uint64_t start = at_;
    std::string_view name;
    ASSIGN_OR_RETURN(Tensor tensor, read_tensor(&name));
    if (!file_.tensor_index_.emplace(name, file_.tensors_.size()).second) {
      return invalid(start, "tensor '{}' appears twice", printable(name));
    }
    file_.tensors_.push_back(std::move(tensor));
  }
  return {};
}

Result<Tensor> Parser::read_tensor(std::string_view* name) {
  const uint64_t start = at_;
  Tensor tensor{};
  ASSIGN_OR_RETURN(*name, read_string("a tensor's name"));
  tensor.name = *name;
  if (tensor.name.empty() || tensor.name.size() > kMaxKey_bytes) {
    return invalid(start, "a tensor's name has {} bytes; 1 to {} are allowed", tensor.name.size(), kMaxKey_bytes);
  }
  ASSIGN_OR_RETURN(const uint64_t dimensions, read_u32("a tensor's number of dimensions"));
  if (dimensions > kMaxDimensions) {
    return invalid(at_ - 4, "tensor '{}' has {} dimensions; at most {} are allowed", printable(tensor.name), dimensions,
                   kMaxDimensions);
  }
  tensor.dimensions = static_cast<int>(dimensions);
  tensor.shape.fill(1);
  uint64_t values = 1;
  for (uint64_t i = 0; i < dimensions; ++i) {
    ASSIGN_OR_RETURN(tensor.shape[i], read_u64("a tensor's shape"));
    if (tensor.shape[i] == 0) return invalid(at_ - 8, "dimension {} of tensor '{}' is 0", i, printable(tensor.name));
    if (!checked_mul(values, tensor.shape[i], &values) || values > INT64_MAX) {
      return invalid(at_ - 8, "tensor '{}' is too large: its number of values does not fit 63 bits",
                     printable(tensor.name));
    }
  }
  ASSIGN_OR_RETURN(const uint64_t type, read_u32("a tensor's type"));
  TRY(set_format(tensor, type, at_ - 4));
  ASSIGN_OR_RETURN(tensor.offset, read_u64("a tensor's offset"));
  if (tensor.offset % alignment_ != 0) {
    return invalid(at_ - 8, "tensor '{}' is at offset {}, which is not a multiple of the alignment {}",
                   printable(tensor.name), tensor.offset, alignment_);
  }
  return tensor;
}

Status Parser::set_format(Tensor& tensor, uint64_t type, uint64_t at) const {
  tensor.format = quant::find_type(static_cast<uint32_t>(type));
  if (tensor.format == nullptr) {
    return unsupported(at, "tensor '{}' is of type {} ({}), which is not supported", printable(tensor.name), type,
                       withdrawn_type_name(type));
  }
  const quant::Format& format = *tensor.format;
  if (tensor.shape[0] % format.block_values != 0) {
    return invalid(at, "rows of tensor '{}' have {} values, not whole {} blocks of {}", printable(tensor.name),
                   tensor.shape[0], format.name, format.block_values);
  }
  if (!checked_mul(tensor.values() / format.block_values, format.block_bytes, &tensor.bytes)) {
    return invalid(at, "tensor '{}' is too large: its bytes do not fit 64 bits", printable(tensor.name));
  }
  return {};
}

// Turns offsets from the start of the data into offsets from the start of the file.
Status Parser::place_tensors() {
  const uint64_t data_start = round_up(at_, alignment_);
  for (size_t i = first_tensor_; i < file_.tensors_.size(); ++i) {
    Tensor& tensor = file_.tensors_[i];
    uint64_t end = 0;
    if (!checked_add(tensor.offset, data_start, &tensor.offset) || !checked_add(tensor.offset, tensor.bytes, &end)) {
      return invalid(data_start, "the offset of tensor '{}' does not fit 64 bits", printable(tensor.name));
    }
    if (end > source_.size()) {
      return invalid(source_.size(), "the file is cut or damaged: tensor '{}' is at bytes {} to {}, the file has {}",
                     printable(tensor.name), tensor.offset, end, source_.size());
    }
    tensor.part = part_;
  }
  return {};
}

Status Parser::check_overlaps() const {
  std::vector<const Tensor*> by_offset;
  by_offset.reserve(tensor_count_);
  for (size_t i = first_tensor_; i < file_.tensors_.size(); ++i) by_offset.push_back(&file_.tensors_[i]);
  std::sort(by_offset.begin(), by_offset.end(), [](const Tensor* a, const Tensor* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const Tensor &before = *by_offset[i - 1], &tensor = *by_offset[i];
    if (before.offset + before.bytes > tensor.offset) {
      return invalid(tensor.offset, "tensors '{}' and '{}' overlap", printable(before.name), printable(tensor.name));
    }
  }
  return {};
}

}  // namespace hearth::gguf
