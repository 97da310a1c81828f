// The threads that decode, render and tokenise: what must not hold up those that move bytes. Users take turns, so that
// one who sends much waits behind himself only.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace hearth::serve {

class Workers {
 public:
  // Threads, and tasks that may wait in all.
  Workers(int threads, size_t most_waiting);
  ~Workers() { stop(); }
  // Waits for tasks that run; those that wait are dropped, and no more are taken.
  void stop();

  // False: too many wait, or these have stopped. A task that throws is logged.
  bool post(const std::string& user, std::function<void()> task);

 private:
  void work();
  std::function<void()> take();  // under the mutex; there is one

  const size_t most_waiting_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::string, std::deque<std::function<void()>>> waiting_;  // none is empty
  std::list<std::string> turns_;                                      // users in `waiting_`, the next first
  size_t count_ = 0;
  bool ends_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace hearth::serve
