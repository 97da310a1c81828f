#include "engine/spare_gpus.h"

#include <algorithm>
#include <utility>

namespace hearth::engine {
namespace {

// The longest pause between two looks is so many times the first.
constexpr int64_t kMostPauses = 32;

}  // namespace

void SpareGpus::forget() {
  thread_.wait();
  opened_.reset();
  looking_ = false;
  spare_.clear();
  due_ms_ = 0;
  wait_ms_ = first_wait_ms_;
}

Result<std::unique_ptr<device::Device>> SpareGpus::look(int64_t now_ms) {
  std::unique_ptr<device::Device> none;
  if (thread_.busy()) return none;
  if (looking_) {
    looking_ = false;
    thread_.wait();  // throws what the factory has thrown
    return *std::exchange(opened_, std::nullopt);
  }
  if (spare_.empty() || now_ms < due_ms_) return none;
  due_ms_ = now_ms + wait_ms_;
  wait_ms_ = std::min(2 * wait_ms_, kMostPauses * first_wait_ms_);
  std::rotate(spare_.begin(), spare_.begin() + 1, spare_.end());
  looking_ = true;
  thread_.start([this, &open = factories_[spare_.back()]] { opened_ = open(); });
  return none;
}

size_t SpareGpus::taken() {
  const size_t factory = spare_.back();
  spare_.pop_back();
  wait_ms_ = first_wait_ms_;
  return factory;
}

void SpareGpus::close(std::unique_ptr<device::Device> device) {
  opened_ = std::move(device);
  thread_.start([this] { opened_.reset(); });
}

}  // namespace hearth::engine
