#include "models/sound.h"

#include <algorithm>

#include "base/error.h"
#include "base/finite.h"
#include "base/text.h"

namespace hearth::models {
namespace {

// Files are missing in whole pages of a disk.
constexpr uint64_t kPage_bytes = 4096;
// Matrices of nothing but zeros are odd, but a model of a few kilobytes that somebody made for a test has them.
constexpr uint64_t kLeastLost_bytes = 64 << 10;

Error broken(const gguf::File& file, const gguf::Tensor& tensor, const char* what) {
  return error(ErrorKind::kInvalidData, "{}: tensor {} {}; the file is damaged: fetch or convert it again", file.path(),
               tensor.name, what);
}

// How many bytes at the end are zeros; read backwards, piece by piece.
Result<uint64_t> zeros_at_end(const gguf::File& file, const gguf::Tensor& tensor) {
  std::vector<std::byte> buffer(std::min<uint64_t>(tensor.bytes, 16 * kPage_bytes));
  for (uint64_t left = tensor.bytes; left > 0;) {
    const std::span<std::byte> piece = std::span(buffer).first(std::min<uint64_t>(left, buffer.size()));
    left -= piece.size();
    TRY(file.read(tensor, left, piece));
    for (size_t i = piece.size(); i-- > 0;)
      if (piece[i] != std::byte{0}) return tensor.bytes - left - i - 1;
  }
  return tensor.bytes;
}

// More zeros than this at the end of a tensor that begins with something else are a loss. The rows of tokens that
// nobody uses may be zeros.
uint64_t most_zeros(const gguf::Tensor& tensor) {
  const bool rows_of_tokens = tensor.name == "token_embd.weight" || tensor.name == "output.weight";
  return rows_of_tokens ? tensor.bytes / 4 : kPage_bytes;
}

}  // namespace

Status check_sound(const gguf::File& file, const gguf::Tensor& tensor, std::span<const std::byte> bytes) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  if (tensor.format->finite(data, bytes.size() / tensor.format->block_bytes)) return {};
  return broken(file, tensor, "has numbers that are not finite");
}

Status check_sound(const gguf::File& file, const gguf::Tensor& tensor, std::span<const float> values) {
  if (!all_finite(values)) return broken(file, tensor, "has numbers that are not finite");
  const bool zeros = std::ranges::all_of(values, [](float value) { return value == 0; });
  if (zeros && tensor.name.ends_with("norm.weight")) return broken(file, tensor, "is nothing but zeros");
  return {};
}

Status check_complete(const gguf::File& file) {
  std::vector<const gguf::Tensor*> tensors;
  for (const gguf::Tensor& tensor : file.tensors())
    if (tensor.bytes > 0) tensors.push_back(&tensor);
  std::ranges::sort(tensors, std::greater(),
                    [](const auto* tensor) { return std::pair(tensor->part, tensor->offset); });
  uint64_t zeros = 0, next_offset = 0;
  bool at_end = true, lost = false;  // nothing but zeros follows in the file; more of them than there can be
  for (const gguf::Tensor* tensor : tensors) {
    const bool last_of_part = next_offset <= tensor->offset;  // of a set of files
    next_offset = tensor->offset;
    if (last_of_part) at_end = true, zeros = 0;
    if (!at_end) continue;
    ASSIGN_OR_RETURN(const uint64_t here, zeros_at_end(file, *tensor));
    zeros += here;
    at_end = here == tensor->bytes;
    lost |= at_end ? zeros >= kLeastLost_bytes : here > most_zeros(*tensor);
    if (!at_end && lost) break;
  }
  if (!lost) return {};
  return error(ErrorKind::kInvalidData,
               "{}: the last {} of the file are zeros: the download is incomplete; let it finish or start it again",
               file.path(), size_text(zeros));
}

}  // namespace hearth::models
