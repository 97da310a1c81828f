#include "convert/safetensors.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "base/half.h"
#include "convert/json_file.h"

namespace hearth::convert {
namespace {

namespace json = boost::json;

constexpr uint64_t kMost_header_bytes = 100'000'000;  // the reference implementation's limit
constexpr size_t kMost_dimensions = 8;
constexpr size_t kMost_name_bytes = 1024;

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

void decode_f64(const std::byte* in, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(load<double>(in + 8 * i));
}
void decode_f32(const std::byte* in, size_t count, float* out) {
  std::memcpy(out, in, count * sizeof(float));
}
void decode_f16(const std::byte* in, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = half_to_float(load<uint16_t>(in + 2 * i));
}
void decode_bf16(const std::byte* in, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = bfloat_to_float(load<uint16_t>(in + 2 * i));
}

// FP8 formats: Micikevicius et al. 2022, "FP8 Formats for Deep Learning". E4M3 ("fn") has no infinities, and one NaN of
// either sign; E5M2 is the upper half of an F16.
float e4m3_value(uint8_t bits) {
  const int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return NAN;
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                        : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

void decode_e4m3(const std::byte* in, size_t count, float* out) {
  static const std::array<float, 256> kValues = [] {
    std::array<float, 256> values{};
    for (size_t i = 0; i < values.size(); ++i) values[i] = e4m3_value(static_cast<uint8_t>(i));
    return values;
  }();
  for (size_t i = 0; i < count; ++i) out[i] = kValues[static_cast<size_t>(in[i])];
}
void decode_e5m2(const std::byte* in, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = half_to_float(static_cast<uint16_t>(static_cast<uint16_t>(in[i]) << 8));
}

constexpr Dtype kDtypes[] = {
    {"F64", 8, decode_f64},      {"F32", 4, decode_f32},      {"F16", 2, decode_f16}, {"BF16", 2, decode_bf16},
    {"F8_E4M3", 1, decode_e4m3}, {"F8_E5M2", 1, decode_e5m2}, {"I64", 8, nullptr},    {"I32", 4, nullptr},
    {"I16", 2, nullptr},         {"I8", 1, nullptr},          {"U64", 8, nullptr},    {"U32", 4, nullptr},
    {"U16", 2, nullptr},         {"U8", 1, nullptr},          {"BOOL", 1, nullptr},
};

class HeaderReader {
 public:
  HeaderReader(uint64_t data_begin, uint64_t file_bytes, const std::string& file)
      : data_begin_(data_begin), file_bytes_(file_bytes), file_(file) {}

  Result<Safetensor> read(std::string_view name, const json::value& value) const {
    if (name.empty() || name.size() > kMost_name_bytes) return bad(name.substr(0, 64), "has no usable name");
    if (!value.is_object()) return bad(name, "is no JSON object");
    const json::object& object = value.get_object();
    Safetensor tensor{std::string(name), nullptr, {}, 0, 1};
    const json::value* dtype = object.if_contains("dtype");
    if (dtype == nullptr || !dtype->is_string()) return bad(name, "has no type");
    tensor.dtype = find_dtype(std::string_view(dtype->get_string()));
    if (tensor.dtype == nullptr)
      return error(ErrorKind::kUnsupported, "{}: tensor '{}' is of type {}, which is not supported", file_, name,
                   std::string_view(dtype->get_string()));
    TRY(read_shape(object, tensor));
    TRY(read_place(object, tensor));
    return tensor;
  }

 private:
  Error bad(std::string_view name, std::string_view what) const {
    return error(ErrorKind::kInvalidData, "{}: tensor '{}' {}", file_, name, what);
  }

  Status read_shape(const json::object& object, Safetensor& tensor) const {
    const json::value* shape = object.if_contains("shape");
    if (shape == nullptr || !shape->is_array() || shape->get_array().size() > kMost_dimensions)
      return bad(tensor.name, "has no shape of at most 8 dimensions");
    for (const json::value& dimension : shape->get_array()) {
      boost::system::error_code failed;
      tensor.shape.push_back(dimension.is_number() ? dimension.to_number<uint64_t>(failed) : 0);
      if (!dimension.is_number() || failed || !checked_mul(tensor.values, tensor.shape.back(), &tensor.values))
        return bad(tensor.name, "has a shape that makes no sense");
    }
    return {};
  }

  Status read_place(const json::object& object, Safetensor& tensor) const {
    const json::value* offsets = object.if_contains("data_offsets");
    if (offsets == nullptr || !offsets->is_array() || offsets->get_array().size() != 2)
      return bad(tensor.name, "has no pair of data_offsets");
    std::array<uint64_t, 2> at{};
    for (size_t i = 0; i < 2; ++i) {
      const json::value& value = offsets->get_array()[i];
      boost::system::error_code failed;
      at[i] = value.is_number() ? value.to_number<uint64_t>(failed) : 0;
      if (!value.is_number() || failed) return bad(tensor.name, "has data_offsets that are no whole numbers");
    }
    uint64_t expected = 0;
    if (at[1] < at[0] || !checked_mul(tensor.values, tensor.dtype->bytes, &expected) || at[1] - at[0] != expected)
      return bad(tensor.name, "has data_offsets that do not fit its type and shape");
    if (at[1] > file_bytes_ - data_begin_)
      return bad(tensor.name, fmt::format("ends at byte {} of {}: the file is cut off; get it again", at[1],
                                          file_bytes_ - data_begin_));
    tensor.offset = data_begin_ + at[0];
    return {};
  }

  const uint64_t data_begin_, file_bytes_;
  const std::string& file_;
};

}  // namespace

const Dtype* find_dtype(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const Dtype& d) { return d.name == name; });
  return found == std::end(kDtypes) ? nullptr : found;
}

Result<uint64_t> safetensors_header_bytes(std::span<const std::byte> first_eight, uint64_t file_bytes,
                                          const std::string& name) {
  if (first_eight.size() < 8 || file_bytes < 8)
    return error(ErrorKind::kInvalidData, "{}: has {} bytes, which is no safetensors file", name, file_bytes);
  const auto bytes = load<uint64_t>(first_eight.data());
  if (bytes > kMost_header_bytes)
    return error(ErrorKind::kInvalidData, "{}: it is no safetensors file: it does not begin with its header's size",
                 name);
  if (bytes > file_bytes - 8)
    return error(ErrorKind::kInvalidData, "{}: the file is cut off inside its header; get it again", name);
  return bytes;
}

Result<std::vector<Safetensor>> parse_safetensors_header(std::string_view header, uint64_t file_bytes,
                                                         const std::string& name) {
  ASSIGN_OR_RETURN(const json::object object, parse_json_object(header, name));
  const HeaderReader reader(8 + header.size(), file_bytes, name);
  std::vector<Safetensor> tensors;
  for (const json::key_value_pair& member : object) {
    if (member.key() == "__metadata__") continue;
    ASSIGN_OR_RETURN(Safetensor tensor, reader.read(std::string_view(member.key()), member.value()));
    tensors.push_back(std::move(tensor));
  }
  std::sort(tensors.begin(), tensors.end(), [](const Safetensor& a, const Safetensor& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.bytes() < b.bytes();
  });
  uint64_t end = 8 + header.size();
  for (const Safetensor& tensor : tensors) {
    if (tensor.offset != end)
      return error(ErrorKind::kInvalidData, "{}: tensor '{}' overlaps another or leaves a gap", name, tensor.name);
    end += tensor.bytes();
  }
  if (end != file_bytes)
    return error(ErrorKind::kInvalidData, "{}: {} bytes follow its last tensor", name, file_bytes - end);
  return tensors;
}

Result<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(const std::string& path) {
  ASSIGN_OR_RETURN(InputFile file, InputFile::open(path));
  std::array<std::byte, 8> first{};
  if (file.size() >= first.size()) TRY(file.read(0, first));
  ASSIGN_OR_RETURN(const uint64_t header_bytes, safetensors_header_bytes(first, file.size(), path));
  std::string header(header_bytes, '\0');
  TRY(file.read(first.size(), std::as_writable_bytes(std::span(header))));
  ASSIGN_OR_RETURN(std::vector<Safetensor> tensors, parse_safetensors_header(header, file.size(), path));
  ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::map(file));
  std::unique_ptr<SafetensorsFile> opened(new SafetensorsFile(std::move(file), std::move(mapped)));
  opened->tensors_ = std::move(tensors);
  return opened;
}

void SafetensorsFile::bring_in(const Safetensor& tensor) const {
  mapped_.bring_in(mapped_.bytes().subspan(tensor.offset, tensor.bytes()));
}

Status SafetensorsFile::check() const {
  TRY(mapped_.check());
  return file_.check_unchanged();
}

}  // namespace hearth::convert
