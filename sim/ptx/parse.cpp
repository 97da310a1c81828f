// Links each kernel with the functions that it calls, and lays out what the module holds.
#include "sim/ptx/parse.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "sim/ptx/decoder.h"
#include "sim/ptx/syntax.h"

namespace hearth::sim::ptx {
namespace {

constexpr std::size_t kMaxInstructions = 1 << 23;  // of a module, called functions counted for each kernel
constexpr std::uint64_t kMaxInitialBytes = std::uint64_t{1} << 30;
constexpr std::uint64_t kMaxParameterBytes = 32764;

class Linker {
 public:
  Linker(std::string_view text, const syntax::Module& syntax) : syntax_(syntax) {
    scope_.text = text;
    module_.version = syntax.version;
    module_.target = syntax.target;
    module_.specific = syntax.specific;
    module_.address_bytes = syntax.address_bytes;
  }

  Result<Module> run() {
    TRY(variables());
    for (const syntax::Function& function : syntax_.functions) {
      if (!scope_.functions.emplace(function.name, &function).second)
        return fault(function.line, "name declared twice");
    }
    TRY(initial_values());
    std::size_t instructions = 0;
    for (const syntax::Function& function : syntax_.functions) {
      if (function.entry && !function.defined) continue;
      Kernel kernel;
      TRY(link(function, kernel));
      instructions += kernel.code.size();
      if (instructions > kMaxInstructions) return fault(function.line, "the module is too large");
      if (function.entry) module_.kernels.push_back(std::move(kernel));
    }
    return std::move(module_);
  }

 private:
  Error fault(std::uint32_t line, std::string_view what, ErrorKind kind = ErrorKind::kInvalidData) const {
    return fault_at(scope_.text, line, kind, what);
  }

  static std::uint64_t size_of(const syntax::Declaration& declared) {
    return declared.elements * static_cast<std::uint64_t>(bytes_of(declared.type));
  }

  // --- variables ---
  Status variables() {
    using Kind = syntax::Declaration::Kind;
    for (const syntax::Declaration& declared : syntax_.variables) {
      bool is_new = false;
      switch (declared.kind) {
        case Kind::kShared:
          if (declared.initialised) return fault(declared.line, "shared memory has no initial values");
          if (declared.unsized && !declared.external) return fault(declared.line, "only .extern arrays have no size");
          is_new = scope_.shared.emplace(declared.name, &declared).second;
          break;
        case Kind::kGlobal:
        case Kind::kConst:
          if (declared.unsized || declared.external) {
            return fault(declared.line, "variables of other modules are not supported", ErrorKind::kUnsupported);
          }
          is_new = scope_.variables.emplace(declared.name, static_cast<std::int32_t>(module_.variables.size())).second;
          module_.variables.push_back(Variable{std::string(declared.name),
                                               declared.kind == Kind::kConst ? Space::kConst : Space::kGlobal,
                                               size_of(declared),
                                               declared.alignment,
                                               {},
                                               {},
                                               declared.initialised});
          break;
        default:
          return fault(declared.line, "variables of a module are .global, .const or .shared");
      }
      if (!is_new || (scope_.shared.count(declared.name) && scope_.variables.count(declared.name))) {
        return fault(declared.line, "name declared twice");
      }
    }
    return {};
  }

  Status initial_values() {
    std::uint64_t total = 0;
    for (const syntax::Declaration& declared : syntax_.variables) {
      if (!declared.initialised) continue;
      Variable& variable = module_.variables[static_cast<std::size_t>(scope_.variables.at(declared.name))];
      total += variable.bytes;
      if (total > kMaxInitialBytes) return fault(declared.line, "too much initialised memory");
      variable.initial.assign(variable.bytes, 0);
      std::uint64_t offset = 0;
      for (const syntax::Declaration::Value& value : declared.values) {
        TRY(initial_value(declared, value, offset, variable));
        offset += static_cast<std::uint64_t>(bytes_of(declared.type));
      }
    }
    return {};
  }

  Status initial_value(const syntax::Declaration& declared, const syntax::Declaration::Value& value,
                       std::uint64_t offset, Variable& variable) {
    const auto bytes = static_cast<std::uint64_t>(bytes_of(declared.type));
    std::uint64_t bits = value.bits;
    switch (value.kind) {
      case syntax::Operand::Kind::kName: {
        const auto target = scope_.variables.find(value.name);
        if (bytes != 8 || target == scope_.variables.end()) {
          return fault(declared.line, "an initial address is that of a variable of this module, in 64 bits",
                       ErrorKind::kUnsupported);
        }
        variable.references.push_back(
            {offset, static_cast<std::uint32_t>(target->second), static_cast<std::int64_t>(value.bits)});
        return {};
      }
      case syntax::Operand::Kind::kFloat32:
        if (bytes != 4) return fault(declared.line, "an initial value does not fit the type");
        break;
      case syntax::Operand::Kind::kFloat64:
        if (declared.type == Type::kF32) {
          const auto narrowed = static_cast<float>(std::bit_cast<double>(bits));
          bits = std::bit_cast<std::uint32_t>(narrowed);
        } else if (bytes != 8) {
          return fault(declared.line, "an initial value does not fit the type");
        }
        break;
      default:
        break;
    }
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(bytes, 8); ++i) {
      variable.initial[offset + i] = static_cast<std::uint8_t>(bits >> (8 * i));
    }
    return {};
  }

  // --- kernels ---
  // Called functions come first, deepest first: lanes that run them have the lower addresses, so the scheduler of the
  // least address lets them return before the others go on. (Device functions are linked too, to check them.)
  Status link(const syntax::Function& function, Kernel& kernel) {
    if (!function.defined) return {};
    kernel.name = function.name;
    kernel.max_threads = function.max_threads;
    kernel.exact_threads = function.exact_threads;
    if (function.entry) TRY(parameters(function, kernel));
    std::vector<const syntax::Function*> order;
    TRY(call_order(function, order, kernel.max_call_depth));
    KernelBuilder builder(kernel);
    std::unordered_map<std::string_view, Placed> placed;
    for (const syntax::Function* one : order) {
      if (!one->entry) {
        Placed& place = placed[one->name];
        place.function = one;
        place.entry = builder.here();
        for (const auto& formal : one->parameters) place.parameters.push_back(reserve(builder, formal));
        for (const auto& formal : one->results) place.results.push_back(reserve(builder, formal));
      }
      kernel.entry = builder.here();
      TRY(FunctionDecoder(scope_, placed, builder).decode(*one));
      if (kernel.code.size() > kMaxInstructions) return fault(function.line, "the kernel is too large");
    }
    return builder.finish();
  }

  static std::uint32_t reserve(KernelBuilder& builder, const syntax::Declaration& formal) {
    return builder.reserve_local(size_of(formal), formal.alignment);
  }

  Status parameters(const syntax::Function& function, Kernel& kernel) {
    std::uint64_t offset = 0;
    for (const syntax::Declaration& formal : function.parameters) {
      offset = (offset + formal.alignment - 1) & ~std::uint64_t{formal.alignment - 1};
      const std::uint64_t bytes = size_of(formal);
      if (bytes > kMaxParameterBytes || offset + bytes > kMaxParameterBytes) {
        return fault(function.line, "the parameters are too large");
      }
      kernel.parameters.push_back(
          {static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(bytes), formal.alignment});
      offset += bytes;
    }
    kernel.parameter_bytes = static_cast<std::uint32_t>(offset);
    return {};
  }

  std::vector<const syntax::Function*> callees(const syntax::Function& function) const {
    std::vector<const syntax::Function*> out;
    for (const syntax::Statement& one : function.statements) {
      if (one.kind != syntax::Statement::Kind::kInstruction || one.name != "call" || one.operands.empty()) continue;
      const std::size_t at = one.operands[0].kind == syntax::Operand::Kind::kList ? 1 : 0;
      if (one.operands.size() <= at) continue;
      const auto found = scope_.functions.find(one.operands[at].name);
      if (found != scope_.functions.end() && found->second->defined && !found->second->entry) {
        out.push_back(found->second);
      }
    }
    return out;
  }

  // Depth first without recursion (the text decides how deep it is). `order` ends with the function itself.
  Status call_order(const syntax::Function& function, std::vector<const syntax::Function*>& order,
                    std::uint32_t& depth) {
    struct Frame {
      const syntax::Function* function;
      std::vector<const syntax::Function*> callees;
      std::size_t next = 0;
    };
    std::unordered_map<const syntax::Function*, std::uint32_t> height;  // 0: being visited
    std::vector<Frame> stack;
    const auto enter = [&](const syntax::Function* one) {
      height[one] = 0;
      stack.push_back(Frame{one, callees(*one)});
    };
    enter(&function);
    while (!stack.empty()) {
      Frame& frame = stack.back();
      if (frame.next < frame.callees.size()) {
        const syntax::Function* callee = frame.callees[frame.next++];
        const auto known = height.find(callee);
        if (known == height.end()) {
          enter(callee);
        } else if (known->second == 0) {
          return fault(callee->line, "recursive functions are not supported", ErrorKind::kUnsupported);
        }
        continue;
      }
      std::uint32_t own = 1;
      for (const syntax::Function* callee : frame.callees) own = std::max(own, height[callee] + 1);
      height[frame.function] = own;
      order.push_back(frame.function);
      stack.pop_back();
    }
    depth = height[&function] - 1;
    return {};
  }

  const syntax::Module& syntax_;
  ModuleScope scope_;
  Module module_;
};

std::string version_name(int version) {
  return fmt::format("{}.{}", version / 10, version % 10);
}

}  // namespace

Result<Module> parse(std::string_view text) {
  ASSIGN_OR_RETURN(const syntax::Module syntax, syntax::parse_syntax(text));
  return Linker(text, syntax).run();
}

Result<Module> read_header(std::string_view text) {
  ASSIGN_OR_RETURN(const syntax::Module syntax, syntax::parse_syntax(text, /*header_only=*/true));
  Module module;
  module.version = syntax.version;
  module.target = syntax.target;
  module.specific = syntax.specific;
  return module;
}

TargetCheck check_target(const Module& module, int compute_capability, int newest_version) {
  if (module.version > newest_version) {
    return {TargetFault::kNewerVersion,
            fmt::format("the module's PTX ISA version is {}; this driver knows none newer than {}",
                        version_name(module.version), version_name(newest_version))};
  }
  if (module.specific ? module.target != compute_capability : module.target > compute_capability) {
    return {TargetFault::kNewerTarget,
            fmt::format("the module is for compute capability {}{}; this GPU has {}", version_name(module.target),
                        module.specific ? " alone" : " or newer", version_name(compute_capability))};
  }
  return {};
}

}  // namespace hearth::sim::ptx
