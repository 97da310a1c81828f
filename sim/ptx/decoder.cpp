// Functions, statements, names and operands.
#include "sim/ptx/decoder.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/error.h"
#include "sim/exec/lane_ops.h"

namespace hearth::sim::ptx {
namespace {

// Registers narrower than 16 bits do not exist in the machine either.
std::uint8_t register_bytes_of(Type type) {
  return static_cast<std::uint8_t>(std::max(bytes_of(type), 2));
}

bool is_float(Type type) {
  return type == Type::kF32 || type == Type::kF64;
}

}  // namespace

void FunctionDecoder::fail(std::string_view what, ErrorKind kind) {
  if (fault_) return;
  fault_ = fault_at(module_.text, statement_ ? statement_->line : function_->line, kind, what);
}

// --- the function ---

Status FunctionDecoder::decode(const syntax::Function& function) {
  function_ = &function;
  scopes_.resize(function.scope_parents.size());
  labels_.resize(function.scope_parents.size());
  branch_tables_.resize(function.scope_parents.size());
  carry_ = temporary(0);
  declare_formals(function);
  bind_call_parameters(function);
  const std::uint32_t start = builder_.here();
  for (const syntax::Statement& one : function.statements) {
    if (fault_) break;
    statement_ = &one;
    statement(one);
  }
  statement_ = nullptr;
  Instruction end;
  end.op = Op::kRet;
  end.line = function.statements.empty() ? function.line : function.statements.back().line;
  const bool ended =
      builder_.here() > start && builder_.kernel().code.back().op == Op::kRet && !builder_.kernel().code.back().guarded;
  bool label_at_end = false;
  for (const auto& scope : labels_) {
    for (const auto& [name, at] : scope) label_at_end = label_at_end || at == builder_.here();
  }
  if (!ended || label_at_end) builder_.emit(end, {});
  if (!fault_) resolve_branches();
  if (fault_) return std::move(*fault_);
  return {};
}

void FunctionDecoder::declare_formals(const syntax::Function& function) {
  const auto declare = [&](const syntax::Declaration& declared, Symbol::Kind kind, std::uint32_t offset) {
    Symbol symbol;
    symbol.kind = kind;
    symbol.offset = offset;
    symbol.declaration = &declared;
    if (!scopes_[0].emplace(declared.name, symbol).second) fail("parameter declared twice");
  };
  if (function.entry) {
    const Kernel& kernel = builder_.kernel();
    for (std::size_t i = 0; i < function.parameters.size(); ++i) {
      declare(function.parameters[i], Symbol::Kind::kParameter, kernel.parameters[i].offset);
    }
    return;
  }
  const Placed& own = placed_.at(function.name);
  for (std::size_t i = 0; i < function.parameters.size(); ++i) {
    declare(function.parameters[i], Symbol::Kind::kLocal, own.parameters[i]);
  }
  for (std::size_t i = 0; i < function.results.size(); ++i) {
    declare(function.results[i], Symbol::Kind::kLocal, own.results[i]);
  }
}

// A .param variable that holds an argument or a result of one call lies where the called function has it, so that a
// call copies nothing. (A call's variables are declared in a block around it; names are looked up by scope.)
void FunctionDecoder::bind_call_parameters(const syntax::Function& function) {
  std::vector<std::unordered_map<std::string_view, const syntax::Declaration*>> declared(scopes_.size());
  const auto bind = [&](const syntax::Statement& call, const Source& list, const std::vector<std::uint32_t>& offsets,
                        const std::vector<syntax::Declaration>& formals) {
    if (list.elements.size() != formals.size()) return fail("wrong number of arguments");
    for (std::size_t i = 0; i < formals.size(); ++i) {
      const syntax::Declaration* variable = nullptr;
      for (std::uint32_t scope = call.scope; variable == nullptr; scope = function.scope_parents[scope]) {
        const auto found = declared[scope].find(list.elements[i].name);
        if (found != declared[scope].end()) variable = found->second;
        if (scope == 0) break;
      }
      if (variable == nullptr) return unsupported("an argument that is not a .param variable");
      if (variable->elements * static_cast<std::uint64_t>(bytes_of(variable->type)) !=
          formals[i].elements * static_cast<std::uint64_t>(bytes_of(formals[i].type))) {
        return fail("argument and parameter differ in size");
      }
      const auto [at, is_new] = bound_.emplace(variable, offsets[i]);
      if (!is_new && at->second != offsets[i]) return unsupported(".param variable used for several parameters");
    }
  };
  for (const syntax::Statement& one : function.statements) {
    statement_ = &one;
    if (one.kind == syntax::Statement::Kind::kDeclaration &&
        one.declaration.kind == syntax::Declaration::Kind::kParam) {
      declared[one.scope].emplace(one.declaration.name, &one.declaration);
    }
    if (one.kind != syntax::Statement::Kind::kInstruction || one.name != "call") continue;
    const bool has_results = !one.operands.empty() && one.operands[0].kind == Source::Kind::kList;
    const std::size_t callee = has_results ? 1 : 0;
    if (one.operands.size() <= callee) continue;  // call() reports it
    const auto found = placed_.find(one.operands[callee].name);
    if (found == placed_.end()) continue;
    const Source none;
    const bool has_arguments = one.operands.size() > callee + 1;
    bind(one, has_results ? one.operands[0] : none, found->second.results, found->second.function->results);
    bind(one, has_arguments ? one.operands[callee + 1] : none, found->second.parameters,
         found->second.function->parameters);
  }
  statement_ = nullptr;
}

void FunctionDecoder::statement(const syntax::Statement& one) {
  switch (one.kind) {
    case syntax::Statement::Kind::kDeclaration:
      return declaration(one.declaration, one.scope);
    case syntax::Statement::Kind::kLabel:
      return label(one);
    case syntax::Statement::Kind::kBranchTargets:
      return branch_targets(one);
    case syntax::Statement::Kind::kInstruction:
      break;
  }
  const Form* form = find_form(one.name);
  if (form == nullptr) return fail("unknown instruction");
  taken_ = 0;
  if (one.modifiers.size() > 64) return fail("too many modifiers");
  guard_ = {};
  if (one.guarded) {
    const Symbol* guard = find(one.guard);
    if (guard == nullptr || guard->kind != Symbol::Kind::kRegister || guard->bytes != 0) {
      return fail("the guard is not a predicate register");
    }
    guard_ = guard->operand;
  }
  (this->*form->handler)(*form);
}

void FunctionDecoder::declaration(const syntax::Declaration& declared, std::uint32_t scope) {
  using Kind = syntax::Declaration::Kind;
  Symbol symbol;
  symbol.declaration = &declared;
  const std::uint64_t bytes = declared.elements * static_cast<std::uint64_t>(bytes_of(declared.type));
  switch (declared.kind) {
    case Kind::kRegister:
      if (declared.type == Type::kB128) return unsupported("128-bit registers are not supported");
      if (declared.type != Type::kPred && bytes_of(declared.type) == 0) return fail("registers cannot have this type");
      symbol.bytes = declared.type == Type::kPred ? 0 : register_bytes_of(declared.type);
      symbol.kind = declared.registers ? Symbol::Kind::kRange : Symbol::Kind::kRegister;
      symbol.count = declared.registers;
      if (!declared.registers) symbol.operand = temporary(symbol.bytes);
      break;
    case Kind::kShared:
      symbol.kind = Symbol::Kind::kShared;
      break;
    case Kind::kLocal:
      symbol.kind = Symbol::Kind::kLocal;
      symbol.offset = builder_.reserve_local(bytes, declared.alignment);
      break;
    case Kind::kParam: {
      symbol.kind = Symbol::Kind::kLocal;
      const auto bound = bound_.find(&declared);
      symbol.offset = bound != bound_.end() ? bound->second : builder_.reserve_local(bytes, declared.alignment);
      break;
    }
    case Kind::kGlobal:
    case Kind::kConst:
      return unsupported(".global and .const variables belong outside of functions");
  }
  if (declared.initialised) return fail("only .global and .const variables have initial values");
  if (!scopes_[scope].emplace(declared.name, symbol).second) fail("name declared twice");
}

void FunctionDecoder::label(const syntax::Statement& one) {
  if (!labels_[one.scope].emplace(one.name, builder_.here()).second) fail("label defined twice");
}

void FunctionDecoder::branch_targets(const syntax::Statement& one) {
  const auto table = static_cast<std::uint32_t>(builder_.kernel().branch_tables.size());
  if (!branch_tables_[one.scope].emplace(one.name, table).second) return fail("label defined twice");
  builder_.kernel().branch_tables.emplace_back();
  // Filled in by resolve_branches(), when all labels are known: its entries are fixups without an instruction.
  for (const Source& target : one.operands) {
    if (target.kind != Source::Kind::kName) return fail("expected labels");
    builder_.kernel().branch_tables.back().push_back(0);
  }
}

std::int64_t FunctionDecoder::find_label(std::string_view name, std::uint32_t scope) const {
  while (true) {
    const auto found = labels_[scope].find(name);
    if (found != labels_[scope].end()) return found->second;
    if (scope == 0) return -1;
    scope = function_->scope_parents[scope];
  }
}

void FunctionDecoder::resolve_branches() {
  for (const Fixup& fixup : fixups_) {
    const std::int64_t at = find_label(fixup.label, fixup.scope);
    if (at < 0) {
      fault_ = fault_at(module_.text, fixup.line, ErrorKind::kInvalidData, "unknown label");
      return;
    }
    builder_.kernel().code[fixup.instruction].target = static_cast<std::uint32_t>(at);
  }
  for (const syntax::Statement& one : function_->statements) {
    if (one.kind != syntax::Statement::Kind::kBranchTargets) continue;
    auto& table = builder_.kernel().branch_tables[branch_tables_[one.scope].at(one.name)];
    for (std::size_t i = 0; i < table.size(); ++i) {
      const std::int64_t at = find_label(one.operands[i].name, one.scope);
      statement_ = &one;
      if (at < 0) return fail("unknown label");
      table[i] = static_cast<std::uint32_t>(at);
    }
  }
}

// --- names and operands ---

const FunctionDecoder::Symbol* FunctionDecoder::find(std::string_view name) {
  std::uint32_t scope = statement_ ? statement_->scope : 0;
  while (true) {
    if (const Symbol* symbol = find_in(scopes_[scope], name)) return symbol;
    if (scope == 0) return nullptr;
    scope = function_->scope_parents[scope];
  }
}

// %r12 may be one of the range %r<20> (or %r1<5>): then it becomes a register of its own on its first use.
const FunctionDecoder::Symbol* FunctionDecoder::find_in(Scope& scope, std::string_view name) {
  const auto exact = scope.find(name);
  if (exact != scope.end() && exact->second.kind != Symbol::Kind::kRange) return &exact->second;
  std::uint64_t number = 0;
  std::uint64_t place = 1;
  for (std::size_t length = name.size(); length > 1 && name.size() - length < 18; --length) {
    const char digit = name[length - 1];
    if (digit < '0' || digit > '9') break;
    number += place * static_cast<std::uint64_t>(digit - '0');
    place *= 10;
    if (digit == '0' && length < name.size()) continue;  // a number has no leading zero
    const auto range = scope.find(name.substr(0, length - 1));
    if (range == scope.end() || range->second.kind != Symbol::Kind::kRange || number >= range->second.count) continue;
    Symbol symbol;
    symbol.bytes = range->second.bytes;
    symbol.operand = temporary(symbol.bytes);
    return &scope.emplace(name, symbol).first->second;
  }
  return nullptr;
}

// The address of a variable. Shared, local and parameter addresses are offsets.
std::optional<Operand> FunctionDecoder::address_constant(std::string_view name, std::int64_t offset,
                                                         std::uint8_t bytes) {
  if (const Symbol* symbol = find(name)) {
    if (symbol->kind == Symbol::Kind::kShared) return builder_.shared_address(*symbol->declaration, offset, bytes);
    if (symbol->kind != Symbol::Kind::kLocal && symbol->kind != Symbol::Kind::kParameter) return std::nullopt;
    return builder_.constant(symbol->offset + static_cast<std::uint64_t>(offset), bytes);
  }
  if (const auto shared = module_.shared.find(name); shared != module_.shared.end()) {
    return builder_.shared_address(*shared->second, offset, bytes);
  }
  const auto variable = module_.variables.find(name);
  if (variable == module_.variables.end()) return std::nullopt;
  return builder_.constant(static_cast<std::uint64_t>(offset), bytes, variable->second);
}

Operand FunctionDecoder::immediate(const Source& given, Type type) {
  const std::uint8_t bytes = register_bytes_of(type);
  switch (given.kind) {
    case Source::Kind::kInteger:
      if (is_float(type)) fail("an integer constant where a floating-point one belongs");
      return builder_.constant(given.bits, bytes);
    case Source::Kind::kFloat32: {
      if (type != Type::kF64) {
        if (bytes != 4) fail("a 32-bit constant does not fit the type");
        return builder_.constant(given.bits, bytes);
      }
      const double value = std::bit_cast<float>(static_cast<std::uint32_t>(given.bits));
      return builder_.constant(std::bit_cast<std::uint64_t>(value), 8);
    }
    case Source::Kind::kFloat64: {
      if (type != Type::kF32) {
        if (bytes != 8) fail("a 64-bit constant does not fit the type");
        return builder_.constant(given.bits, bytes);
      }
      const double value = std::bit_cast<double>(given.bits);
      // Outside the range of float the conversion would be undefined in C++; PTX gives infinity.
      const bool in_range = value >= -0x1.fffffefffffffp127 && value <= 0x1.fffffefffffffp127;
      const float nearest =
          in_range ? static_cast<float>(value) : std::numeric_limits<float>::infinity() * (value < 0 ? -1.0f : 1.0f);
      const float narrowed = value != value ? std::numeric_limits<float>::quiet_NaN() : nearest;
      return builder_.constant(std::bit_cast<std::uint32_t>(narrowed), 4);
    }
    default:
      fail("expected a register or a constant");
      return {};
  }
}

// A register of exactly the type's width (or of at least it: `wider`), a constant, or the address of a variable.
Operand FunctionDecoder::source(const Source& given, Type type, bool wider) {
  if (given.negated) fail("only predicates are negated");
  if (given.kind != Source::Kind::kName) return immediate(given, type);
  const std::uint8_t bytes = register_bytes_of(type);
  if (const Symbol* symbol = find(given.name); symbol && symbol->kind == Symbol::Kind::kRegister) {
    if (symbol->bytes == 0) fail("a predicate where a value belongs");
    if (given.offset != 0) fail("expected a register");
    if (symbol->bytes != bytes && !(wider && symbol->bytes > bytes)) fail("the register's width does not fit the type");
    return symbol->operand;
  }
  if (given.name == "WARP_SZ") return builder_.constant(kWarpSize, bytes);
  if (const auto found = special(given.name)) {
    if (found->bytes != bytes) fail("the special register's width does not fit the type");
    if (found->kind != Operand::Kind::kSpecial) return *found;
    Instruction fetch = instruction(Op::kMov, bytes == 8 ? Type::kB64 : Type::kB32);
    const Operand fetched = temporary(bytes);
    emit(fetch, {fetched, *found});
    return fetched;
  }
  if (bytes >= 4) {
    if (const auto found = address_constant(given.name, given.offset, bytes)) {
      const Constant& constant = builder_.kernel().constants[found->index];
      if (constant.variable >= 0 && bytes != 8) fail("the address of a variable has 64 bits");
      return *found;
    }
  }
  fail("unknown name");
  return {};
}

Operand FunctionDecoder::destination(const Source& given, Type type, bool wider) {
  if (given.kind != Source::Kind::kName || given.negated || given.offset != 0) {
    fail("the result needs a register");
    return {};
  }
  const Symbol* symbol = find(given.name);
  if (symbol == nullptr || symbol->kind != Symbol::Kind::kRegister || symbol->bytes == 0) {
    fail(symbol == nullptr ? "unknown name" : "the result needs a register");
    return {};
  }
  const std::uint8_t bytes = register_bytes_of(type);
  if (symbol->bytes != bytes && !(wider && symbol->bytes > bytes)) fail("the register's width does not fit the type");
  return symbol->operand;
}

Operand FunctionDecoder::destination_or_sink(const Source& given, Type type, bool wider) {
  if (given.kind == Source::Kind::kName && given.name == "_") return {};
  return destination(given, type, wider);
}

Operand FunctionDecoder::predicate_source(const Source& given) {
  if (given.kind == Source::Kind::kInteger) {  // mov.pred p, -1: anything but 0 is true
    const Operand value = temporary(0);
    Instruction test = instruction(Op::kSetp, Type::kB64);
    test.compare = (given.bits != 0) != given.negated ? Compare::kEq : Compare::kNe;
    emit(test, {value, builder_.constant(0, 8), builder_.constant(0, 8)});
    return value;
  }
  const Symbol* symbol = given.kind == Source::Kind::kName ? find(given.name) : nullptr;
  if (symbol == nullptr || symbol->kind != Symbol::Kind::kRegister || symbol->bytes != 0) {
    fail("expected a predicate register");
    return {};
  }
  if (!given.negated) return symbol->operand;
  const Operand negated = temporary(0);
  emit(instruction(Op::kNot, Type::kPred), {negated, symbol->operand});
  return negated;
}

Operand FunctionDecoder::predicate_destination(const Source& given) {
  if (given.kind == Source::Kind::kName && given.name == "_") return {};
  if (given.negated) fail("a result cannot be negated");
  if (given.kind != Source::Kind::kName) fail("the result needs a register");
  Source plain = given;
  plain.negated = false;
  return predicate_source(plain);
}

FunctionDecoder::Address FunctionDecoder::address(const Source& given, Space space) {
  Address out;
  out.space = space;
  if (given.kind != Source::Kind::kAddress) {
    fail("expected an address");
    return out;
  }
  if (given.name.empty()) {
    out.base = builder_.constant(static_cast<std::uint64_t>(given.offset), 8);
    return out;
  }
  const Symbol* symbol = find(given.name);
  if (symbol && symbol->kind == Symbol::Kind::kRegister) {
    if (symbol->bytes < 4) fail("an address has 32 or 64 bits");
    if (given.offset < std::numeric_limits<std::int32_t>::min() ||
        given.offset > std::numeric_limits<std::int32_t>::max()) {
      fail("the offset has more than 32 bits");
    }
    out.base = symbol->operand;
    out.displacement = static_cast<std::int32_t>(given.offset);
  } else if (const auto constant = address_constant(given.name, given.offset, 8)) {
    out.base = *constant;
  } else {
    fail("unknown name");
    return out;
  }
  if (space != Space::kParam) return out;
  // Parameters of device functions and of calls are local memory.
  const bool local = symbol && symbol->kind == Symbol::Kind::kLocal;
  const bool through_register = symbol && symbol->kind == Symbol::Kind::kRegister;
  if (local || (through_register && !function_->entry)) {
    out.space = Space::kLocal;
  } else if (!through_register && (symbol == nullptr || symbol->kind != Symbol::Kind::kParameter)) {
    fail("not a parameter");
  }
  return out;
}

std::vector<Operand> FunctionDecoder::vector_of(const Source& given, Type type, std::size_t count, bool wider,
                                                Use use) {
  std::vector<Operand> out;
  const auto add = [&](const Source& one) {
    out.push_back(use == Use::kSource   ? source(one, type, wider)
                  : use == Use::kResult ? destination(one, type, wider)
                                        : destination_or_sink(one, type, wider));
  };
  if (given.kind != Source::Kind::kVector) {
    if (count != 1) fail("expected a vector {…}");
    add(given);
    return out;
  }
  if (given.elements.size() != count) {
    fail("wrong number of registers in a vector");
    return std::vector<Operand>(count);
  }
  for (const Source& one : given.elements) add(one);
  return out;
}

void FunctionDecoder::pair(const Source& given, const Source*& first, const Source*& second) {
  first = &given;
  second = nullptr;
  if (given.kind != Source::Kind::kPair) return;
  first = &given.elements[0];
  second = &given.elements[1];
}

// --- the statement ---

const syntax::Operand& FunctionDecoder::operand(std::size_t i) const {
  static const Source none;
  return i < statement_->operands.size() ? statement_->operands[i] : none;
}

bool FunctionDecoder::expect_operands(std::size_t least, std::size_t most) {
  const std::size_t count = statement_->operands.size();
  if (count < least || count > most) fail("wrong number of operands");
  return !fault_;
}

bool FunctionDecoder::take(std::string_view modifier) {
  for (std::size_t i = 0; i < statement_->modifiers.size(); ++i) {
    if ((taken_ >> i & 1) == 0 && statement_->modifiers[i] == modifier) {
      taken_ |= std::uint64_t{1} << i;
      return true;
    }
  }
  return false;
}

Type FunctionDecoder::take_type() {
  for (std::size_t i = 0; i < statement_->modifiers.size(); ++i) {
    if (taken_ >> i & 1) continue;
    const Type type = syntax::type_named(statement_->modifiers[i]);
    if (type == Type::kNone) continue;
    taken_ |= std::uint64_t{1} << i;
    return type;
  }
  return Type::kNone;
}

Type FunctionDecoder::need_type() {
  const Type type = take_type();
  if (type == Type::kNone) fail("the instruction lacks a type");
  return type;
}

Rounding FunctionDecoder::take_rounding() {
  static constexpr std::pair<std::string_view, Rounding> kRounding[] = {
      {".rn", Rounding::kNearest}, {".rz", Rounding::kZero},         {".rm", Rounding::kDown},
      {".rp", Rounding::kUp},      {".rna", Rounding::kNearestAway},
  };
  for (const auto& [name, rounding] : kRounding) {
    if (take(name)) return rounding;
  }
  return Rounding::kNone;
}

std::optional<Space> FunctionDecoder::take_space() {
  static constexpr std::pair<std::string_view, Space> kSpaces[] = {
      {".global", Space::kGlobal},
      {".const", Space::kConst},
      {".shared", Space::kShared},
      {".shared::cta", Space::kShared},
      {".shared::cluster", Space::kShared},
      {".local", Space::kLocal},
      {".param", Space::kParam},
      {".param::entry", Space::kParam},
      {".param::func", Space::kParam},
  };
  for (const auto& [name, space] : kSpaces) {
    if (take(name)) return space;
  }
  return std::nullopt;
}

// What only steers caches: evictions, prefetch sizes, and a policy as an additional last operand.
void FunctionDecoder::take_cache_hints(std::size_t operands_without_policy) {
  static constexpr std::string_view kHints[] = {
      ".ca",
      ".cg",
      ".cs",
      ".lu",
      ".cv",
      ".wb",
      ".wt",
      ".L1::evict_normal",
      ".L1::evict_unchanged",
      ".L1::evict_first",
      ".L1::evict_last",
      ".L1::no_allocate",
      ".L2::evict_normal",
      ".L2::evict_first",
      ".L2::evict_last",
      ".L2::64B",
      ".L2::128B",
      ".L2::256B",
  };
  for (const std::string_view hint : kHints) take(hint);
  const std::size_t count = statement_->operands.size();
  if (!take(".L2::cache_hint")) {
    if (count > operands_without_policy) fail("wrong number of operands");
    return;
  }
  if (count != operands_without_policy + 1) return fail("wrong number of operands");
  source(operand(operands_without_policy), Type::kB64);
}

void FunctionDecoder::take_ordering(Instruction& out) {
  static constexpr std::pair<std::string_view, Order> kOrders[] = {
      {".weak", Order::kWeak},       {".relaxed", Order::kRelaxed}, {".volatile", Order::kVolatile},
      {".acquire", Order::kAcquire}, {".release", Order::kRelease}, {".acq_rel", Order::kAcqRel},
      {".sc", Order::kSc},           {".mmio", Order::kRelaxed},
  };
  static constexpr std::pair<std::string_view, ptx::Scope> kScopes[] = {{".cta", ptx::Scope::kCta},
                                                                        {".cluster", ptx::Scope::kCluster},
                                                                        {".gpu", ptx::Scope::kGpu},
                                                                        {".sys", ptx::Scope::kSys}};
  for (const auto& [name, order] : kOrders) {
    if (take(name)) {
      out.order = order;
      break;
    }
  }
  for (const auto& [name, scope] : kScopes) {
    if (take(name)) out.scope = scope;
  }
}

bool FunctionDecoder::modifiers_done() {
  for (std::size_t i = 0; i < statement_->modifiers.size(); ++i) {
    if ((taken_ >> i & 1) == 0) {
      fail(fmt::format("unknown modifier {}", statement_->modifiers[i]));
      return false;
    }
  }
  return !fault_;
}

Instruction FunctionDecoder::instruction(Op op, Type type) const {
  Instruction out;
  out.op = op;
  out.type = type;
  out.line = statement_->line;
  return out;
}

Instruction& FunctionDecoder::emit(const Instruction& given, std::initializer_list<Operand> operands) {
  return emit(given, std::vector<Operand>(operands));
}

Instruction& FunctionDecoder::emit(const Instruction& given, const std::vector<Operand>& operands) {
  Instruction out = given;
  if (guard_.kind != Operand::Kind::kNone) {
    out.guarded = true;
    out.guard_negated = statement_->guard_negated;
    out.guard = guard_.index;
  }
  const bool arithmetic = out.op <= Op::kCvtPack;
  const bool fetches = out.op == Op::kMov && operands[1].kind == Operand::Kind::kSpecial;
  if (!fault_ && arithmetic && !fetches && exec::lane_function(out, operands.data()) == nullptr) {
    unsupported("the instruction does not exist with these types and modifiers, or is not supported");
  }
  return builder_.emit(out, operands);
}

}  // namespace hearth::sim::ptx
