// One job at a time on a thread of its own, beside what its owner does meanwhile.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace hearth::engine {

class Background {
 public:
  Background() = default;
  ~Background();  // after the job's end
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // The job before must have been waited for.
  void start(std::function<void()> job);
  // Until the job is done; at once if there is none. Throws what it has thrown.
  void wait();
  bool busy() const;  // wait() would wait

 private:
  void run();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;  // empty: there is none
  std::exception_ptr failure_;
  bool ending_ = false;
  std::thread thread_;  // started with the first job
};

}  // namespace hearth::engine
