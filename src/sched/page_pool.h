// Which cache pages are unused. Numbers only: the pages themselves belong to the model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hearth::sched {

using Page = int32_t;  // 0 .. total - 1

class PagePool {
 public:
  explicit PagePool(uint32_t pages);

  // So many in all, with the numbers that follow; new ones are taken last.
  void grow(uint32_t pages);

  // An unused page, now the caller's. There must be one: see unused().
  Page take();
  // Gives a page back that was taken.
  void give_back(Page page);

  uint32_t total() const { return static_cast<uint32_t>(taken_.size()); }
  uint32_t unused() const { return static_cast<uint32_t>(unused_.size()); }
  const std::vector<bool>& taken() const { return taken_; }  // by page

 private:
  std::vector<Page> unused_;  // a stack: the page used last is the likeliest to be in a processor cache
  std::vector<bool> taken_;
};

}  // namespace hearth::sched
