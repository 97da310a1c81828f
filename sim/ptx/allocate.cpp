// Places for virtual registers: liveness over the control flow, then a linear scan over the code.
//
// Lanes of a warp may be at different instructions, and still registers may share a place: a register is an array
// with an element for each lane, an instruction writes only the elements of the lanes that execute it, and liveness
// holds for each lane on its own way through the code.
#include <algorithm>
#include <map>
#include <queue>

#include "sim/ptx/kernel_builder.h"

namespace hearth::sim::ptx {
namespace {

constexpr std::size_t kMaxBitsetWords = std::size_t{1} << 22;
constexpr int kMaxPasses = 64;

struct Block {
  std::uint32_t begin = 0, end = 0;  // instructions
  std::vector<std::uint32_t> successors;
};

struct Interval {
  std::uint32_t begin = ~0u, end = 0;  // two positions per instruction: it reads at 2i, writes at 2i + 1
  void include(std::uint32_t position) {
    begin = std::min(begin, position);
    end = std::max(end, position);
  }
};

// Calls visit(register, is_result, is_source) for each register of an instruction.
template <class Visit>
void for_registers(const Kernel& kernel, const Instruction& instruction, Visit visit) {
  const std::size_t results = result_count(instruction);
  for (std::size_t i = 0; i < instruction.operand_count; ++i) {
    const Operand& operand = kernel.operands[instruction.first_operand + i];
    if (operand.kind != Operand::Kind::kRegister && operand.kind != Operand::Kind::kPredicate) continue;
    const bool carry = i == 4 && (instruction.carry_in || instruction.carry_out);
    if (carry) {
      visit(operand.index, instruction.carry_out, instruction.carry_in);
    } else {
      visit(operand.index, i < results, i >= results);
    }
  }
  if (instruction.guarded) visit(instruction.guard, false, true);
}

class Liveness {
 public:
  Liveness(const Kernel& kernel, std::size_t registers) : kernel_(kernel), words_((registers + 63) / 64) {
    find_blocks();
  }

  // The stretch of code in which each register may be live; false: too large to tell.
  bool intervals(std::vector<Interval>& out) {
    if (blocks_.size() * words_ > kMaxBitsetWords) return false;
    live_in_.assign(blocks_.size() * words_, 0);
    bool changed = true;
    for (int pass = 0; changed; ++pass) {
      if (pass == kMaxPasses) return false;
      changed = false;
      for (std::size_t i = blocks_.size(); i-- > 0;) changed = update(i) || changed;
    }
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const std::vector<std::uint64_t> live_out = join(blocks_[i]);
      mark(&live_in_[i * words_], 2 * blocks_[i].begin, out);
      mark(live_out.data(), 2 * blocks_[i].end - 1, out);
    }
    for (std::uint32_t at = 0; at < kernel_.code.size(); ++at) {
      const Instruction& instruction = kernel_.code[at];
      // Only lane arithmetic works element by element and so may write where it reads.
      const std::uint32_t reads_at = 2 * at + (instruction.op <= Op::kCvtPack ? 0 : 1);
      for_registers(kernel_, instruction, [&](std::uint32_t index, bool result, bool source) {
        if (result) out[index].include(2 * at + 1);
        if (source) out[index].include(reads_at);
      });
    }
    return true;
  }

 private:
  void find_blocks() {
    const auto count = static_cast<std::uint32_t>(kernel_.code.size());
    std::vector<bool> leader(count + 1, false);
    std::vector<std::uint32_t> returns;
    leader[0] = leader[count] = true;
    leader[kernel_.entry] = true;
    for (std::uint32_t at = 0; at < count; ++at) {
      const Instruction& instruction = kernel_.code[at];
      const Op op = instruction.op;
      if (op == Op::kCall) returns.push_back(at + 1);
      if (op == Op::kBranch || op == Op::kCall) leader[instruction.target] = true;
      if (op == Op::kBranchIndexed) {
        for (const std::uint32_t target : kernel_.branch_tables[instruction.target]) leader[target] = true;
      }
      if (op == Op::kBranch || op == Op::kCall || op == Op::kBranchIndexed || op == Op::kRet || op == Op::kExit ||
          op == Op::kTrap) {
        leader[at + 1] = true;
      }
    }
    std::vector<std::uint32_t> block_at(count + 1, 0);
    for (std::uint32_t at = 0; at < count; ++at) {
      if (leader[at]) {
        if (!blocks_.empty()) blocks_.back().end = at;
        blocks_.push_back(Block{at, count, {}});
      }
      block_at[at] = static_cast<std::uint32_t>(blocks_.size() - 1);
    }
    for (Block& block : blocks_) connect(block, block_at, returns);
  }

  void connect(Block& block, const std::vector<std::uint32_t>& block_at, const std::vector<std::uint32_t>& returns) {
    const auto count = static_cast<std::uint32_t>(kernel_.code.size());
    const Instruction& last = kernel_.code[block.end - 1];
    const auto add = [&](std::uint32_t at) {
      if (at < count) block.successors.push_back(block_at[at]);
    };
    bool falls_through = true;
    switch (last.op) {
      case Op::kBranch:
      case Op::kCall:
        add(last.target);
        falls_through = last.guarded;
        break;
      case Op::kBranchIndexed:
        for (const std::uint32_t target : kernel_.branch_tables[last.target]) add(target);
        falls_through = last.guarded;
        break;
      case Op::kRet:  // to any caller
        for (const std::uint32_t at : returns) add(at);
        falls_through = last.guarded;
        break;
      case Op::kExit:
      case Op::kTrap:
        falls_through = last.guarded;
        break;
      default:
        break;
    }
    if (falls_through) add(block.end);
  }

  std::vector<std::uint64_t> join(const Block& block) const {
    std::vector<std::uint64_t> live(words_, 0);
    for (const std::uint32_t successor : block.successors) {
      for (std::size_t w = 0; w < words_; ++w) live[w] |= live_in_[successor * words_ + w];
    }
    return live;
  }

  bool update(std::size_t index) {
    const Block& block = blocks_[index];
    std::vector<std::uint64_t> live = join(block);
    for (std::uint32_t at = block.end; at-- > block.begin;) {
      const Instruction& instruction = kernel_.code[at];
      if (!instruction.guarded) {  // a guarded result may leave the old value in place
        for_registers(kernel_, instruction, [&](std::uint32_t reg, bool result, bool) {
          if (result) live[reg / 64] &= ~(std::uint64_t{1} << (reg % 64));
        });
      }
      for_registers(kernel_, instruction, [&](std::uint32_t reg, bool, bool source) {
        if (source) live[reg / 64] |= std::uint64_t{1} << (reg % 64);
      });
    }
    std::uint64_t* known = &live_in_[index * words_];
    const bool changed = !std::equal(live.begin(), live.end(), known);
    std::copy(live.begin(), live.end(), known);
    return changed;
  }

  void mark(const std::uint64_t* live, std::uint32_t position, std::vector<Interval>& out) const {
    for (std::size_t w = 0; w < words_; ++w) {
      for (std::uint64_t bits = live[w]; bits != 0; bits &= bits - 1) {
        out[w * 64 + static_cast<std::size_t>(__builtin_ctzll(bits))].include(position);
      }
    }
  }

  const Kernel& kernel_;
  std::size_t words_;
  std::vector<Block> blocks_;
  std::vector<std::uint64_t> live_in_;  // blocks x words
};

// Slots of one width, handed out along the code.
struct SlotPool {
  std::uint32_t used = 0;
  std::vector<std::uint32_t> free;
  using Ending = std::pair<std::uint32_t, std::uint32_t>;  // position, slot
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> active;

  std::uint32_t take(const Interval& interval) {
    while (!active.empty() && active.top().first < interval.begin) {
      free.push_back(active.top().second);
      active.pop();
    }
    std::uint32_t slot = 0;
    if (free.empty()) {
      slot = used++;
    } else {
      slot = free.back();
      free.pop_back();
    }
    active.emplace(interval.end, slot);
    return slot;
  }
};

}  // namespace

void allocate_registers(const VirtualRegisters& registers, Kernel& kernel) {
  std::vector<Interval> intervals(registers.size());
  if (!Liveness(kernel, registers.size()).intervals(intervals)) {
    for (Interval& interval : intervals) interval = Interval{0, ~0u};  // each its own place
  }
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < registers.size(); ++i) {
    if (intervals[i].begin <= intervals[i].end) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return intervals[a].begin < intervals[b].begin; });
  std::map<std::uint8_t, SlotPool, std::greater<>> pools;  // the widest first, predicates last
  std::vector<std::uint32_t> place(registers.size(), 0);
  for (const std::uint32_t index : order) place[index] = pools[registers[index]].take(intervals[index]);

  const auto slot_bytes = [](std::uint8_t width) { return width == 0 ? 4u : width * std::uint32_t{kWarpSize}; };
  std::map<std::uint8_t, std::uint32_t> base;
  std::uint32_t total = 0;
  for (const auto& [width, pool] : pools) {
    base[width] = total;
    total += pool.used * slot_bytes(width);
  }
  for (const std::uint32_t index : order) {
    place[index] = base[registers[index]] + place[index] * slot_bytes(registers[index]);
  }
  for (Operand& operand : kernel.operands) {
    if (operand.kind == Operand::Kind::kRegister || operand.kind == Operand::Kind::kPredicate) {
      operand.index = place[operand.index];
    }
  }
  for (Instruction& instruction : kernel.code) {
    if (instruction.guarded) instruction.guard = place[instruction.guard];
  }
  kernel.register_bytes = (total + 63) / 64 * 64;
}

}  // namespace hearth::sim::ptx
