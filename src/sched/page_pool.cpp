#include "sched/page_pool.h"

#include "base/check.h"

namespace hearth::sched {

PagePool::PagePool(uint32_t pages) : taken_(pages, false) {
  unused_.reserve(pages);
  for (uint32_t i = pages; i-- > 0;) unused_.push_back(static_cast<Page>(i));
}

void PagePool::grow(uint32_t pages) {
  CHECK(pages >= total());
  std::vector<Page> unused;
  for (uint32_t i = pages; i-- > total();) unused.push_back(static_cast<Page>(i));
  unused.insert(unused.end(), unused_.begin(), unused_.end());
  unused_ = std::move(unused);
  taken_.resize(pages, false);
}

Page PagePool::take() {
  CHECK(!unused_.empty());
  const Page page = unused_.back();
  unused_.pop_back();
  taken_[static_cast<size_t>(page)] = true;
  return page;
}

void PagePool::give_back(Page page) {
  CHECK(page >= 0 && static_cast<size_t>(page) < taken_.size() && taken_[static_cast<size_t>(page)]);
  taken_[static_cast<size_t>(page)] = false;
  unused_.push_back(page);
}

}  // namespace hearth::sched
