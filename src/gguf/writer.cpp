#include "gguf/writer.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/checked.h"

namespace hearth::gguf {
namespace {

constexpr uint32_t kVersion = 3;

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

void append(std::string& out, std::span<const std::byte> bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

template <class T>
void append_number(std::string& out, T value) {
  append(out, bytes_of(value));
}

void append_string(std::string& out, std::string_view text) {
  append_number(out, uint64_t{text.size()});
  out += text;
}

std::string encode(const Value& value) {
  std::string out;
  append_number(out, static_cast<uint32_t>(value.type()));
  if (value.type() == Type::kString) {
    append_string(out, *value.as_string());
    return out;
  }
  if (value.is_array()) {
    append_number(out, static_cast<uint32_t>(value.element_type()));
    append_number(out, uint64_t{value.size()});
    for (const std::string_view text : value.as_strings()) append_string(out, text);
  }
  append(out, value.bytes());
  return out;
}

}  // namespace

void Writer::set(std::string_view key, const Value& value) {
  CHECK(!file_);
  if (key == "general.alignment") {
    alignment_ = value.as_u64().value_or(0);
    CHECK(std::has_single_bit(alignment_));
  }
  const auto same = std::find_if(metadata_.begin(), metadata_.end(), [&](const auto& entry) { return entry.first == key; });
  if (same != metadata_.end()) {
    same->second = encode(value);
  } else {
    metadata_.emplace_back(key, encode(value));
  }
}

void Writer::set_u32(std::string_view key, uint32_t value) { set(key, Value::number(Type::kU32, bytes_of(value))); }
void Writer::set_f32(std::string_view key, float value) { set(key, Value::number(Type::kF32, bytes_of(value))); }
void Writer::set_string(std::string_view key, std::string_view value) { set(key, Value::string(value)); }

void Writer::set_bool(std::string_view key, bool value) {
  set(key, Value::number(Type::kBool, bytes_of(static_cast<uint8_t>(value ? 1 : 0))));
}

void Writer::set_strings(std::string_view key, std::vector<std::string_view> values) {
  set(key, Value::strings(std::move(values)));
}

void Writer::add_tensor(std::string_view name, const quant::Format& format, std::span<const uint64_t> shape) {
  CHECK(!file_ && !shape.empty() && shape[0] % format.block_values == 0);
  uint64_t values = 1;
  for (const uint64_t n : shape) values *= n;
  tensors_.push_back({std::string(name), &format, {shape.begin(), shape.end()}, format.bytes(values)});
}

std::string Writer::header() const {
  std::string out = "GGUF";
  append_number(out, kVersion);
  append_number(out, uint64_t{tensors_.size()});
  append_number(out, uint64_t{metadata_.size()});
  for (const auto& [key, value] : metadata_) {
    append_string(out, key);
    out += value;
  }
  uint64_t offset = 0;
  for (const Declared& tensor : tensors_) {
    append_string(out, tensor.name);
    append_number(out, static_cast<uint32_t>(tensor.shape.size()));
    for (const uint64_t n : tensor.shape) append_number(out, n);
    append_number(out, tensor.format->type);
    append_number(out, offset);
    offset += round_up(tensor.bytes, alignment_);
  }
  out.resize(round_up(out.size(), alignment_), '\0');
  return out;
}

uint64_t Writer::data_bytes() const {
  uint64_t bytes = 0;
  for (const Declared& tensor : tensors_) bytes += round_up(tensor.bytes, alignment_);
  return bytes;
}

uint64_t Writer::file_bytes() const { return header().size() + data_bytes(); }

Status Writer::begin(const std::string& path) {
  CHECK(!file_);
  const std::string start = header();
  ASSIGN_OR_RETURN(disk::NewFile file, disk::NewFile::create(path, start.size() + data_bytes(), path));
  file_.emplace(std::move(file));
  return file_->write(start.data(), start.size());
}

Status Writer::write(std::span<const std::byte> bytes) {
  CHECK(file_ && tensor_ < tensors_.size() && bytes.size() <= tensors_[tensor_].bytes - written_);
  TRY(file_->write(bytes));
  written_ += bytes.size();
  if (written_ < tensors_[tensor_].bytes) return {};
  const std::string padding(round_up(written_, alignment_) - written_, '\0');
  ++tensor_;
  written_ = 0;
  return file_->write(padding.data(), padding.size());
}

Status Writer::finish() {
  CHECK(file_ && tensor_ == tensors_.size());
  return file_->commit();
}

}  // namespace hearth::gguf
