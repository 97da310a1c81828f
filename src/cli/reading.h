// Brings a model's weights in from the disk in the order in which they lie there, which is faster than fault by fault
// and lets a slow disk show.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "gguf/file.h"

namespace hearth::cli {

// Now, with a progress bar.
void read_in(const gguf::File& file);

// Beside the calling thread, which copies to a GPU what is there already: the slower of disk and bus sets the pace.
class Reading {
 public:
  explicit Reading(std::shared_ptr<const gguf::File> file);
  Reading(const Reading&) = delete;
  ~Reading();  // stops soon
  void wait();

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace hearth::cli
