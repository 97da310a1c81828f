// The machine that both libraries, and every process that names the same HEARTH_SIM_STATE file, see: its clock, what
// other processes hold, which devices are lost. Without HEARTH_SIM_STATE a process has a machine for itself.
//
// Environment: HEARTH_SIM_PROFILE (see load_profile), HEARTH_SIM_PROFILES (folder of profiles; default: beside the
// library), HEARTH_SIM_FAULTS (see faults.h), HEARTH_SIM_STATE (file, made if need be),
// HEARTH_SIM_CLOCK=call:S (every driver call lasts S seconds and nothing else takes time; default: the wall clock).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sim/machine/faults.h"
#include "sim/machine/profile.h"

namespace hearth::sim {

inline constexpr int kMaxDevices = 8;

struct RunningProcess {
  unsigned pid = 0;
  std::string name;
  std::uint64_t bytes = 0;
  bool graphics = false;
};

struct SharedState;  // what lies in the state file

class Machine {
 public:
  // Reads the environment; a mistake in it ends the process with a message: no test may pass by misspelling.
  static Machine& instance();
  Machine(Profile profile, Faults faults, const std::string& state_path, double seconds_per_call);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  void shut_down();  // the process leaves the machine; what it held there is free again

  const Profile& profile() const { return profile_; }
  const Faults& faults() const { return faults_; }

  double now_s() const;
  std::int64_t launches() const;
  // The n-th call of a function, by the name in our code and the exported one: advances the clock and what waits for
  // it.
  void note_call(std::string_view name, std::string_view symbol, std::int64_t n);
  void note_launch(int device);
  bool busy(int device) const;  // has launched a kernel within the last second

  // Bytes of the device held by anybody but this process, and by this process (its contexts and allocations).
  std::uint64_t foreign_bytes(int device) const;
  std::uint64_t own_bytes(int device) const;
  void set_own_bytes(int device, std::uint64_t bytes);
  // Every process on the device as NVML lists them, this one included when it has a context there.
  std::vector<RunningProcess> running(int device) const;

  unsigned own_pid() const;
  std::optional<int> lost(int device) const;  // the error code of a device that fell off the bus
  bool due(const StickyFault& fault) const;   // the moment has come (and stays)

 private:
  bool fired(const Moment& moment) const;
  std::vector<const OtherProcess*> others(int device) const;
  void watch(const Moment& moment);
  int slot() const;  // of this process in the shared state; taken at first use

  Profile profile_;
  Faults faults_;
  double seconds_per_call_ = 0;
  bool own_state_file_ = false;
  std::string state_path_;
  SharedState* shared_ = nullptr;
  std::vector<const Moment*> moments_;  // the same order in every process: index into the shared latches
  mutable int slot_ = -1;
};

}  // namespace hearth::sim
