// Control flow, barriers, and what works across the lanes of a warp.
#include "sim/exec/mma.h"
#include "sim/ptx/decoder.h"

namespace hearth::sim::ptx {

void FunctionDecoder::bra(const Form& form) {
  Instruction out = instruction(form.op);
  out.uniform = take(".uni");
  if (!modifiers_done() || !expect_operands(1, 1)) return;
  if (operand(0).kind != Source::Kind::kName) return fail("expected a label");
  emit(out, {});
  fixups_.push_back({builder_.here() - 1, statement_->scope, statement_->line, operand(0).name});
}

void FunctionDecoder::brx(const Form& form) {
  Instruction out = instruction(form.op);
  if (!take(".idx")) return fail("unknown instruction");
  out.uniform = take(".uni");
  if (!modifiers_done() || !expect_operands(2, 2)) return;
  if (operand(1).kind != Source::Kind::kName) return fail("expected a label");
  for (std::uint32_t scope = statement_->scope;; scope = function_->scope_parents[scope]) {
    const auto found = branch_tables_[scope].find(operand(1).name);
    if (found != branch_tables_[scope].end()) {
      out.target = found->second;
      break;
    }
    if (scope == 0) return fail("unknown branch targets (they come before the branch)");
  }
  emit(out, {source(operand(0), Type::kU32)});
}

// The arguments already lie where the function expects them (bind_call_parameters).
void FunctionDecoder::call(const Form& form) {
  Instruction out = instruction(form.op);
  out.uniform = take(".uni");
  if (!modifiers_done() || !expect_operands(1, 3)) return;
  const std::size_t callee = operand(0).kind == Source::Kind::kList ? 1 : 0;
  const std::string_view name = operand(callee).name;
  if (operand(callee).kind != Source::Kind::kName || name.empty()) return fail("expected a function");
  if (name == "__assertfail") {  // a failed assertion ends the launch
    emit(instruction(Op::kTrap), {});
    return;
  }
  const auto found = placed_.find(name);
  if (found == placed_.end()) {
    if (find(name) != nullptr) return unsupported("calls through pointers are not supported");
    return module_.functions.count(name) ? unsupported(
                                               "the function has no body (printf and malloc of device code "
                                               "are not supported)")
                                         : fail("unknown function");
  }
  out.target = found->second.entry;
  emit(out, {});
}

void FunctionDecoder::simple_control(const Form& form) {
  Instruction out = instruction(form.op);
  out.uniform = form.op == Op::kRet && take(".uni");
  if (modifiers_done() && expect_operands(0, 0)) emit(out, {});
}

void FunctionDecoder::nanosleep(const Form& form) {
  const Type type = need_type();
  if (!modifiers_done() || !expect_operands(1, 1)) return;
  emit(instruction(form.op, type), {source(operand(0), Type::kU32)});
}

// bar and barrier.
void FunctionDecoder::bar(const Form& form) {
  Instruction out = instruction(form.op);
  out.aligned = form.signature[0] == 'a';
  take(".cta");
  if (out.aligned && take(".warp")) {
    if (!take(".sync")) return fail("unknown instruction");
    if (!modifiers_done() || !expect_operands(1, 1)) return;
    emit(instruction(Op::kWarpSync), {member_mask(operand(0))});
    return;
  }
  if (take(".cluster")) return unsupported("clusters are not supported");
  const bool reduces = take(".red");
  if (reduces) {
    out.barrier = take(".popc")  ? BarrierMode::kPopc
                  : take(".and") ? BarrierMode::kAnd
                  : take(".or")  ? BarrierMode::kOr
                                 : BarrierMode::kSync;
    if (out.barrier == BarrierMode::kSync) return fail("needs .popc, .and or .or");
    const Type type = need_type();
    if (type != (out.barrier == BarrierMode::kPopc ? Type::kU32 : Type::kPred)) return fail("unexpected type");
  } else if (take(".arrive")) {
    out.barrier = BarrierMode::kArrive;
  } else if (take(".sync")) {
    out.barrier = BarrierMode::kSync;
  } else {
    return fail("unknown instruction");
  }
  if (take(".aligned")) out.aligned = true;
  if (!modifiers_done()) return;
  builder_.kernel().uses_barriers = true;
  if (!reduces) {
    if (!expect_operands(out.barrier == BarrierMode::kArrive ? 2 : 1, 2)) return;
    const Operand count = statement_->operands.size() == 2 ? source(operand(1), Type::kU32) : Operand{};
    emit(out, {source(operand(0), Type::kU32), count});
    return;
  }
  if (!expect_operands(3, 4)) return;
  const bool counted = statement_->operands.size() == 4;
  const Operand d =
      out.barrier == BarrierMode::kPopc ? destination(operand(0), Type::kU32) : predicate_destination(operand(0));
  const Operand count = counted ? source(operand(2), Type::kU32) : Operand{};
  emit(out, {d, source(operand(1), Type::kU32), count, predicate_source(operand(counted ? 3 : 2))});
}

// --- across lanes ---

void FunctionDecoder::shfl(const Form& form) {
  if (!take(".sync")) return unsupported("only .sync shuffles exist on these architectures");
  Instruction out = instruction(form.op);
  if (take(".up")) {
    out.shuffle = ShuffleMode::kUp;
  } else if (take(".down")) {
    out.shuffle = ShuffleMode::kDown;
  } else if (take(".bfly")) {
    out.shuffle = ShuffleMode::kButterfly;
  } else if (take(".idx")) {
    out.shuffle = ShuffleMode::kIndex;
  } else {
    return fail("needs .up, .down, .bfly or .idx");
  }
  out.type = need_type();
  if (!modifiers_done() || !expect_operands(5, 5)) return;
  const Source* first = nullptr;
  const Source* second = nullptr;
  pair(operand(0), first, second);
  emit(out, {destination(*first, Type::kB32), second ? predicate_destination(*second) : Operand{},
             source(operand(1), Type::kB32), source(operand(2), Type::kB32), source(operand(3), Type::kB32),
             member_mask(operand(4))});
}

void FunctionDecoder::vote(const Form& form) {
  if (!take(".sync")) return unsupported("only .sync votes exist on these architectures");
  Instruction out = instruction(form.op);
  out.vote = take(".all")      ? VoteMode::kAll
             : take(".any")    ? VoteMode::kAny
             : take(".uni")    ? VoteMode::kUniform
             : take(".ballot") ? VoteMode::kBallot
                               : VoteMode::kAll;
  out.type = need_type();
  if (!modifiers_done() || !expect_operands(3, 3)) return;
  const bool ballot = out.vote == VoteMode::kBallot;
  if (out.type != (ballot ? Type::kB32 : Type::kPred)) return fail("unexpected type");
  const Operand d = ballot ? destination(operand(0), Type::kB32) : predicate_destination(operand(0));
  if (d.kind == Operand::Kind::kNone) return fail("the result needs a register");
  emit(out, {d, predicate_source(operand(1)), member_mask(operand(2))});
}

void FunctionDecoder::match(const Form& form) {
  Instruction out = instruction(form.op);
  const bool all = take(".all");
  if (!all && !take(".any")) return fail("needs .any or .all");
  if (!take(".sync")) return fail("needs .sync");
  out.match = all ? MatchMode::kAll : MatchMode::kAny;
  out.type = need_type();
  if (!modifiers_done() || !expect_operands(3, 3)) return;
  const Source* first = nullptr;
  const Source* second = nullptr;
  pair(operand(0), first, second);
  if (second && !all) return fail("only match.all has a predicate result");
  if (out.type != Type::kB32 && out.type != Type::kB64) return fail("unexpected type");
  emit(out, {destination(*first, Type::kB32), second ? predicate_destination(*second) : Operand{},
             source(operand(1), out.type), member_mask(operand(2))});
}

void FunctionDecoder::redux(const Form& form) {
  static constexpr std::pair<std::string_view, AtomicOp> kOps[] = {
      {".add", AtomicOp::kAdd}, {".min", AtomicOp::kMin}, {".max", AtomicOp::kMax},
      {".and", AtomicOp::kAnd}, {".or", AtomicOp::kOr},   {".xor", AtomicOp::kXor},
  };
  Instruction out = instruction(form.op);
  if (!take(".sync")) return fail("needs .sync");
  bool found = false;
  for (const auto& [name, op] : kOps) {
    if (!found && take(name)) {
      out.atomic = op;
      found = true;
    }
  }
  if (!found) return fail("needs an operation");
  out.type = need_type();
  if (!modifiers_done() || !expect_operands(3, 3)) return;
  const bool bitwise = out.atomic == AtomicOp::kAnd || out.atomic == AtomicOp::kOr || out.atomic == AtomicOp::kXor;
  if (bitwise ? out.type != Type::kB32 : out.type != Type::kU32 && out.type != Type::kS32) {
    return unsupported("there is no such reduction");
  }
  emit(out, {destination(operand(0), Type::kB32), source(operand(1), Type::kB32), member_mask(operand(2))});
}

void FunctionDecoder::elect(const Form& form) {
  Instruction out = instruction(form.op);
  if (!take(".sync")) return fail("needs .sync");
  if (!modifiers_done() || !expect_operands(2, 2)) return;
  const Source* first = nullptr;
  const Source* second = nullptr;
  pair(operand(0), first, second);
  if (second == nullptr) return fail("needs d|p");
  emit(out, {destination_or_sink(*first, Type::kB32), predicate_destination(*second), member_mask(operand(1))});
}

void FunctionDecoder::activemask(const Form& form) {
  const Type type = need_type();
  if (!modifiers_done() || !expect_operands(1, 1)) return;
  emit(instruction(form.op, type), {destination(operand(0), Type::kB32)});
}

namespace {

// ".m16n8k16"
bool parse_shape(std::string_view text, MmaShape& shape) {
  const auto number = [&text](char letter, std::uint8_t& value) {
    if (text.empty() || text[0] != letter) return false;
    text.remove_prefix(1);
    int parsed = 0;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9' && parsed < 256) {
      parsed = parsed * 10 + (text[0] - '0');
      text.remove_prefix(1);
    }
    value = static_cast<std::uint8_t>(parsed);
    return parsed > 0 && parsed < 256;
  };
  text.remove_prefix(1);
  return number('m', shape.m) && number('n', shape.n) && number('k', shape.k) && text.empty();
}

}  // namespace

void FunctionDecoder::mma(const Form& form) {
  Instruction out = instruction(form.op);
  if (!take(".sync") || !take(".aligned")) return fail("needs .sync.aligned");
  MmaShape shape;
  for (const std::string_view modifier : statement_->modifiers) {
    if (shape.m == 0 && modifier.substr(0, 2) == ".m") {
      take(modifier);
      if (!parse_shape(modifier, shape)) return fail("malformed shape");
    }
  }
  if (!take(".row") || !take(".col")) return unsupported("only mma of a by rows and b by columns is supported");
  shape.saturate = take(".satfinite");
  shape.d = need_type();
  shape.a = need_type();
  shape.b = need_type();
  shape.c = need_type();
  if (!modifiers_done() || !expect_operands(4, 4)) return;
  if (exec::mma_function(shape) == nullptr) return unsupported("this shape and these types of mma are not supported");
  const std::array<std::uint8_t, 4> counts = exec::mma_registers(shape);
  std::vector<Operand> operands;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto group = vector_of(operand(i), Type::kB32, counts[i], false, i == 0 ? Use::kResult : Use::kSource);
    operands.insert(operands.end(), group.begin(), group.end());
  }
  out.group = counts;
  auto& shapes = builder_.kernel().mma_shapes;
  std::size_t index = 0;
  while (index < shapes.size() && !(shapes[index] == shape)) ++index;
  if (index == 256) return unsupported("too many different shapes of mma");
  if (index == shapes.size()) shapes.push_back(shape);
  out.mma = static_cast<std::uint8_t>(index);
  emit(out, operands);
}

}  // namespace hearth::sim::ptx
