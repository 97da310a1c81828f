#include "sim/lane_support.h"

#include <cstring>

namespace hearth::sim::test {
namespace {

std::string register_name(int width, std::size_t index) {
  const char* prefix = width == 0 ? "%p" : width == 2 ? "%h" : width == 4 ? "%r" : "%d";
  return fmt::format("{}{}", prefix, index);
}

// $i becomes the register of operand i.
std::string substitute(std::string_view text, const std::vector<int>& widths) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') {
      out += text[i];
      continue;
    }
    const auto index = static_cast<std::size_t>(text[++i] - '0');
    out += register_name(widths.at(index), index);
  }
  return out;
}

// Sources are "loaded" from [index], the result is "stored" to [0]: run() gives these two their meaning.
std::string program(std::string_view text, const std::vector<int>& widths, bool keep_old) {
  std::string out =
      ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry test()\n{\n"
      ".reg .pred %p<10>;\n.reg .b16 %h<10>;\n.reg .b32 %r<20>;\n.reg .b64 %d<10>;\n.reg .pred %q;\n";
  for (std::size_t i = keep_old ? 0 : 1; i < widths.size(); ++i) {
    if (widths[i] == 0) {
      out += fmt::format("ld.global.b32 %r1{}, [{}];\nsetp.ne.b32 %p{}, %r1{}, 0;\n", i, i, i, i);
    } else {
      out += fmt::format("ld.global.b{} {}, [{}];\n", widths[i] * 8, register_name(widths[i], i), i);
    }
  }
  out += "fence.acq_rel.cta;\n" + substitute(text, widths) + "\nfence.acq_rel.cta;\n";
  if (widths[0] == 0) {
    out += "selp.b32 %r19, 1, 0, %p0;\nst.global.b32 [0], %r19;\n";
  } else {
    out += fmt::format("st.global.b{} [0], {};\n", widths[0] * 8, register_name(widths[0], 0));
  }
  return out + "ret;\n}\n";
}

class Machine {
 public:
  Machine(const ptx::Kernel& kernel, const std::vector<Bits>& values) : kernel_(kernel), values_(values) {
    frame_.resize(kernel.register_bytes / 64);
    constants_.resize(kernel.constants.size());
    for (std::size_t i = 0; i < constants_.size(); ++i) fill(constants_[i].data(), kernel.constants[i]);
  }

  // Between the two fences only the lanes of `active` execute.
  Bits run(u32 active) {
    u32 mask = ~0u;
    for (const ptx::Instruction& instruction : kernel_.code) {
      const ptx::Operand* operands = &kernel_.operands[instruction.first_operand];
      switch (instruction.op) {
        case ptx::Op::kRet:
          return result_;
        case ptx::Op::kFence:
          mask = mask == ~0u && !inside_ ? active : ~0u;
          inside_ = true;
          break;
        case ptx::Op::kLd:
          load(operands[0], kernel_.constants[operands[1].index].value);
          break;
        case ptx::Op::kSt:
          for (int lane = 0; lane < 32; ++lane) {
            result_[lane] = 0;
            std::memcpy(&result_[lane], static_cast<std::byte*>(place(operands[1])) + lane * operands[1].bytes,
                        operands[1].bytes);
          }
          break;
        default:
          execute(instruction, operands, mask);
          break;
      }
    }
    return result_;
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  using Register = std::array<Line, 4>;

  void fill(void* to, const ptx::Constant& constant) {
    for (int lane = 0; lane < 32; ++lane) {
      std::memcpy(static_cast<std::byte*>(to) + lane * constant.bytes, &constant.value, constant.bytes);
    }
  }

  void* place(const ptx::Operand& operand) {
    switch (operand.kind) {
      case ptx::Operand::Kind::kRegister:
      case ptx::Operand::Kind::kPredicate:
        return reinterpret_cast<std::byte*>(frame_.data()) + operand.index;
      case ptx::Operand::Kind::kConstant:
        return constants_[operand.index].data();
      default:
        return nullptr;
    }
  }

  void load(const ptx::Operand& to, u64 index) {
    for (int lane = 0; lane < 32; ++lane) {
      std::memcpy(static_cast<std::byte*>(place(to)) + lane * to.bytes, &values_[index][lane], to.bytes);
    }
  }

  void execute(const ptx::Instruction& instruction, const ptx::Operand* operands, u32 mask) {
    const exec::LaneFunction function = exec::lane_function(instruction, operands);
    ASSERT_NE(function, nullptr);
    ASSERT_FALSE(instruction.guarded);
    void* places[5] = {};
    for (std::size_t i = 0; i < instruction.operand_count; ++i) places[i] = place(operands[i]);
    function(places[0], places[1], places[2], places[3], mask, places[4]);
  }

  const ptx::Kernel& kernel_;
  const std::vector<Bits>& values_;
  std::vector<Line> frame_;
  std::vector<Register> constants_;
  Bits result_{};
  bool inside_ = false;
};

}  // namespace

Bits run_lanes(std::string_view text, const std::vector<int>& widths, const std::vector<Bits>& values, u32 active,
               bool keep_old) {
  const Result<ptx::Module> module = ptx::parse(program(text, widths, keep_old));
  if (!module) {
    [&] { FAIL() << module.error().message; }();
    return {};
  }
  return Machine(module->kernels.at(0), values).run(active);
}

std::mt19937_64& random_engine() {
  static std::mt19937_64 random(hearth::test::seed());
  return random;
}

std::vector<const char*> lane_isas() {
  std::vector<const char*> out{"generic"};
  if (exec::set_lane_isa("avx2")) out.push_back("avx2");
  return out;
}

}  // namespace hearth::sim::test
