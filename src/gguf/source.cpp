#include "gguf/source.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace hearth::gguf {
namespace {

constexpr uint64_t kPiece_bytes = 1 << 20;
constexpr uint64_t kMost_kept_bytes = 1 << 30;  // far more than any vocabulary; bounds what a hostile file takes

}  // namespace

Result<std::unique_ptr<Source>> Source::open(const std::string& path) {
  ASSIGN_OR_RETURN(InputFile file, InputFile::open(path));
  auto source = std::make_unique<Source>();
  source->name_ = path;
  source->size_ = file.size();
  source->file_.emplace(std::move(file));
  return source;
}

std::unique_ptr<Source> Source::of_memory(std::span<const std::byte> bytes, const std::string& name) {
  auto source = std::make_unique<Source>();
  source->name_ = name;
  source->size_ = bytes.size();
  source->memory_ = bytes;
  return source;
}

Result<std::span<const std::byte>> Source::keep(uint64_t at, uint64_t size) {
  if (!file_) return memory_.subspan(at, size);
  if (kept_from(at).size() < size || kept_.empty()) {
    if (size > kMost_kept_bytes || at > kMost_kept_bytes)
      return error(ErrorKind::kInvalidData, "{}: the part before the weights has more than {} bytes", name_,
                   kMost_kept_bytes);
    const uint64_t bytes = std::min(std::max(size, kPiece_bytes), size_ - at);
    kept_.push_back({at, bytes, std::make_unique_for_overwrite<std::byte[]>(bytes)});
    TRY(file_->read(at, {kept_.back().bytes.get(), bytes}));
  }
  return kept_from(at).first(size);
}

std::span<const std::byte> Source::kept_from(uint64_t at) const {
  if (!file_) return memory_.subspan(at);
  if (kept_.empty() || at < kept_.back().at || at > kept_.back().at + kept_.back().size) return {};
  return {kept_.back().bytes.get() + (at - kept_.back().at), kept_.back().at + kept_.back().size - at};
}

Status Source::read(uint64_t at, std::span<std::byte> to) const {
  if (file_) return file_->read(at, to);
  std::memcpy(to.data(), memory_.data() + at, to.size());
  return {};
}

void Source::read_ahead(uint64_t at, uint64_t bytes) const {
  if (file_) file_->read_ahead(at, bytes);
}

Result<const std::byte*> Source::map() const {
  if (!file_) return memory_.data();
  const std::lock_guard lock(mapping_mutex_);
  if (!mapping_) {
    ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::map(*file_));
    mapping_.emplace(std::move(mapped));
  }
  return mapping_->bytes().data();
}

void Source::bring_in(uint64_t at, uint64_t bytes) const {
  const std::lock_guard lock(mapping_mutex_);
  if (mapping_) mapping_->bring_in(mapping_->bytes().subspan(at, bytes));
}

bool Source::is_mapped() const {
  const std::lock_guard lock(mapping_mutex_);
  return mapping_.has_value();
}

Status Source::check() const {
  if (!file_) return {};
  {
    const std::lock_guard lock(mapping_mutex_);
    if (mapping_) TRY(mapping_->check());
  }
  return file_->check_unchanged();
}

}  // namespace hearth::gguf
