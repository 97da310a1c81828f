// Turns rows of numbers into rows of a weight format and writes them: window by window, converted by all threads.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "gguf/writer.h"
#include "quant/format.h"

namespace hearth::gguf {

class RowEncoder {
 public:
  explicit RowEncoder(int threads) : pool_(threads) {}

  // What is to be written of one tensor.
  struct Rows {
    std::string_view file, tensor;  // for messages
    uint64_t columns = 0, rows = 0;
    // Before rows [first, first + count) are decoded; on the calling thread. May be empty.
    std::function<Status(uint64_t first, uint64_t count)> prepare = {};
    // Rows [first, first + count) as numbers; on any thread.
    std::function<void(uint64_t first, uint64_t count, float* out)> decode = {};
    // After so many more rows are written; on the calling thread.
    std::function<Status(uint64_t count)> done = {};
  };

  // Memory: a few MB, and some rows per thread. Errors: kInvalidData (a value that is no finite number, or too large
  // for F16), those of the writer and of the functions.
  Status write(const Rows& rows, const quant::Format& format, Writer& writer);

 private:
  ThreadPool pool_;
  std::vector<uint8_t> encoded_;            // of a window
  std::vector<std::vector<float>> values_;  // one buffer per thread
};

}  // namespace hearth::gguf
