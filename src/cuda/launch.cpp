#include "cuda/launch.h"

#include "base/check.h"
#include "base/checked.h"

namespace hearth::cuda {
namespace {

constexpr size_t kAlignment = 16;

// By words of 8 bytes: good enough, since equal hashes are followed by a comparison in full.
uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
  return hash ^ (hash >> 32);
}

}  // namespace

void LaunchList::add_bytes(CUfunction function, Extent grid, Extent block, uint32_t shared_bytes,
                           std::span<const std::byte> args) {
  CHECK(grid.x != 0 && grid.y != 0 && grid.z != 0);
  const size_t at = arguments_.size();
  launches_.push_back(
      {function, grid, block, shared_bytes, static_cast<uint32_t>(at), static_cast<uint32_t>(args.size())});
  arguments_.resize(round_up(at + args.size(), kAlignment));
  std::memcpy(arguments_.data() + at, args.data(), args.size());
}

void LaunchList::beside_last() {
  CHECK(launches_.size() > 1);
  launches_.back().beside = true;
}

void LaunchList::clear() {
  launches_.clear();
  arguments_.clear();
}

uint64_t LaunchList::hash() const {
  uint64_t hash = launches_.size();
  for (const Launch& launch : launches_) {
    hash = mix(hash, reinterpret_cast<uintptr_t>(launch.function));
    hash = mix(hash, launch.grid.x ^ uint64_t{launch.grid.y} << 32);
    hash = mix(hash, launch.grid.z ^ uint64_t{launch.shared_bytes} << 32);
    hash = mix(hash, launch.block.x ^ uint64_t{launch.block.y} << 32 ^ uint64_t{launch.beside} << 63);
  }
  for (size_t at = 0; at < arguments_.size(); at += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, arguments_.data() + at, sizeof word);
    hash = mix(hash, word);
  }
  return hash;
}

}  // namespace hearth::cuda
