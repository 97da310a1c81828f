#include "device/device.h"

#include <utility>

namespace hearth::device {

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Buffer::~Buffer() {
  if (device_ != nullptr && data_ != nullptr) device_->free(data_, bytes_);
}

Result<Matrix> Device::upload_matrix(const Matrix& host, uint32_t, std::byte* to) {
  TRY(upload({reinterpret_cast<const std::byte*>(host.data), host.bytes()}, to));
  Matrix uploaded = host;
  uploaded.data = reinterpret_cast<const uint8_t*>(to);
  return uploaded;
}

Status upload_floats(Device& device, std::span<const float> from, float* to) {
  return device.upload(std::as_bytes(from), reinterpret_cast<std::byte*>(to));
}

Status download_floats(Device& device, const float* from, std::span<float> to) {
  return device.download(reinterpret_cast<const std::byte*>(from), std::as_writable_bytes(to));
}

size_t neutral_row_bytes(CacheType type, uint32_t dims) {
  switch (type) {
    case CacheType::kF32:
      return size_t{dims} * 4;
    case CacheType::kF16:
      return size_t{dims} * 2;
    case CacheType::kQ8_0:
      return size_t{dims} / 32 * 34;  // a half scale, then 32 int8
  }
  __builtin_unreachable();
}

float* state_of(const CacheLayer& cache, const BatchSequence& sequence, uint32_t position) {
  const size_t page = static_cast<size_t>(sequence.pages[position / kPage_tokens / cache.group * cache.group]);
  return reinterpret_cast<float*>(cache.data + page / cache.group * cache.page_bytes);
}

bool ends_state(const CacheLayer& cache, const BatchSequence& sequence, uint32_t row) {
  return row + 1 == sequence.rows || (sequence.first_position + row + 1) % (cache.group * kPage_tokens) == 0;
}

size_t neutral_page_bytes(const CacheShape& shape) {
  if (shape.state != 0) return shape.state * sizeof(float);
  const size_t values = shape.values_in_keys ? 0 : neutral_row_bytes(shape.type, shape.value_dim);
  return size_t{kPage_tokens} * shape.kv_heads * (neutral_row_bytes(shape.type, shape.key_dim) + values);
}

}  // namespace hearth::device
