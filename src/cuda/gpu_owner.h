// The one owner of a card in this process: its context, the kernels that are loaded into it, and the ledger of who
// holds which memory of it. A CudaDevice is a view of it, one for each model; they share what the card has once.
//
// A sticky error breaks the context for all views. Whoever meets it ends the generation: from then on every view of it
// is lost. The next generation begins when the last of them is gone, since what was made in a context must be destroyed
// before it is made anew.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cuda/modules.h"
#include "device/device.h"
#include "driver/handles.h"

namespace hearth::cuda {

// A context from its making to its loss, with what is loaded into it. Ends with the last view.
class GpuGeneration {
 public:
  GpuGeneration(const driver::Cuda& cuda, int ordinal, uint64_t number)
      : cuda_(cuda), ordinal_(ordinal), number_(number) {}
  ~GpuGeneration();

  // Errors: as create_device().
  Status start();

  uint64_t number() const { return number_; }  // 1 is the first of this process
  const driver::Context& context() const { return context_; }
  const device::Facts& facts() const { return facts_; }  // without the granularity
  Modules& modules() { return *modules_; }               // safe on any thread

  // kDeviceLost once it was lost, by whichever view. Both are safe on any thread.
  Status lost() const;
  void lose(const Error& error);

 private:
  const driver::Cuda& cuda_;
  const int ordinal_;
  const uint64_t number_;
  driver::Context context_;
  device::Facts facts_;
  std::optional<Modules> modules_;

  std::atomic<bool> is_lost_ = false;
  mutable std::mutex mutex_;
  std::optional<Error> loss_;
};

class GpuOwner {
 public:
  // Of the card with this number of the driver; lives as long as the process. Any thread.
  static GpuOwner& of(const driver::Cuda& cuda, int ordinal);

  // What one view holds of the card's memory.
  struct Holding {
    std::string holder;  // for people: the model
    uint64_t generation = 0;
    uint64_t bytes = 0;
  };

  // A view's part in the card, from its making to its end.
  class Membership {
   public:
    Membership(GpuOwner& owner, std::shared_ptr<GpuGeneration> generation, const std::string& holder);
    ~Membership();
    Membership(const Membership&) = delete;

    GpuGeneration& generation() const { return *generation_; }
    void set_bytes(uint64_t bytes);
    // The card has computed for this view from `begun` to `ended`.
    void computed(std::chrono::steady_clock::time_point begun, std::chrono::steady_clock::time_point ended);

   private:
    GpuOwner& owner_;
    std::shared_ptr<GpuGeneration> generation_;
    std::list<Holding>::iterator holding_;
  };
  // In the present generation. After a loss waits until all views of the lost one are gone. Errors: those of
  // GpuGeneration::start(); kDeviceLost naming who still holds the lost one after `patience`.
  Result<std::unique_ptr<Membership>> join(const std::string& holder, std::chrono::milliseconds patience);

  std::vector<Holding> holdings() const;
  // How long the card has computed for this process, measured: the time in which two views did counts once.
  std::chrono::nanoseconds busy() const;
  uint64_t generations() const;  // so far

 private:
  GpuOwner(const driver::Cuda& cuda, int ordinal) : cuda_(cuda), ordinal_(ordinal) {}
  // Under the mutex.
  Result<std::shared_ptr<GpuGeneration>> begin(std::unique_lock<std::mutex>& lock);
  Error still_held() const;

  const driver::Cuda& cuda_;
  const int ordinal_;
  mutable std::mutex mutex_;
  std::condition_variable left_;  // a view has gone, or a start has ended
  bool starting_ = false;
  std::weak_ptr<GpuGeneration> current_;
  std::list<Holding> holdings_;
  uint64_t generations_ = 0;
  std::chrono::nanoseconds busy_{0};
  std::chrono::steady_clock::time_point busy_until_{};
};

}  // namespace hearth::cuda
