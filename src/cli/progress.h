// A progress bar on standard error for what takes over a second; nothing if that is no terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace hearth::cli {

class Progress {
 public:
  // `total`: what update() counts up to; 0 if it is not known. Bytes are shown as such, else "done/total".
  enum class Unit { kCount, kBytes };
  Progress(std::string label, uint64_t total, Unit unit = Unit::kBytes);
  ~Progress();  // removes the bar
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Draws at most ten times per second, so it may be called as often as is convenient. One thread.
  void update(uint64_t done) { update(done, {}); }
  void update(uint64_t done, const std::string& remark);  // the remark is shown at the end of the line
  void set_total(uint64_t total) { total_ = total; }      // for those who learn it late

 private:
  std::string label_;
  uint64_t total_;
  Unit unit_;
  bool enabled_, drawn_ = false;
  std::chrono::steady_clock::time_point next_;
};

// A bar while a GPU's driver compiles kernels, for those who open GPUs: see cuda::CompileProgress.
std::function<void(uint32_t done, uint32_t total)> show_compiling();

}  // namespace hearth::cli
