// Memory: loads, stores, atomics, address conversions, matrix loads, asynchronous copies, barriers in memory.
#include "sim/ptx/decoder.h"

namespace hearth::sim::ptx {
namespace {

std::size_t vector_count(bool v2, bool v4, bool v8) {
  return v8 ? 8 : v4 ? 4 : v2 ? 2 : 1;
}

// Types of one element that ld and st move; their registers may be wider, save those of floating-point types.
bool can_be_moved(Type type) {
  return (type >= Type::kB8 && type <= Type::kS64 && type != Type::kB128) || type == Type::kF16 ||
         type == Type::kBf16 || type == Type::kF32 || type == Type::kF64 || type == Type::kF16x2 ||
         type == Type::kBf16x2;
}
bool wider_registers(Type type) {
  return type >= Type::kB8 && type <= Type::kS64;
}

}  // namespace

void FunctionDecoder::ld(const Form& form) {
  Instruction out = instruction(form.op);
  take_ordering(out);
  const Space space = take_space().value_or(Space::kGeneric);
  out.non_coherent = take(".nc");
  take_cache_hints(2);
  take(".unified");
  const bool v2 = take(".v2"), v4 = take(".v4"), v8 = take(".v8");
  out.vector = static_cast<std::uint8_t>(vector_count(v2, v4, v8));
  out.type = need_type();
  if (!modifiers_done() || !expect_operands(2, 3)) return;
  if (!can_be_moved(out.type)) return unsupported("loads of this type are not supported");
  if (out.vector * bytes_of(out.type) > 32) return fail("the vector is too long");
  std::vector<Operand> operands =
      vector_of(operand(0), out.type, out.vector, wider_registers(out.type), Use::kResultOrSink);
  const Address from = address(operand(1), space);
  out.space = from.space;
  out.displacement = from.displacement;
  operands.push_back(from.base);
  emit(out, operands);
}

void FunctionDecoder::st(const Form& form) {
  Instruction out = instruction(form.op);
  take_ordering(out);
  const Space space = take_space().value_or(Space::kGeneric);
  take_cache_hints(2);
  const bool v2 = take(".v2"), v4 = take(".v4"), v8 = take(".v8");
  out.vector = static_cast<std::uint8_t>(vector_count(v2, v4, v8));
  out.type = need_type();
  if (!modifiers_done() || !expect_operands(2, 3)) return;
  if (!can_be_moved(out.type)) return unsupported("stores of this type are not supported");
  if (out.vector * bytes_of(out.type) > 32) return fail("the vector is too long");
  const Address to = address(operand(0), space);
  out.space = to.space;
  out.displacement = to.displacement;
  if (out.space == Space::kConst || out.space == Space::kParam) return fail("this memory cannot be written");
  std::vector<Operand> operands = vector_of(operand(1), out.type, out.vector, wider_registers(out.type), Use::kSource);
  operands.insert(operands.begin(), to.base);
  emit(out, operands);
}

// atom and red.
void FunctionDecoder::atom(const Form& form) {
  static constexpr std::pair<std::string_view, AtomicOp> kOps[] = {
      {".add", AtomicOp::kAdd}, {".min", AtomicOp::kMin}, {".max", AtomicOp::kMax},   {".and", AtomicOp::kAnd},
      {".or", AtomicOp::kOr},   {".xor", AtomicOp::kXor}, {".exch", AtomicOp::kExch}, {".cas", AtomicOp::kCas},
      {".inc", AtomicOp::kInc}, {".dec", AtomicOp::kDec},
  };
  const bool reduction = form.signature[0] == 'r';
  Instruction out = instruction(form.op);
  out.order = Order::kRelaxed;
  take_ordering(out);
  out.space = take_space().value_or(Space::kGeneric);
  bool found = false;
  for (const auto& [name, op] : kOps) {
    if (!found && take(name)) {
      out.atomic = op;
      found = true;
    }
  }
  if (!found) return fail("needs an operation");
  take(".noftz");
  out.type = need_type();
  const std::size_t count = (reduction ? 2 : 3) + (out.atomic == AtomicOp::kCas ? 1 : 0);
  take_cache_hints(count);
  if (!modifiers_done() || !expect_operands(count, count + 1)) return;
  if (!atomic_exists(out.atomic, out.type)) return unsupported("there is no such atomic operation");
  if (out.space != Space::kGeneric && out.space != Space::kGlobal && out.space != Space::kShared) {
    return fail("atomics work on global and shared memory");
  }
  const std::size_t at = reduction ? 0 : 1;
  const Address where = address(operand(at), out.space);
  out.displacement = where.displacement;
  std::vector<Operand> operands{reduction ? Operand{} : destination_or_sink(operand(0), out.type), where.base,
                                source(operand(at + 1), out.type)};
  if (out.atomic == AtomicOp::kCas) operands.push_back(source(operand(at + 2), out.type));
  emit(out, operands);
}

bool FunctionDecoder::atomic_exists(AtomicOp op, Type type) {
  const bool bits = type == Type::kB32 || type == Type::kB64;
  const bool integer = type == Type::kU32 || type == Type::kS32 || type == Type::kU64 || type == Type::kS64;
  switch (op) {
    case AtomicOp::kAdd:
      return (integer && type != Type::kS64) || type == Type::kF32 || type == Type::kF64 || type == Type::kF16 ||
             type == Type::kF16x2 || type == Type::kBf16 || type == Type::kBf16x2;
    case AtomicOp::kMin:
    case AtomicOp::kMax:
      return integer;
    case AtomicOp::kAnd:
    case AtomicOp::kOr:
    case AtomicOp::kXor:
      return bits;
    case AtomicOp::kExch:
      return bits;
    case AtomicOp::kCas:
      return bits || type == Type::kB16;
    case AtomicOp::kInc:
    case AtomicOp::kDec:
      return type == Type::kU32;
  }
  return false;
}

void FunctionDecoder::cvta(const Form& form) {
  Instruction out = instruction(form.op);
  out.to_space = take(".to");
  const auto space = take_space();
  if (!space || *space == Space::kGeneric) return fail("needs a state space");
  out.space = *space;
  out.type = need_type();
  if (!modifiers_done() || !expect_operands(2, 2)) return;
  if (out.type != Type::kU64) return unsupported("only 64-bit generic addresses are supported");
  // The parameters of device functions are local memory.
  if (out.space == Space::kParam && !function_->entry) out.space = Space::kLocal;
  emit(out, {destination(operand(0), out.type), source(operand(1), out.type)});
}

void FunctionDecoder::isspacep(const Form& form) {
  Instruction out = instruction(form.op);
  const auto space = take_space();
  if (!space || *space == Space::kGeneric) return fail("needs a state space");
  out.space = *space;
  if (!modifiers_done() || !expect_operands(2, 2)) return;
  const Operand d = predicate_destination(operand(0));
  if (d.kind == Operand::Kind::kNone) return fail("the result needs a register");
  emit(out, {d, source(operand(1), Type::kU64)});
}

// prefetch, prefetchu, discard and applypriority have no effect on what memory holds.
void FunctionDecoder::hint(const Form&) {
  take_space();
  if (!take(".L1") && !take(".L2") && !take(".L2::evict_last") && !take(".L2::evict_normal")) {
    return fail("needs a cache level");
  }
  if (!modifiers_done() || !expect_operands(1, 2)) return;
  address(operand(0), Space::kGeneric);
}

// The policy is opaque and only steers caches: any value will do.
void FunctionDecoder::createpolicy(const Form&) {
  static constexpr std::string_view kKnown[] = {
      ".fractional",          ".range",  ".L2::evict_last",     ".L2::evict_normal", ".L2::evict_first",
      ".L2::evict_unchanged", ".global", ".L2::evict_unchanged"};
  for (const std::string_view modifier : kKnown) take(modifier);
  need_type();
  if (!modifiers_done() || !expect_operands(1, 4)) return;
  emit(instruction(Op::kMov, Type::kB64), {destination(operand(0), Type::kB64), builder_.constant(0, 8)});
}

// ldmatrix and stmatrix of 8x8 matrices of 16 bits.
void FunctionDecoder::ldmatrix(const Form& form) {
  Instruction out = instruction(form.op, Type::kB16);
  if (!take(".sync") || !take(".aligned")) return fail("needs .sync.aligned");
  if (!take(".m8n8")) return unsupported("only matrices of shape m8n8 are supported");
  const bool x1 = take(".x1"), x2 = take(".x2"), x4 = take(".x4");
  if (!x1 && !x2 && !x4) return fail("needs .x1, .x2 or .x4");
  out.vector = x4 ? 4 : x2 ? 2 : 1;
  out.transpose = take(".trans");
  out.space = take_space().value_or(Space::kGeneric);
  if (need_type() != Type::kB16) return unsupported("only .b16 matrices are supported");
  if (!modifiers_done() || !expect_operands(2, 2)) return;
  if (out.space != Space::kShared && out.space != Space::kGeneric) return fail("matrices lie in shared memory");
  const bool load = form.op == Op::kLdmatrix;
  const Address where = address(operand(load ? 1 : 0), out.space);
  out.displacement = where.displacement;
  std::vector<Operand> operands =
      vector_of(operand(load ? 0 : 1), Type::kB32, out.vector, false, load ? Use::kResult : Use::kSource);
  operands.insert(load ? operands.end() : operands.begin(), where.base);
  emit(out, operands);
}

void FunctionDecoder::cp(const Form&) {
  if (!take(".async")) return fail("unknown instruction");
  if (take(".bulk")) return unsupported("bulk copies are not supported");
  if (take(".commit_group")) {
    if (modifiers_done() && expect_operands(0, 0)) emit(instruction(Op::kCpAsyncCommit), {});
    return;
  }
  if (take(".wait_all")) {
    if (modifiers_done() && expect_operands(0, 0)) emit(instruction(Op::kCpAsyncWaitAll), {});
    return;
  }
  if (take(".wait_group")) {
    if (!modifiers_done() || !expect_operands(1, 1)) return;
    if (operand(0).kind != Source::Kind::kInteger || operand(0).bits > 0xffff) return fail("expected a small constant");
    Instruction out = instruction(Op::kCpAsyncWaitGroup);
    out.count = static_cast<std::uint16_t>(operand(0).bits);
    emit(out, {});
    return;
  }
  if (take(".mbarrier")) {
    Instruction out = instruction(Op::kCpAsyncMbarrier, Type::kB64);
    if (!take(".arrive")) return fail("unknown instruction");
    out.part = take(".noinc") ? 1 : 0;
    out.space = take_space().value_or(Space::kGeneric);
    need_type();
    if (!modifiers_done() || !expect_operands(1, 1)) return;
    const Address where = address(operand(0), out.space);
    out.displacement = where.displacement;
    emit(out, {where.base});
    return;
  }
  cp_async();
}

void FunctionDecoder::cp_async() {
  Instruction out = instruction(Op::kCpAsync);
  const bool bypass = statement_->modifiers.size() > 1 && statement_->modifiers[1] == ".cg";
  if (!take(".ca") && !take(".cg")) return fail("needs .ca or .cg");
  const bool to_shared = take(".shared") || take(".shared::cta") || take(".shared::cluster");
  if (!to_shared || !take(".global")) return fail("copies from .global to .shared");
  out.space = Space::kGlobal;
  take(".L2::64B") || take(".L2::128B") || take(".L2::256B");
  const bool policy = take(".L2::cache_hint");
  const std::size_t count = statement_->operands.size() - (policy ? 1 : 0);
  if (!modifiers_done()) return;
  if (statement_->operands.size() < 3u + policy || count > 4) return fail("wrong number of operands");
  const Source& bytes = operand(2);
  if (bytes.kind != Source::Kind::kInteger || (bytes.bits != 16 && (bypass || (bytes.bits != 4 && bytes.bits != 8)))) {
    return fail("the size is 4, 8 or 16, and 16 with .cg");
  }
  out.bytes = static_cast<std::uint8_t>(bytes.bits);
  const Address to = address(operand(0), Space::kShared);
  const Address from = address(operand(1), Space::kGlobal);
  out.displacement = to.displacement;
  out.source_displacement = from.displacement;
  Operand size;
  if (count == 4) {
    const Source& given = operand(3);
    const Symbol* symbol = given.kind == Source::Kind::kName ? find(given.name) : nullptr;
    if (symbol && symbol->kind == Symbol::Kind::kRegister && symbol->bytes == 0) {
      // ignore-src: the predicate makes the source size zero.
      const Operand ignored = predicate_source(given);
      size = temporary(4);
      emit(instruction(Op::kSelp, Type::kB32),
           {size, builder_.constant(0, 4), builder_.constant(out.bytes, 4), ignored});
    } else {
      size = source(given, Type::kU32);
    }
  }
  emit(out, {to.base, from.base, size});
}

void FunctionDecoder::mbarrier(const Form&) {
  const bool init = take(".init"), inval = !init && take(".inval");
  const bool arrive = !init && !inval && take(".arrive");
  const bool test = !init && !inval && !arrive && (take(".test_wait") || take(".try_wait"));
  if (!init && !inval && !arrive && !test) return unsupported("this form of mbarrier is not supported");
  Instruction out = instruction(init     ? Op::kMbarrierInit
                                : inval  ? Op::kMbarrierInval
                                : arrive ? Op::kMbarrierArrive
                                         : Op::kMbarrierTest);
  if (arrive) out.expect = take(".expect_tx");
  if (test) out.part = take(".parity") ? 1 : 0;
  take_ordering(out);
  out.space = take_space().value_or(Space::kGeneric);
  out.type = need_type();
  if (!modifiers_done()) return;
  if (out.type != Type::kB64) return fail("an mbarrier has type .b64");
  if (init) {
    if (!expect_operands(2, 2)) return;
    const Address where = address(operand(0), out.space);
    out.displacement = where.displacement;
    emit(out, {where.base, source(operand(1), Type::kU32)});
  } else if (inval) {
    if (!expect_operands(1, 1)) return;
    const Address where = address(operand(0), out.space);
    out.displacement = where.displacement;
    emit(out, {where.base});
  } else if (arrive) {
    if (!expect_operands(out.expect ? 3 : 2, 3)) return;
    const Address where = address(operand(1), out.space);
    out.displacement = where.displacement;
    const Operand count = statement_->operands.size() == 3 ? source(operand(2), Type::kU32) : Operand{};
    emit(out, {destination_or_sink(operand(0), Type::kB64), where.base, count});
  } else {
    if (!expect_operands(3, 4)) return;
    const Address where = address(operand(1), out.space);
    out.displacement = where.displacement;
    const Operand d = predicate_destination(operand(0));
    if (d.kind == Operand::Kind::kNone) return fail("the result needs a register");
    if (statement_->operands.size() == 4) source(operand(3), Type::kU32);  // a hint of how long to wait
    emit(out, {d, where.base, source(operand(2), out.part ? Type::kU32 : Type::kB64)});
  }
}

// fence and membar order everything here: one kind is enough.
void FunctionDecoder::fence(const Form& form) {
  Instruction out = instruction(form.op);
  out.order = Order::kAcqRel;
  take_ordering(out);
  static constexpr std::pair<std::string_view, ptx::Scope> kLevels[] = {
      {".cta", ptx::Scope::kCta}, {".gl", ptx::Scope::kGpu}, {".sys", ptx::Scope::kSys}};
  for (const auto& [name, scope] : kLevels) {
    if (take(name)) out.scope = scope;
  }
  static constexpr std::string_view kProxies[] = {".proxy", ".async", ".alias", ".async.global", ".mbarrier_init"};
  for (const std::string_view proxy : kProxies) take(proxy);
  take_space();
  if (!modifiers_done() || !expect_operands(0, 0)) return;
  emit(out, {});
}

}  // namespace hearth::sim::ptx
