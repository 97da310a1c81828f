// The memory and the steps of one render. Values live in its arena and are freed with it, so they need no owners.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <memory_resource>
#include <string>
#include <string_view>
#include <utility>

#include "template/limits.h"

namespace hearth::templates {

// Thrown inside this folder only, where a template does not parse or a render fails: a Result at every node of a tree
// would be most of the interpreters. Their public functions turn it into an Error.
struct Failure {
  std::string message;
  int line = 0;  // 0: not known yet; the nearest statement adds its own
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Failure{fmt::format(format, std::forward<Args>(args)...)};
}

// Where lists and maps are gone through: `depth` of them inside each other.
inline void check_depth(int depth) {
  if (depth > kMaxValueDepth) fail("lists or maps are nested too deeply (more than {} levels)", kMaxValueDepth);
}

class Budget {
 public:
  explicit Budget(uint64_t most_steps = kMaxSteps)
      : limited_(kMaxMemory), arena_(kFirstBlock, &limited_), most_steps_(most_steps) {}
  Budget(const Budget&) = delete;

  // Counts `steps` evaluations, or as many bytes or items gone through; fails when there were too many.
  void work(uint64_t steps) {
    steps_ += steps;
    if (steps_ > most_steps_) fail("the template takes too many steps (more than {})", most_steps_);
  }

  // An object that is never destroyed: what it owns must lie in the arena too.
  template <class T, class... Args>
  T* make(Args&&... args) {
    return ::new (arena_.allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
  }
  char* bytes(size_t size) { return static_cast<char*>(arena_.allocate(std::max<size_t>(size, 1), 1)); }
  std::string_view copy(std::string_view text) {
    char* to = bytes(text.size());
    std::copy(text.begin(), text.end(), to);
    return {to, text.size()};
  }
  std::pmr::memory_resource* arena() { return &arena_; }

  // Evaluations inside each other.
  class Nested {
   public:
    explicit Nested(Budget& budget) : budget_(budget) {
      if (++budget_.depth_ > kMaxDepth) {
        --budget_.depth_;
        fail("the template calls itself too deeply (more than {} evaluations inside each other)", kMaxDepth);
      }
    }
    ~Nested() { --budget_.depth_; }
    Nested(const Nested&) = delete;

   private:
    Budget& budget_;
  };

 private:
  static constexpr size_t kFirstBlock = size_t{64} << 10;

  class Limited : public std::pmr::memory_resource {
   public:
    explicit Limited(size_t left) : left_(left) {}

   private:
    void* do_allocate(size_t size, size_t alignment) override {
      if (size > left_) fail("the template's values take too much memory (more than {} MiB)", kMaxMemory >> 20);
      left_ -= size;
      return std::pmr::new_delete_resource()->allocate(size, alignment);
    }
    void do_deallocate(void* pointer, size_t size, size_t alignment) override {
      left_ += size;
      std::pmr::new_delete_resource()->deallocate(pointer, size, alignment);
    }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
    size_t left_;
  };

  Limited limited_;
  std::pmr::monotonic_buffer_resource arena_;
  const uint64_t most_steps_;
  uint64_t steps_ = 0;
  int depth_ = 0;
};

}  // namespace hearth::templates
