#include "cli/reading.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "cli/progress.h"

namespace hearth::cli {
namespace {

constexpr uintptr_t kPiece_bytes = 64 << 20;

uint64_t weight_bytes(const gguf::File& file) {
  uint64_t bytes = 0;
  for (const gguf::Tensor& tensor : file.tensors()) bytes += tensor.bytes;
  return bytes;
}

// Tells after every piece how many bytes are there; false ends it.
void read_pieces(const gguf::File& file, const std::function<bool(uint64_t done)>& go_on) {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  uint64_t done = 0;
  for (const gguf::Tensor& tensor : file.tensors()) {
    const uintptr_t start = reinterpret_cast<uintptr_t>(tensor.data), end = start + tensor.bytes;
    for (uintptr_t at = start / page * page; at < end; at += kPiece_bytes) {
      const size_t bytes = std::min(kPiece_bytes, end - at);
      if (::madvise(reinterpret_cast<void*>(at), bytes, MADV_POPULATE_READ) != 0)
        return;  // before Linux 5.14: on demand
      if (!go_on(done + (at > start ? at - start : 0))) return;
    }
    done += tensor.bytes;
  }
}

}  // namespace

void read_in(const gguf::File& file) {
  Progress progress("reading " + std::filesystem::path(file.path()).filename().string(), weight_bytes(file));
  read_pieces(file, [&](uint64_t done) {
    progress.update(done);
    return true;
  });
}

Reading::Reading(std::shared_ptr<const gguf::File> file)
    : thread_([this, file = std::move(file)] { read_pieces(*file, [this](uint64_t) { return !stop_; }); }) {}

void Reading::wait() {
  if (thread_.joinable()) thread_.join();
}

Reading::~Reading() {
  stop_ = true;
  wait();
}

}  // namespace hearth::cli
