// Loads and stores: from the lanes' addresses to bytes of host memory, with every check there is.
#include <algorithm>

#include "base/error.h"
#include "sim/exec/interpreter.h"

namespace hearth::sim::exec {

using ptx::Op;
using ptx::Space;
using ptx::Type;

// --- moving elements between memory and registers ---

namespace {

template <class Memory, class Register>
void load_elements(std::byte* reg, std::byte* const* at, std::uint32_t offset, LaneMask active) {
  auto* d = reinterpret_cast<Register*>(reg);
  const auto one = [&](int lane) {
    Memory element;
    std::memcpy(&element, at[lane] + offset, sizeof element);
    d[lane] = static_cast<Register>(element);
  };
  if (active == kAllLanes) {
    for (int lane = 0; lane < 32; ++lane) one(lane);
  } else {
    for_lanes(active, one);
  }
}

template <class Memory, class Register>
void store_elements(std::byte* reg, std::byte* const* at, std::uint32_t offset, LaneMask active) {
  const auto* a = reinterpret_cast<const Register*>(reg);
  const auto one = [&](int lane) {
    const auto element = static_cast<Memory>(a[lane]);
    std::memcpy(at[lane] + offset, &element, sizeof element);
  };
  if (active == kAllLanes) {
    for (int lane = 0; lane < 32; ++lane) one(lane);
  } else {
    for_lanes(active, one);
  }
}

template <class Memory>
MoveFunction load_into(int register_bytes) {
  // Signed memory types are extended by their sign, others by zeros.
  if (register_bytes == 2) return load_elements<Memory, std::uint16_t>;
  if (register_bytes == 4) return load_elements<Memory, std::uint32_t>;
  return load_elements<Memory, std::uint64_t>;
}

template <class Memory>
MoveFunction store_from(int register_bytes) {
  if (register_bytes == 2) return store_elements<Memory, std::uint16_t>;
  if (register_bytes == 4) return store_elements<Memory, std::uint32_t>;
  return store_elements<Memory, std::uint64_t>;
}

}  // namespace

MoveFunction load_function(Type type, int register_bytes) {
  switch (type) {
    case Type::kS8:
      return load_into<std::int8_t>(register_bytes);
    case Type::kS16:
      return load_into<std::int16_t>(register_bytes);
    case Type::kS32:
      return load_into<std::int32_t>(register_bytes);
    default:
      break;
  }
  switch (ptx::bytes_of(type)) {
    case 1:
      return load_into<std::uint8_t>(register_bytes);
    case 2:
      return load_into<std::uint16_t>(register_bytes);
    case 4:
      return load_into<std::uint32_t>(register_bytes);
    default:
      return load_into<std::uint64_t>(register_bytes);
  }
}

MoveFunction store_function(Type type, int register_bytes) {
  switch (ptx::bytes_of(type)) {
    case 1:
      return store_from<std::uint8_t>(register_bytes);
    case 2:
      return store_from<std::uint16_t>(register_bytes);
    case 4:
      return store_from<std::uint32_t>(register_bytes);
    default:
      return store_from<std::uint64_t>(register_bytes);
  }
}

// --- the lanes' addresses ---

void Interpreter::addresses(const Warp& warp, Ref base, int width, std::int32_t displacement, LaneMask active,
                            Access& access) const {
  const std::byte* from = at(warp, base);
  const auto add = static_cast<std::uint64_t>(static_cast<std::int64_t>(displacement));
  if (width == 8) {
    const auto* a = reinterpret_cast<const std::uint64_t*>(from);
    for (int lane = 0; lane < 32; ++lane) access.addresses[lane] = a[lane] + add;
  } else {
    const auto* a = reinterpret_cast<const std::uint32_t*>(from);
    for (int lane = 0; lane < 32; ++lane) access.addresses[lane] = a[lane] + static_cast<std::uint32_t>(add);
    for (int lane = 0; lane < 32; ++lane) access.addresses[lane] &= 0xffffffff;
  }
  if (active == kAllLanes) return;
  const std::uint64_t some = access.addresses[std::countr_zero(active)];
  for (int lane = 0; lane < 32; ++lane) {
    if ((active >> lane & 1) == 0) access.addresses[lane] = some;
  }
}

// The space of the first lane's generic address, which becomes an offset there, as those of the others in this space.
LaneMask Interpreter::take_space(LaneMask lanes, Access& access) const {
  const std::uint64_t window = access.addresses[std::countr_zero(lanes)] & kWindowMask;
  const auto windowed = [](std::uint64_t w) { return w >= kSharedWindow && w <= kParamWindow; };
  LaneMask same = 0;
  for_lanes(lanes, [&](int lane) {
    const std::uint64_t own = access.addresses[lane] & kWindowMask;
    if (own == window || (!windowed(own) && !windowed(window))) same |= LaneMask{1} << lane;
  });
  access.space = window == kSharedWindow  ? Space::kShared
                 : window == kLocalWindow ? Space::kLocal
                 : window == kParamWindow ? Space::kParam
                                          : Space::kGlobal;
  if (windowed(window)) {
    for_lanes(same, [&](int lane) { access.addresses[lane] -= window; });
  }
  const std::uint64_t some = access.addresses[std::countr_zero(same)];
  for_lanes(~same & lanes, [&](int lane) { access.elsewhere[lane] = access.addresses[lane]; });
  for_lanes(~same, [&](int lane) { access.addresses[lane] = some; });
  return same;
}

template <class Use>
bool Interpreter::each_space(Warp& warp, Space space, LaneMask active, Access& access, Use use) {
  access.space = space;
  if (space != Space::kGeneric) return resolve(warp, active, access) && use(active);
  for (LaneMask left = active; left != 0;) {
    const LaneMask lanes = take_space(left, access);
    if (!resolve(warp, lanes, access) || !use(lanes)) return false;
    left &= ~lanes;
    for_lanes(left, [&](int lane) { access.addresses[lane] = access.elsewhere[lane]; });
  }
  return true;
}

bool Interpreter::each_access(Warp& warp, Space space, LaneMask active, Access& access,
                              const std::function<bool(LaneMask)>& use) {
  return each_space(warp, space, active, access, use);
}

bool Interpreter::resolve(Warp& warp, LaneMask lanes, Access& access) {
  switch (access.space) {
    case Space::kShared:
      return resolve_shared(warp, lanes, access);
    case Space::kLocal:
      return resolve_local(warp, lanes, access);
    case Space::kParam:
      return resolve_parameters(warp, lanes, access);
    default:
      return resolve_global(warp, lanes, access);
  }
}

bool Interpreter::load(Warp& warp, const Step& step, LaneMask active) {
  Access access;
  access.bytes = step.bytes;
  addresses(warp, step.a, step.address_bytes, step.displacement, active, access);
  const std::uint32_t size = step.bytes / step.instruction->vector;
  return each_space(warp, step.instruction->space, active, access, [&](LaneMask lanes) {
    if (races_ && access.space == Space::kShared && !check_races(warp, lanes, access, is_atomic(*step.instruction))) {
      return false;
    }
    for (std::uint32_t i = 0; i < step.instruction->vector; ++i) {
      const MoveFunction move = program_.moves[step.first + i];
      if (move != nullptr) move(operand(warp, step, i), access.at, i * size, lanes);
    }
    return true;
  });
}

bool Interpreter::store(Warp& warp, const Step& step, LaneMask active) {
  Access access;
  access.bytes = step.bytes;
  access.write = true;
  addresses(warp, step.a, step.address_bytes, step.displacement, active, access);
  const std::uint32_t size = step.bytes / step.instruction->vector;
  const auto move_lanes = [&](std::byte* const* to, LaneMask lanes) {
    for (std::uint32_t i = 0; i < step.instruction->vector; ++i) {
      program_.moves[step.first + 1 + i](operand(warp, step, i + 1), to, i * size, lanes);
    }
  };
  return each_space(warp, step.instruction->space, active, access, [&](LaneMask lanes) {
    if (!races_ || access.space != Space::kShared) {
      move_lanes(access.at, lanes);
      return true;
    }
    // One lane after the other: whether lanes that hit the same byte write the same matters.
    for (; lanes != 0; lanes &= lanes - 1) {
      const int lane = std::countr_zero(lanes);
      std::byte staged[32];
      std::byte* to[32];
      to[lane] = staged;
      move_lanes(to, LaneMask{1} << lane);
      if (!check_race(warp, lane, access, staged, is_atomic(*step.instruction))) return false;
      std::memcpy(access.at[lane], staged, access.bytes);
    }
    return true;
  });
}

bool Interpreter::is_atomic(const ptx::Instruction& instruction) {
  return instruction.order != ptx::Order::kWeak && instruction.order != ptx::Order::kVolatile;
}

// --- global memory ---

bool Interpreter::misaligned(Warp& warp, int lane, const Access& access) {
  return fail(
      FaultKind::kMisaligned, warp, lane, access,
      fmt::format("{} of {} bytes at {:#x}", access.write ? "write" : "read", access.bytes, access.addresses[lane]));
}

// All lanes in one mapping, aligned: almost always. Otherwise lane by lane, until the one that is at fault.
bool Interpreter::resolve_global(Warp& warp, LaneMask lanes, Access& access) {
  const std::uint64_t first = access.addresses[std::countr_zero(lanes)];
  const Mapping*& last = last_mapping_[warp.running().pc % last_mapping_.size()];
  if (last == nullptr || !last->contains(first, access.bytes)) last = memory_.find(first);
  const Mapping* mapping = last;
  if (mapping == nullptr || mapping->bytes < access.bytes) return resolve_global_lane(warp, lanes, access);

  std::uint64_t low = ~std::uint64_t{0}, high = 0, bits = 0;
  const Address base = mapping->base;
  for (int lane = 0; lane < 32; ++lane) {
    const std::uint64_t offset = access.addresses[lane] - base;
    low = std::min(low, offset);
    high = std::max(high, offset);
    bits |= access.addresses[lane];
  }
  const DeviceMask allowed = access.write ? mapping->writable : mapping->readable;
  if (high > mapping->bytes - access.bytes || (bits & (access.bytes - 1)) != 0 ||
      (allowed >> options_.device & 1) == 0) {
    return resolve_global_lane(warp, lanes, access);
  }
  std::byte* const data = mapping->data();
  for (int lane = 0; lane < 32; ++lane) access.at[lane] = data + (access.addresses[lane] - base);
  return note_written(warp, lanes, *mapping, low, high, access);
}

bool Interpreter::resolve_global_lane(Warp& warp, LaneMask lanes, Access& access) {
  std::byte* some = nullptr;
  for (LaneMask left = lanes; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const std::uint64_t address = access.addresses[lane];
    const Mapping* mapping = memory_.find(address);
    if (mapping == nullptr || !mapping->contains(address, access.bytes)) {
      return fail(FaultKind::kIllegalAddress, warp, lane, access,
                  fmt::format("{} of {}", access.write ? "write" : "read", memory_.describe(address, access.bytes)));
    }
    const DeviceMask allowed = access.write ? mapping->writable : mapping->readable;
    if ((allowed >> options_.device & 1) == 0) {
      return fail(
          FaultKind::kIllegalAddress, warp, lane, access,
          fmt::format("{} of {} bytes at {:#x}: device {} may not {} this memory{}", access.write ? "write" : "read",
                      access.bytes, address, options_.device, access.write ? "write" : "read",
                      mapping->name.empty() ? "" : " (" + mapping->name + ")"));
    }
    if ((address & (access.bytes - 1)) != 0) return misaligned(warp, lane, access);
    const std::uint64_t offset = address - mapping->base;
    access.at[lane] = some = mapping->data() + offset;
    if (!note_written(warp, LaneMask{1} << lane, *mapping, offset, offset, access)) return false;
  }
  for_lanes(~lanes, [&](int lane) { access.at[lane] = some; });
  return true;
}

namespace {

// Another host thread may be setting other bits of the word.
void set_shared_bits(std::uint64_t* words, std::uint64_t first, std::uint64_t count) {
  while (count > 0) {
    const std::uint64_t here = std::min<std::uint64_t>(64 - first % 64, count);
    const std::uint64_t mask = (here == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << here) - 1) << first % 64;
    std::uint64_t& word = words[first / 64];
    if ((__atomic_load_n(&word, __ATOMIC_RELAXED) & mask) != mask) __atomic_fetch_or(&word, mask, __ATOMIC_RELAXED);
    first += here;
    count -= here;
  }
}

}  // namespace

// The bytes from `low` to those at `high` hold all that the lanes access. Reads: were they written? Writes: now they
// are.
bool Interpreter::note_written(Warp& warp, LaneMask lanes, const Mapping& mapping, std::uint64_t low,
                               std::uint64_t high, const Access& access) {
  std::uint64_t* const written = mapping.backing->written();
  if (written == nullptr) return true;
  constexpr std::uint64_t kWorthALook = 2048;
  const std::uint64_t span = high - low + access.bytes;
  if (access.write) {
    // Nothing between the lanes is left out: one stretch.
    if (span <= kWorthALook && all_bits(written, mapping.offset + low, span)) return true;
    for_lanes(lanes, [&](int lane) {
      set_shared_bits(written, mapping.offset + (access.addresses[lane] - mapping.base), access.bytes);
    });
    return true;
  }
  if (options_.uninitialised == Uninitialised::kIgnore) return true;
  if (span <= kWorthALook && all_bits(written, mapping.offset + low, span)) return true;
  for (LaneMask left = lanes; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    if (all_bits(written, mapping.offset + (access.addresses[lane] - mapping.base), access.bytes)) continue;
    const std::string name = mapping.name.empty() ? "" : " (" + mapping.name + ")";
    if (!unwritten(warp, lane, access,
                   fmt::format("read of {} bytes at {:#x}, {} bytes into the {} bytes at {:#x}{}, where nobody wrote",
                               access.bytes, access.addresses[lane], access.addresses[lane] - mapping.base,
                               mapping.bytes, mapping.base, name))) {
      return false;
    }
  }
  return true;
}

bool Interpreter::unwritten(Warp& warp, int lane, const Access& access, const std::string& what) {
  if (options_.uninitialised == Uninitialised::kFault) {
    return fail(FaultKind::kUninitialisedRead, warp, lane, access, what);
  }
  constexpr std::size_t kMostReports = 32;
  const std::uint32_t pc = warp.running().pc;
  if (reported_[pc] || stats_.uninitialised_reads.size() >= kMostReports) return true;
  reported_[pc] = true;
  fail(FaultKind::kUninitialisedRead, warp, lane, access, what);
  stats_.uninitialised_reads.push_back(*std::exchange(fault_, std::nullopt));
  return true;
}

// --- shared memory, local memory, parameters ---

bool Interpreter::resolve_shared(Warp& warp, LaneMask lanes, Access& access) {
  std::uint64_t low = ~std::uint64_t{0}, high = 0, bits = 0;
  for (int lane = 0; lane < 32; ++lane) {
    low = std::min(low, access.addresses[lane]);
    high = std::max(high, access.addresses[lane]);
    bits |= access.addresses[lane];
    access.at[lane] = shared_.get() + access.addresses[lane];
  }
  if (shared_bytes_ < access.bytes || high > shared_bytes_ - access.bytes || (bits & (access.bytes - 1)) != 0) {
    for (LaneMask left = lanes; left != 0; left &= left - 1) {
      const int lane = std::countr_zero(left);
      const std::uint64_t offset = access.addresses[lane];
      if (offset > shared_bytes_ || access.bytes > shared_bytes_ - offset) {
        return fail(FaultKind::kIllegalAddress, warp, lane, access,
                    fmt::format("{} of {} bytes at {} of shared memory; the block has {} bytes",
                                access.write ? "write" : "read", access.bytes, offset, shared_bytes_));
      }
      if ((offset & (access.bytes - 1)) != 0) return misaligned(warp, lane, access);
    }
  }
  if (access.write) {
    for_lanes(lanes, [&](int lane) {
      std::memset(shared_state_ + access.addresses[lane], static_cast<int>(kWritten), access.bytes);
    });
    return true;
  }
  if (options_.uninitialised == Uninitialised::kIgnore) return true;
  return check_shared_written(warp, lanes, low, high - low + access.bytes, access);
}

bool Interpreter::check_shared_written(Warp& warp, LaneMask lanes, std::uint64_t low, std::uint64_t span,
                                       const Access& access) {
  const auto all_written = [&](std::uint64_t offset, std::uint64_t bytes) {
    unsigned wrong = 0;
    for (std::uint64_t i = 0; i < bytes; ++i) wrong |= static_cast<unsigned>(shared_state_[offset + i] ^ kWritten);
    return wrong == 0;
  };
  constexpr std::uint64_t kWorthALook = 1024;
  if (span <= kWorthALook && all_written(low, span)) return true;
  for (LaneMask left = lanes; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const std::uint64_t offset = access.addresses[lane];
    if (all_written(offset, access.bytes)) continue;
    const bool in_flight = std::any_of(shared_state_ + offset, shared_state_ + offset + access.bytes,
                                       [](std::byte state) { return state == kInFlight; });
    if (!unwritten(warp, lane, access,
                   fmt::format("read of {} bytes at {} of shared memory, {}", access.bytes, offset,
                               in_flight ? "where a cp.async still writes: it was not waited for"
                                         : "where nobody wrote in this block"))) {
      return false;
    }
  }
  return true;
}

bool Interpreter::resolve_local(Warp& warp, LaneMask lanes, Access& access) {
  const std::uint32_t local_bytes = program_.kernel.local_bytes;
  const std::uint64_t stride = padded(local_bytes);
  for (LaneMask left = lanes; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const std::uint64_t offset = access.addresses[lane];
    if (offset > local_bytes || access.bytes > local_bytes - offset) {
      return fail(FaultKind::kIllegalAddress, warp, lane, access,
                  fmt::format("{} of {} bytes at {} of local memory; the thread has {} bytes",
                              access.write ? "write" : "read", access.bytes, offset, local_bytes));
    }
    if ((offset & (access.bytes - 1)) != 0) return misaligned(warp, lane, access);
    const std::uint64_t place = stride * static_cast<std::uint64_t>(lane) + offset;
    access.at[lane] = warp.local + place;
    std::byte* const written = warp.local_written + place;
    if (access.write) {
      std::memset(written, 1, access.bytes);
    } else if (options_.uninitialised != Uninitialised::kIgnore &&
               !std::all_of(written, written + access.bytes, [](std::byte b) { return b == std::byte{1}; })) {
      if (!unwritten(warp, lane, access,
                     fmt::format("read of {} bytes at {} of local memory, where the thread never wrote", access.bytes,
                                 offset))) {
        return false;
      }
    }
  }
  std::byte* const some = access.at[std::countr_zero(lanes)];
  for_lanes(~lanes, [&](int lane) { access.at[lane] = some; });
  return true;
}

bool Interpreter::resolve_parameters(Warp& warp, LaneMask lanes, Access& access) {
  for (int lane = 0; lane < 32; ++lane) access.at[lane] = parameters_.data() + access.addresses[lane];
  for (LaneMask left = lanes; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const std::uint64_t offset = access.addresses[lane];
    if (access.write || offset > parameters_.size() || access.bytes > parameters_.size() - offset) {
      return fail(FaultKind::kIllegalAddress, warp, lane, access,
                  fmt::format("{} of {} bytes at {} of the kernel's {} bytes of parameters",
                              access.write ? "write" : "read", access.bytes, offset, parameters_.size()));
    }
    if ((offset & (access.bytes - 1)) != 0) return misaligned(warp, lane, access);
  }
  return true;
}

// --- races ---

bool Interpreter::check_races(Warp& warp, LaneMask lanes, const Access& access, bool atomic) {
  for (; lanes != 0; lanes &= lanes - 1) {
    if (!check_race(warp, std::countr_zero(lanes), access, nullptr, atomic)) return false;
  }
  return true;
}

// `value`: what a write stores.
bool Interpreter::check_race(Warp& warp, int lane, const Access& access, const std::byte* value, bool atomic) {
  const std::uint32_t pc = warp.running().pc;
  const Races::Event event{thread_number(warp, lane), pc, std::uint64_t{warp.index} << 48 | warp.clock, atomic};
  for (std::uint32_t i = 0; i < access.bytes; ++i) {
    const auto offset = static_cast<std::uint32_t>(access.addresses[lane]) + i;
    const std::optional<Races::Conflict> conflict =
        access.write ? races_->write(offset, event, value != nullptr && value[i] == access.at[lane][i])
                     : races_->read(offset, event);
    if (!conflict) continue;
    const auto& other = thread_indices_[conflict->earlier.thread];
    return fail(
        FaultKind::kRace, warp, lane, access,
        fmt::format("{} of {} bytes at {} of shared memory, which thread ({},{},{}) {} at line {}, with nothing "
                    "between that orders the two",
                    access.write ? "write" : "read", access.bytes, access.addresses[lane], other[0], other[1], other[2],
                    conflict->earlier_write ? "wrote" : "read", step_at(conflict->earlier.pc).instruction->line));
  }
  return true;
}

}  // namespace hearth::sim::exec
