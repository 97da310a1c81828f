#include "cli/gpu_run.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "cli/lease.h"
#include "cli/terminal.h"
#include "config/load.h"
#include "disk/guard.h"
#include "fleet/card_memory.h"
#include "fleet/lease_file.h"
#include "neighbours/neighbours.h"

namespace hearth::cli {
namespace {

constexpr uint64_t kMib = 1 << 20;
constexpr const char* kHold = "2m";
constexpr std::chrono::seconds kRenew{40}, kNeighbours{30};

// Asks for more time now and then, for as long as it lives.
class Renewer {
 public:
  Renewer(const Remote& server, std::string id)
      : thread_([this, &server, id = std::move(id)] {
          std::unique_lock lock(mutex_);
          while (!ended_.wait_for(lock, kRenew, [this] { return ends_; })) (void)renew_lease(server, id, kHold);
        }) {}
  ~Renewer() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    ended_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool ends_ = false;
  std::thread thread_;
};

// Everything that is to be given back when the command has ended.
struct Held {
  std::optional<Remote> server;
  std::string lease, key;
  std::vector<neighbours::Neighbour> to_wake;
  std::optional<fleet::LeaseFile> file;

  ~Held() {
    if (!lease.empty()) (void)end_lease(*server, lease);
    for (const std::string& failure : neighbours::take_back(to_wake, key)) print_note(failure);
  }
};

Status ask_hearth(Held& held, uint64_t bytes, const fleet::CardMemory& card, const std::string& command) {
  auto found = Remote::find();
  if (!found || !*found) return {};  // a server that is no hearth is asked as a neighbour, if at all
  held.server.emplace(std::move(**found));
  ASSIGN_OR_RETURN(const Lease lease, ask_for_lease(*held.server, {.bytes = bytes,
                                                                   .gpu = card.ordinal,
                                                                   .hold = kHold,
                                                                   .holder = command,
                                                                   .deadline_ms = 20'000,
                                                                   .locked = held.file.has_value()}));
  held.lease = lease.id;
  for (const std::string& what : lease.how) print_note("hearth " + what);
  return {};
}

Status ask_neighbours(Held& held, uint64_t bytes, const fleet::CardMemory& card) {
  config::Inputs inputs;
  inputs.environment = config::environment();
  ASSIGN_OR_RETURN(const config::Loaded loaded, config::load(inputs));
  ASSIGN_OR_RETURN(const std::vector<neighbours::Neighbour> all,
                   neighbours::parse_neighbours(loaded.settings.neighbours));
  held.key = neighbours::key_from_environment();
  neighbours::Asked asked =
      neighbours::ask(all, {.free_bytes = [ordinal = card.ordinal] { return fleet::free_bytes_of(ordinal); },
                            .holders = [ordinal = card.ordinal] { return fleet::holders_of(ordinal); },
                            .bytes = bytes,
                            .until = std::chrono::steady_clock::now() + kNeighbours,
                            .ask_busy = loaded.settings.ask_busy_neighbours,
                            .until_end = true,
                            .key = held.key});
  held.to_wake = std::move(asked.to_wake);
  for (const std::string& line : asked.how) print_note(line);
  if (asked.enough) return {};
  const auto now = fleet::card_memory(card.ordinal).value_or(card);
  return error(ErrorKind::kBusy, "{} of {} are free and {} are needed{}", size_text(now.free_bytes), card.name,
               size_text(bytes), now.others.empty() ? "" : "; the rest is held by " + now.others);
}

Status lock_card(Held& held, uint64_t bytes, const fleet::CardMemory& card) {
  auto file = fleet::LeaseFile::open(fleet::lease_folder(), card.id, true);
  if (!file) {  // who else takes part cannot be told, and the rest works without
    print_note("no lease file: " + file.error().message);
    return {};
  }
  TRY(file->claim((bytes + kMib - 1) / kMib, card.total_bytes / kMib));
  held.file.emplace(std::move(*file));
  return {};
}

// Ctrl-C reaches the command by itself, as one of the terminal's group; the others are handed on.
std::atomic<pid_t> child = 0;
void hand_on(int signal) {
  if (child > 0) ::kill(child, signal);
}

// Its exit code, or 128 and the signal that ended it, as a shell has it.
Result<int> run_command(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, hand_on);
  ::signal(SIGHUP, hand_on);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaddset(&defaults, signal);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, words[0], nullptr, &attributes, words.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) return error(ErrorKind::kIo, "cannot start {}: {}", command[0], std::strerror(failed));
  child = pid;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Status gpu_run(const GpuRunOptions& options) {
  if (options.command.empty() || options.need.empty())
    return error(ErrorKind::kUsage, "write hearth gpu run --need 6GiB -- COMMAND ARGUMENTS...");
  ASSIGN_OR_RETURN(const uint64_t bytes, disk::parse_size(options.need));
  const auto wanted = options.gpu < 0 ? std::nullopt : std::optional(options.gpu);
  ASSIGN_OR_RETURN(const fleet::CardMemory card, fleet::choose_card(fleet::card_memory(), bytes, wanted));
  int code = 0;
  {
    Held held;
    TRY(lock_card(held, bytes, card));
    TRY(ask_hearth(held, bytes, card, options.command[0]));
    TRY(ask_neighbours(held, bytes, card));
    std::optional<Renewer> renewer;
    if (!held.lease.empty()) renewer.emplace(*held.server, held.lease);
    ASSIGN_OR_RETURN(code, run_command(options.command));
  }
  if (code != 0) std::exit(code);
  return {};
}

}  // namespace hearth::cli
