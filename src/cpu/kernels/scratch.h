// Memory that a kernel keeps between its calls on one thread.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace hearth::cpu {

// Floats, as many as were asked for at most so far; their values do not survive a call that grows it. A template, so
// that no instruction set's code for it can take the place of another's (tests/cpu/isa_symbols).
template <class V>
class FloatScratch {
 public:
  ~FloatScratch() { std::free(data_); }
  float* at_least(size_t count) {
    if (count <= count_) return data_;
    std::free(data_);
    data_ = static_cast<float*>(std::malloc(count * sizeof(float)));
    count_ = data_ == nullptr ? 0 : count;
    if (data_ == nullptr) throw std::bad_alloc();
    return data_;
  }

 private:
  float* data_ = nullptr;
  size_t count_ = 0;
};

}  // namespace hearth::cpu
