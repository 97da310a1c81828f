// Finds accesses of two threads of a block to the same byte of shared memory, at least one of them a write, between
// which nothing orders the threads: no barrier, no bar.warp.sync, no mbarrier. Shuffles and votes order nothing.
//
// The method is that of FastTrack (Flanagan and Freund, PLDI 2009): every thread has a vector clock, every byte the
// last write and the reads since. A barrier of the whole block starts a new epoch, which forgets all clocks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace hearth::sim::exec {

class Races {
 public:
  Races(std::uint32_t threads, std::uint32_t shared_bytes);
  void start_block();

  struct Event {
    std::uint32_t thread = 0;
    std::uint32_t pc = 0;
    std::uint64_t serial = 0;  // of the instruction in this block: lanes that execute together share it
    bool atomic = false;
  };
  struct Conflict {
    Event earlier;
    bool earlier_write = false;
  };
  // One byte. `same_value`: a write stores what is there already; then lanes of one instruction do not conflict.
  std::optional<Conflict> read(std::uint32_t offset, const Event& event);
  std::optional<Conflict> write(std::uint32_t offset, const Event& event, bool same_value);

  void join_all();  // a barrier of the whole block
  // Of some: the waiting ones see what the arrived ones (they are among them) have done.
  void join(std::span<const std::uint32_t> arrived, std::span<const std::uint32_t> waiting);
  void release(std::uint32_t object, std::uint32_t thread);  // arrives at the mbarrier at this offset
  void acquire(std::uint32_t object, std::uint32_t thread);  // has seen it complete

 private:
  using Clock = std::vector<std::uint32_t>;  // of each thread: what it had counted to; empty: zeros
  struct Record {
    Event event;
    std::uint32_t epoch = 0;  // 0: none
    std::uint32_t count = 0;
  };
  struct Byte {
    Record write;
    Record reads[4];
  };
  // Everything the record's thread did up to it is ordered before what `thread` does now.
  bool ordered(const Record& record, std::uint32_t thread) const;
  Record record(const Event& event) const { return {event, epoch_, counts_[event.thread]}; }
  void advance(Clock& clock, std::uint32_t thread) const;  // clock sees all that the thread has done
  static void merge(Clock& into, const Clock& from);

  std::uint32_t threads_;
  std::uint32_t epoch_ = 1;
  std::vector<std::uint32_t> counts_;  // of each thread, from 1
  std::vector<Clock> seen_;            // what each thread knows of the others
  std::map<std::uint32_t, Clock> objects_;
  std::vector<Byte> bytes_;
};

}  // namespace hearth::sim::exec
