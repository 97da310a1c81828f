// Opaque handles: numbers that are given once, so that one used after its object is gone is always noticed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace hearth::sim::cuda {

std::uint64_t next_handle();

template <class Handle, class Object>
class Handles {
 public:
  Handle add(std::shared_ptr<Object> object) {
    const std::uint64_t id = next_handle();
    objects_[id] = std::move(object);
    return (Handle)id;
  }
  // nullptr: not a live handle of this kind.
  std::shared_ptr<Object> find(Handle handle) const {
    const auto found = objects_.find((std::uint64_t)handle);
    return found == objects_.end() ? nullptr : found->second;
  }
  std::shared_ptr<Object> remove(Handle handle) {
    const auto found = objects_.find((std::uint64_t)handle);
    if (found == objects_.end()) return nullptr;
    std::shared_ptr<Object> object = std::move(found->second);
    objects_.erase(found);
    return object;
  }
  template <class Predicate>
  std::size_t remove_if(Predicate predicate) {
    return std::erase_if(objects_, [&](const auto& entry) { return predicate(*entry.second); });
  }
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [id, object] : objects_) visit((Handle)id, object);
  }
  std::size_t size() const { return objects_.size(); }

 private:
  std::map<std::uint64_t, std::shared_ptr<Object>> objects_;
};

}  // namespace hearth::sim::cuda
