#include "neighbours/neighbours.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{50};
constexpr std::chrono::seconds kMost_for_one{10};  // from its answer until its memory is free
constexpr uint64_t kNothing_bytes = 1 << 20;       // less than that came free of something else

std::string name_of(const Neighbour& neighbour) {
  return fmt::format("{} at {}", neighbour.kind->name, neighbour.url);
}

Clock::time_point earlier(Clock::time_point a, Clock::time_point b) {
  return a < b ? a : b;
}

// Waits for memory to come free; how much did.
uint64_t wait_for_memory(const Need& need, uint64_t before) {
  const Clock::time_point until = earlier(need.until, Clock::now() + kMost_for_one);
  uint64_t free = need.free_bytes();
  while (free < need.bytes && Clock::now() < until) {
    std::this_thread::sleep_for(kPoll);
    free = need.free_bytes();
  }
  return free > before ? free - before : 0;
}

std::string held_by(const Need& need) {
  const std::string holders = need.holders ? need.holders() : "";
  return holders.empty() ? "" : "; the card's memory is held by " + holders;
}

std::string ask_one(const Neighbour& neighbour, const Need& need, Asked& asked) {
  const Kind& kind = *neighbour.kind;
  const Api api(neighbour.url, need.key, need.until);
  const auto found = kind.find(api);
  if (!found) return fmt::format("{} does not tell what it holds: {}", name_of(neighbour), found.error().message);
  if (found->activity == Activity::kNothing) return name_of(neighbour) + " holds no model";
  if (found->activity == Activity::kBusy && !need.ask_busy) return name_of(neighbour) + " is busy and was left alone";
  if (found->activity == Activity::kUnknown && !need.ask_busy)
    return name_of(neighbour) + " does not tell whether it is busy, and was left alone";
  const uint64_t before = need.free_bytes();
  if (const Status gone = kind.let_go(api, *found, need.bytes); !gone)
    return fmt::format("{} was asked to let go and refused: {}", name_of(neighbour), gone.error().message);
  if (kind.take_back != nullptr) asked.to_wake.push_back(neighbour);
  const uint64_t freed = wait_for_memory(need, before);
  const std::string what = found->models.empty() ? "its memory" : fmt::format("{}", fmt::join(found->models, ", "));
  if (freed < kNothing_bytes)
    return fmt::format("{} was asked to let go of {} and said that it did, but no memory came free{}",
                       name_of(neighbour), what, held_by(need));
  return fmt::format("{} let go of {}: {} came free", name_of(neighbour), what, size_text(freed));
}

}  // namespace

Result<Neighbour> parse_neighbour(std::string_view entry) {
  const size_t at = entry.find('=');
  const std::string_view name = entry.substr(0, at);
  std::string names;
  Neighbour neighbour;
  for (const Kind* kind : RegisterKind::all()) {
    names += (names.empty() ? "" : ", ") + std::string(kind->name);
    if (name == kind->name) neighbour.kind = kind;
  }
  if (at == std::string_view::npos || neighbour.kind == nullptr)
    return error(ErrorKind::kUsage, "'{}' is no neighbour; write KIND=URL with one of these kinds: {}", entry, names);
  neighbour.url = entry.substr(at + 1);
  while (neighbour.url.ends_with('/')) neighbour.url.pop_back();
  if (!neighbour.url.starts_with("http://") && !neighbour.url.starts_with("https://"))
    return error(ErrorKind::kUsage, "'{}' is no URL of a neighbour; write http://HOST:PORT", neighbour.url);
  return neighbour;
}

Result<std::vector<Neighbour>> parse_neighbours(const std::vector<std::string>& entries) {
  std::vector<Neighbour> neighbours;
  for (const std::string& entry : entries) {
    ASSIGN_OR_RETURN(neighbours.emplace_back(), parse_neighbour(entry));
  }
  return neighbours;
}

Status check_neighbour(std::string_view entry) {
  const auto neighbour = parse_neighbour(entry);
  return neighbour ? Status() : neighbour.error();
}

std::string key_from_environment() {
  const char* const key = std::getenv("HEARTH_NEIGHBOUR_KEY");
  return key != nullptr ? key : "";
}

Asked ask(const std::vector<Neighbour>& neighbours, const Need& need) {
  Asked asked;
  asked.enough = need.free_bytes() >= need.bytes;
  for (const Neighbour& neighbour : neighbours) {
    if (asked.enough || Clock::now() >= need.until) break;
    if (neighbour.kind->take_back != nullptr && !need.until_end) continue;
    asked.how.push_back(ask_one(neighbour, need, asked));
    asked.enough = need.free_bytes() >= need.bytes;
  }
  return asked;
}

std::vector<std::string> take_back(const std::vector<Neighbour>& neighbours, const std::string& key) {
  std::vector<std::string> failures;
  for (const Neighbour& neighbour : neighbours) {
    const Api api(neighbour.url, key, Clock::now() + std::chrono::minutes(1));
    if (const Status done = neighbour.kind->take_back(api); !done)
      failures.push_back(fmt::format("{} could not be woken: {}", name_of(neighbour), done.error().message));
  }
  return failures;
}

}  // namespace hearth::neighbours
