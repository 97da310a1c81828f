#include "sim/machine/machine.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "sim/machine/forever.h"

namespace hearth::sim {

constexpr int kMaxProcesses = 64;
constexpr int kMaxMoments = 128;

// All zero in a new file. Processes write their own slot only; latches only go from false to true.
struct SharedState {
  struct Process {
    std::atomic<std::int32_t> pid;
    std::array<std::atomic<std::uint64_t>, kMaxDevices> bytes;
  };
  std::atomic<std::int64_t> start_ns;
  std::atomic<std::int64_t> calls;
  std::atomic<std::int64_t> launches;
  std::array<std::atomic<std::int64_t>, kMaxDevices> last_launch_ns;
  std::array<std::atomic<bool>, kMaxMoments> fired;
  std::array<Process, kMaxProcesses> processes;
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "the state file is shared between processes");

namespace {

std::int64_t wall_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

[[noreturn]] void refuse(const std::string& message) {
  std::fprintf(stderr, "hearth-sim: %s\n", message.c_str());
  std::_Exit(2);
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

std::string library_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&library_folder), &info) == 0 || info.dli_fname == nullptr) return ".";
  std::error_code failed;
  const auto path = std::filesystem::canonical(info.dli_fname, failed);
  return failed ? "." : path.parent_path().string();
}

SharedState* map_state(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof(SharedState)) != 0) {
    refuse(fmt::format("cannot use the state file {}: {}", path, std::strerror(errno)));
  }
  void* mapped = mmap(nullptr, sizeof(SharedState), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) refuse(fmt::format("cannot map the state file {}: {}", path, std::strerror(errno)));
  return static_cast<SharedState*>(mapped);
}

bool alive(std::int32_t pid) {
  return pid == getpid() || kill(pid, 0) == 0 || errno == EPERM;
}

std::string program_of(std::int32_t pid) {
  std::error_code failed;
  const auto path = std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), failed);
  return failed ? std::string{} : path.string();
}

// When this process started (field 22 of /proc/self/stat): a file that a crashed process of the same id left is not
// taken for this one's.
std::string start_tick() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  std::stringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return field;
}

std::unique_ptr<Machine> open_machine() {
  const char* named = environment("HEARTH_SIM_PROFILE");
  if (named == nullptr) refuse("set HEARTH_SIM_PROFILE to the machine to simulate, or start the program by sim/run");
  const char* folder = environment("HEARTH_SIM_PROFILES");
  auto profile = load_profile(named, folder != nullptr ? folder : library_folder() + "/profiles");
  if (!profile) refuse(profile.error().message);
  if (profile->devices.size() > kMaxDevices) refuse(fmt::format("more than {} devices", kMaxDevices));
  const char* script = environment("HEARTH_SIM_FAULTS");
  auto faults = parse_faults(script != nullptr ? script : "");
  if (!faults) refuse(faults.error().message);
  double seconds_per_call = 0;
  if (const char* clock = environment("HEARTH_SIM_CLOCK")) {
    const std::string_view text = clock;
    const auto value = parse_number(text.substr(std::min<std::size_t>(text.size(), 5)));
    if (!text.starts_with("call:") || !value || *value <= 0) {
      refuse(fmt::format("HEARTH_SIM_CLOCK={}: write call:SECONDS", text));
    }
    seconds_per_call = *value;
  }
  const char* state = environment("HEARTH_SIM_STATE");
  return std::make_unique<Machine>(std::move(*profile), std::move(*faults), state != nullptr ? state : "",
                                   seconds_per_call);
}

}  // namespace

Machine& Machine::instance() {
  static Machine& machine = forever(open_machine().release());  // shut_down() tidies up
  return machine;
}

Machine::Machine(Profile profile, Faults faults, const std::string& state_path, double seconds_per_call)
    : profile_(std::move(profile)), faults_(std::move(faults)), seconds_per_call_(seconds_per_call) {
  own_state_file_ = state_path.empty();
  // Both libraries of a process must find the same file, whichever is loaded first.
  state_path_ =
      own_state_file_ ? fmt::format("/dev/shm/hearth-sim-{}-{}-{}", getuid(), getpid(), start_tick()) : state_path;
  shared_ = map_state(state_path_);
  std::int64_t unset = 0;
  shared_->start_ns.compare_exchange_strong(unset, wall_ns());
  for (const OtherProcess& process : profile_.processes) {
    watch(process.from);
    watch(process.until);
  }
  for (const OtherProcess& process : faults_.take) {
    watch(process.from);
    watch(process.until);
  }
  for (const StickyFault& fault : faults_.sticky) watch(fault.when);
  for (const LostFault& fault : faults_.lost) {
    watch(fault.when);
    watch(fault.until);
  }
}

Machine::~Machine() {
  shut_down();
  munmap(shared_, sizeof(SharedState));
}

void Machine::shut_down() {
  if (slot_ >= 0) shared_->processes[slot_].pid = 0;
  slot_ = -1;
  if (own_state_file_) unlink(state_path_.c_str());
}

void Machine::watch(const Moment& moment) {
  if (moments_.size() == kMaxMoments) refuse(fmt::format("more than {} moments in profile and faults", kMaxMoments));
  moments_.push_back(&moment);
}

double Machine::now_s() const {
  if (seconds_per_call_ > 0) return seconds_per_call_ * static_cast<double>(shared_->calls.load());
  return static_cast<double>(wall_ns() - shared_->start_ns.load()) * 1e-9;
}

std::int64_t Machine::launches() const {
  return shared_->launches.load();
}

void Machine::note_call(std::string_view name, std::string_view symbol, std::int64_t n) {
  ++shared_->calls;
  for (std::size_t i = 0; i < moments_.size(); ++i) {
    const Moment& moment = *moments_[i];
    if (moment.call < 0 || n < moment.call) continue;
    if (moment.function == name || moment.function == symbol) shared_->fired[i] = true;
  }
}

void Machine::note_launch(int device) {
  ++shared_->launches;
  shared_->last_launch_ns[device] = wall_ns();
}

bool Machine::busy(int device) const {
  const std::int64_t last = shared_->last_launch_ns[device].load();
  return last != 0 && wall_ns() - last < 1'000'000'000;
}

bool Machine::fired(const Moment& moment) const {
  const auto index = std::find(moments_.begin(), moments_.end(), &moment) - moments_.begin();
  std::atomic<bool>& latch = shared_->fired[static_cast<std::size_t>(index)];
  if (latch) return true;
  const bool now = (moment.second >= 0 && now_s() >= moment.second) ||
                   (moment.launch >= 0 && launches() >= moment.launch) ||
                   (!moment.file.empty() && access(moment.file.c_str(), F_OK) == 0);
  if (now) latch = true;
  return now;
}

bool Machine::due(const StickyFault& fault) const {
  return fired(fault.when);
}

std::optional<int> Machine::lost(int device) const {
  for (const LostFault& fault : faults_.lost) {
    if (fault.device == device && fired(fault.when) && !fired(fault.until)) return fault.code;
  }
  return std::nullopt;
}

std::vector<const OtherProcess*> Machine::others(int device) const {
  std::vector<const OtherProcess*> present;
  for (const auto* list : {&profile_.processes, &faults_.take}) {
    for (const OtherProcess& process : *list) {
      const bool started = process.always || fired(process.from);
      if (process.device == device && started && !fired(process.until)) present.push_back(&process);
    }
  }
  return present;
}

std::uint64_t Machine::foreign_bytes(int device) const {
  std::uint64_t bytes = 0;
  for (const OtherProcess* process : others(device)) bytes += process->bytes;
  for (const SharedState::Process& process : shared_->processes) {
    const std::int32_t pid = process.pid.load();
    if (pid != 0 && pid != getpid() && alive(pid)) bytes += process.bytes[device].load();
  }
  return bytes;
}

std::uint64_t Machine::own_bytes(int device) const {
  // Not slot(): libnvidia-ml must see the bytes that libcuda wrote down for the same process.
  std::uint64_t bytes = 0;
  for (const SharedState::Process& process : shared_->processes) {
    if (process.pid.load() == getpid()) bytes += process.bytes[device].load();
  }
  return bytes;
}

int Machine::slot() const {
  if (slot_ >= 0 && shared_->processes[slot_].pid.load() == getpid()) return slot_;
  for (int i = 0; i < kMaxProcesses; ++i) {
    SharedState::Process& process = shared_->processes[i];
    std::int32_t pid = process.pid.load();
    if (pid != 0 && alive(pid)) continue;
    if (!process.pid.compare_exchange_strong(pid, getpid())) continue;
    for (auto& bytes : process.bytes) bytes = 0;
    slot_ = i;
    return i;
  }
  refuse(fmt::format("more than {} processes share the machine {}", kMaxProcesses, state_path_));
}

unsigned Machine::own_pid() const {
  return static_cast<unsigned>(getpid());
}

void Machine::set_own_bytes(int device, std::uint64_t bytes) {
  shared_->processes[slot()].bytes[device] = bytes;
}

std::vector<RunningProcess> Machine::running(int device) const {
  std::vector<RunningProcess> list;
  for (const OtherProcess* process : others(device)) {
    list.push_back({process->pid, process->name, process->bytes, process->graphics});
  }
  for (const SharedState::Process& process : shared_->processes) {
    const std::int32_t pid = process.pid.load();
    const std::uint64_t bytes = process.bytes[device].load();
    if (pid != 0 && bytes != 0 && alive(pid)) {
      list.push_back({static_cast<unsigned>(pid), program_of(pid), bytes, false});
    }
  }
  return list;
}

}  // namespace hearth::sim
