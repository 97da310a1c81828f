// Arithmetic, logic, comparison, conversion and moves.
#include <array>

#include "sim/ptx/decoder.h"

namespace hearth::sim::ptx {
namespace {

Type doubled(Type type) {
  switch (type) {
    case Type::kU16:
      return Type::kU32;
    case Type::kS16:
      return Type::kS32;
    case Type::kU32:
      return Type::kU64;
    case Type::kS32:
      return Type::kS64;
    default:
      return Type::kNone;
  }
}

// The widths that logic, moves and selections distinguish.
Type bits_of(Type type) {
  switch (bytes_of(type)) {
    case 2:
      return Type::kB16;
    case 4:
      return Type::kB32;
    case 8:
      return Type::kB64;
    default:
      return type == Type::kPred ? Type::kPred : Type::kNone;
  }
}

}  // namespace

// The ordinary instructions: everything about them is in the table.
void FunctionDecoder::alu(const Form& form) {
  Instruction out = instruction(form.op);
  const auto allows = [&](std::uint32_t what) { return (form.allowed & what) != 0; };
  if (allows(kRoundings)) out.rounding = take_rounding();
  if (allows(kFtz)) out.flush_subnormals = take(".ftz");
  if (allows(kSat)) out.saturate = take(".sat");
  if (allows(kApprox)) out.approximate = take(".approx");
  if (allows(kFull) && take(".full")) out.approximate = true;
  if (allows(kRelu)) out.relu = take(".relu");
  if (allows(kNan)) {
    out.propagate_nan = take(".NaN");
    out.xor_sign = take(".xorsign");
    if (out.xor_sign && !take(".abs")) fail(".xorsign needs .abs");
  }
  if (allows(kHalves)) {
    out.half = take(".lo") ? Part::kLow : take(".hi") ? Part::kHigh : take(".wide") ? Part::kWide : Part::kNone;
  }
  if (allows(kCarry)) out.carry_out = take(".cc");
  if (allows(kCarryIn)) out.carry_in = true;
  if (allows(kShiftAmount)) out.part = take(".shiftamt") ? 1 : 0;
  if (allows(kClampWrap)) out.shift = take(".wrap") ? ShiftMode::kRightWrap : ShiftMode::kRightClamp;
  if (allows(kClampWrap) && out.shift == ShiftMode::kRightClamp && !take(".clamp")) fail("needs .clamp or .wrap");
  if (allows(kNoFlush)) take(".noftz");
  out.type = need_type();
  const Type wide = out.half == Part::kWide ? doubled(out.type) : out.type;
  if (!modifiers_done()) return;
  if (wide == Type::kNone) return fail("there is no .wide of this type");

  const std::string_view signature = form.signature;
  if (!expect_operands(signature.size(), signature.size())) return;
  std::vector<Operand> operands;
  for (std::size_t i = 0; i < signature.size(); ++i) {
    if (signature[i] == 'p') {
      operands.push_back(i == 0 ? predicate_destination(operand(i)) : predicate_source(operand(i)));
      continue;
    }
    const Type type = signature[i] == 'u' ? Type::kU32 : signature[i] == 'w' ? wide : out.type;
    operands.push_back(i == 0 ? destination(operand(i), type) : source(operand(i), type));
  }
  if (out.carry_in || out.carry_out) {
    operands.resize(5);
    operands[4] = carry_;
    operands.resize(5);
  }
  if (form.op == Op::kMad && (out.type == Type::kF32 || out.type == Type::kF64)) out.op = Op::kFma;
  emit(out, operands);
}

// and, or, xor, not, cnot: on bits of any width and on predicates.
void FunctionDecoder::logic(const Form& form) {
  const Instruction out = instruction(form.op, need_type());
  const bool unary = std::string_view(form.signature).size() == 2;
  if (!modifiers_done() || !expect_operands(unary ? 2 : 3, unary ? 2 : 3)) return;
  if (out.type == Type::kPred) {
    const Operand d = predicate_destination(operand(0));
    const Operand a = predicate_source(operand(1));
    if (d.kind == Operand::Kind::kNone) return fail("the result needs a register");
    if (unary) {
      emit(out, {d, a});
    } else {
      emit(out, {d, a, predicate_source(operand(2))});
    }
    return;
  }
  const Operand d = destination(operand(0), out.type);
  const Operand a = source(operand(1), out.type);
  if (unary) {
    emit(out, {d, a});
  } else {
    emit(out, {d, a, source(operand(2), out.type)});
  }
}

void FunctionDecoder::lop3(const Form& form) {
  Instruction out = instruction(form.op, need_type());
  if (!modifiers_done() || !expect_operands(5, 5)) return;
  if (operand(4).kind != Source::Kind::kInteger || operand(4).bits > 255) {
    return fail("the look-up table is a constant of 8 bits");
  }
  out.part = static_cast<std::uint8_t>(operand(4).bits);
  emit(out, {destination(operand(0), out.type), source(operand(1), out.type), source(operand(2), out.type),
             source(operand(3), out.type)});
}

void FunctionDecoder::prmt(const Form& form) {
  static constexpr std::pair<std::string_view, PermuteMode> kModes[] = {
      {".f4e", PermuteMode::kF4e}, {".b4e", PermuteMode::kB4e}, {".rc8", PermuteMode::kRc8},
      {".ecl", PermuteMode::kEcl}, {".ecr", PermuteMode::kEcr}, {".rc16", PermuteMode::kRc16},
  };
  Instruction out = instruction(form.op, need_type());
  out.permute = PermuteMode::kIndex;
  for (const auto& [name, mode] : kModes) {
    if (take(name)) out.permute = mode;
  }
  if (!modifiers_done() || !expect_operands(4, 4)) return;
  emit(out, {destination(operand(0), Type::kB32), source(operand(1), Type::kB32), source(operand(2), Type::kB32),
             source(operand(3), Type::kB32)});
}

void FunctionDecoder::shf(const Form& form) {
  const bool left = take(".l");
  if (!left && !take(".r")) return fail("needs .l or .r");
  const bool wrap = take(".wrap");
  if (!wrap && !take(".clamp")) return fail("needs .clamp or .wrap");
  Instruction out = instruction(form.op, need_type());
  out.shift = left ? (wrap ? ShiftMode::kLeftWrap : ShiftMode::kLeftClamp)
                   : (wrap ? ShiftMode::kRightWrap : ShiftMode::kRightClamp);
  if (!modifiers_done() || !expect_operands(4, 4)) return;
  emit(out, {destination(operand(0), Type::kB32), source(operand(1), Type::kB32), source(operand(2), Type::kB32),
             source(operand(3), Type::kU32)});
}

void FunctionDecoder::dot_product(const Form& form) {
  Instruction out = instruction(form.op);
  if (form.op == Op::kDp2a) {
    out.half = take(".lo") ? Part::kLow : Part::kHigh;
    if (out.half == Part::kHigh && !take(".hi")) return fail("needs .lo or .hi");
  }
  out.type = need_type();
  out.source = need_type();
  if (!modifiers_done() || !expect_operands(4, 4)) return;
  emit(out, {destination(operand(0), Type::kB32), source(operand(1), Type::kB32), source(operand(2), Type::kB32),
             source(operand(3), Type::kB32)});
}

void FunctionDecoder::testp(const Form& form) {
  static constexpr std::pair<std::string_view, TestProperty> kProperties[] = {
      {".finite", TestProperty::kFinite}, {".infinite", TestProperty::kInfinite},
      {".number", TestProperty::kNumber}, {".notanumber", TestProperty::kNotANumber},
      {".normal", TestProperty::kNormal}, {".subnormal", TestProperty::kSubnormal},
  };
  Instruction out = instruction(form.op);
  bool found = false;
  for (const auto& [name, property] : kProperties) {
    if (!found && take(name)) {
      out.testp = property;
      found = true;
    }
  }
  if (!found) return fail("needs a property");
  out.type = need_type();
  if (!modifiers_done() || !expect_operands(2, 2)) return;
  const Operand d = predicate_destination(operand(0));
  if (d.kind == Operand::Kind::kNone) return fail("the result needs a register");
  emit(out, {d, source(operand(1), out.type)});
}

// --- moves ---

void FunctionDecoder::mov(const Form& form) {
  const Type type = need_type();
  if (!modifiers_done() || !expect_operands(2, 2)) return;
  if (operand(0).kind == Source::Kind::kVector) return unpack(type);
  if (operand(1).kind == Source::Kind::kVector) return pack(type);
  Instruction out = instruction(form.op, bits_of(type));
  if (out.type == Type::kNone) return fail("there is no mov of this type");
  if (out.type == Type::kPred) {
    const Operand d = predicate_destination(operand(0));
    if (d.kind == Operand::Kind::kNone) return fail("the result needs a register");
    emit(out, {d, predicate_source(operand(1))});
    return;
  }
  const Operand d = destination(operand(0), type);
  const bool is_register = operand(1).kind == Source::Kind::kName && find(operand(1).name) != nullptr;
  if (!is_register && operand(1).kind == Source::Kind::kName) {
    if (const auto from = special(operand(1).name); from && from->kind == Operand::Kind::kSpecial) {
      if (from->bytes != bytes_of(type)) return fail("the special register's width does not fit the type");
      emit(out, {d, *from});
      return;
    }
  }
  emit(out, {d, source(operand(1), type)});
}

void FunctionDecoder::pack(Type type) {
  const std::size_t count = operand(1).elements.size();
  const int element_bytes = count == 2 || count == 4 ? bytes_of(type) / static_cast<int>(count) : 0;
  if (element_bytes != 2 && element_bytes != 4) return unsupported("mov of such a vector is not supported");
  const Type element = element_bytes == 2 ? Type::kB16 : Type::kB32;
  std::vector<Operand> operands{destination(operand(0), type)};
  for (const Source& one : operand(1).elements) operands.push_back(source(one, element));
  emit(instruction(Op::kPack, bits_of(type)), operands);
}

void FunctionDecoder::unpack(Type type) {
  const std::size_t count = operand(0).elements.size();
  const int element_bytes = count == 2 || count == 4 ? bytes_of(type) / static_cast<int>(count) : 0;
  if (element_bytes != 2 && element_bytes != 4) return unsupported("mov of such a vector is not supported");
  const Operand a = source(operand(1), type);
  for (std::size_t i = 0; i < count; ++i) {
    Instruction out = instruction(Op::kExtract, element_bytes == 2 ? Type::kB16 : Type::kB32);
    out.source = bits_of(type);
    out.part = static_cast<std::uint8_t>(i);
    const Operand d = destination_or_sink(operand(0).elements[i], out.type);
    if (d.kind != Operand::Kind::kNone) emit(out, {d, a});
  }
}

// --- conversions ---

void FunctionDecoder::cvt(const Form& form) {
  static constexpr std::pair<std::string_view, Rounding> kToInteger[] = {
      {".rni", Rounding::kNearest}, {".rzi", Rounding::kZero}, {".rmi", Rounding::kDown}, {".rpi", Rounding::kUp}};
  if (take(".pack")) return cvt_pack(form);
  Instruction out = instruction(form.op);
  out.rounding = take_rounding();
  for (const auto& [name, rounding] : kToInteger) {
    if (out.rounding == Rounding::kNone && take(name)) {
      out.rounding = rounding;
      out.part = 1;  // to an integral value, also where the result is a float
    }
  }
  out.flush_subnormals = take(".ftz");
  out.saturate = take(".sat");
  if (take(".satfinite")) out.saturate = true;
  out.relu = take(".relu");
  out.type = need_type();
  out.source = need_type();
  if (!modifiers_done() || !expect_operands(2, 3)) return;
  const Type d_type = out.type;
  if (statement_->operands.size() == 3) {
    out.op = Op::kCvtPack;
    emit(out, {destination(operand(0), d_type), source(operand(1), out.source), source(operand(2), out.source)});
    return;
  }
  // Integers may be converted to and from wider registers; floating-point registers have the type's width.
  const auto narrow = [](Type type) { return type >= Type::kU8 && type <= Type::kS64; };
  emit(out, {destination(operand(0), d_type, narrow(d_type)), source(operand(1), out.source, narrow(out.source))});
}

void FunctionDecoder::cvt_pack(const Form&) {
  Instruction out = instruction(Op::kCvtPack);
  out.saturate = take(".sat");
  out.type = need_type();
  out.source = need_type();
  if (!modifiers_done() || !expect_operands(3, 3)) return;
  emit(out, {destination(operand(0), Type::kB32), source(operand(1), out.source), source(operand(2), out.source)});
}

// --- comparisons ---

void FunctionDecoder::comparison_modifiers(Instruction& out) {
  static constexpr std::pair<std::string_view, Compare> kCompares[] = {
      {".eq", Compare::kEq},   {".ne", Compare::kNe},   {".lt", Compare::kLt},   {".le", Compare::kLe},
      {".gt", Compare::kGt},   {".ge", Compare::kGe},   {".lo", Compare::kLt},   {".ls", Compare::kLe},
      {".hi", Compare::kGt},   {".hs", Compare::kGe},   {".equ", Compare::kEqu}, {".neu", Compare::kNeu},
      {".ltu", Compare::kLtu}, {".leu", Compare::kLeu}, {".gtu", Compare::kGtu}, {".geu", Compare::kGeu},
      {".num", Compare::kNum}, {".nan", Compare::kNan},
  };
  bool found = false;
  for (const auto& [name, compare] : kCompares) {
    if (!found && take(name)) {
      out.compare = compare;
      found = true;
    }
  }
  if (!found) fail("needs a comparison");
  out.flush_subnormals = take(".ftz");
}

// setp p|q, a, b, c: p is the comparison combined with c, q its opposite combined with c.
void FunctionDecoder::setp(const Form& form) {
  Instruction out = instruction(form.op);
  comparison_modifiers(out);
  const bool conjunction = take(".and"), disjunction = take(".or"), exclusive = take(".xor");
  const bool combined = conjunction || disjunction || exclusive;
  out.type = need_type();
  const std::size_t count = combined ? 4 : 3;
  if (!modifiers_done() || !expect_operands(count, count)) return;
  const Source* first = nullptr;
  const Source* second = nullptr;
  pair(operand(0), first, second);
  const Operand p = predicate_destination(*first);
  const bool packed = out.type == Type::kF16x2 || out.type == Type::kBf16x2;
  if (packed != (second != nullptr) && packed) return fail("a packed comparison has two results p|q");
  if (!combined && second == nullptr) {
    if (p.kind == Operand::Kind::kNone) return fail("the result needs a register");
    emit(out, {p, source(operand(1), out.type), source(operand(2), out.type)});
    return;
  }
  const Operand q = second ? predicate_destination(*second) : Operand{};
  std::array<Operand, 2> results = packed ? compare_packed(out) : compare_both_ways(out, second != nullptr);
  if (combined) {
    const Op op = conjunction ? Op::kAnd : disjunction ? Op::kOr : Op::kXor;
    const Operand c = predicate_source(operand(3));
    for (const Operand& one : results) {
      if (one.kind == Operand::Kind::kPredicate) emit(instruction(op, Type::kPred), {one, one, c});
    }
  }
  write_pair(p, results[0], q, results[1]);
}

std::array<Operand, 2> FunctionDecoder::compare_both_ways(const Instruction& compare, bool both) {
  std::array<Operand, 2> results{temporary(0), {}};
  emit(compare, {results[0], source(operand(1), compare.type), source(operand(2), compare.type)});
  if (both) {
    results[1] = temporary(0);
    emit(instruction(Op::kNot, Type::kPred), {results[1], results[0]});
  }
  return results;
}

std::array<Operand, 2> FunctionDecoder::compare_packed(Instruction compare) {
  const Operand sources[2] = {source(operand(1), compare.type), source(operand(2), compare.type)};
  const std::array<Operand, 2> results{temporary(0), temporary(0)};
  compare.type = compare.type == Type::kF16x2 ? Type::kF16 : Type::kBf16;
  for (std::uint8_t i = 0; i < 2; ++i) {
    std::vector<Operand> operands{results[i]};
    for (const Operand& packed : sources) {
      Instruction extract = instruction(Op::kExtract, Type::kB16);
      extract.source = Type::kB32;
      extract.part = i;
      operands.push_back(temporary(2));
      emit(extract, {operands.back(), packed});
    }
    emit(compare, operands);
  }
  return results;
}

// p = first, q = second; the predicate that guards the instruction is written last.
void FunctionDecoder::write_pair(Operand p, Operand first, Operand q, Operand second) {
  const Instruction move = instruction(Op::kMov, Type::kPred);
  const bool p_is_guard = p.kind != Operand::Kind::kNone && p.index == guard_.index;
  if (!p_is_guard && p.kind != Operand::Kind::kNone) emit(move, {p, first});
  if (q.kind != Operand::Kind::kNone) emit(move, {q, second});
  if (p_is_guard) emit(move, {p, first});
}

void FunctionDecoder::set(const Form& form) {
  Instruction out = instruction(form.op);
  comparison_modifiers(out);
  out.type = need_type();
  out.source = need_type();
  if (!modifiers_done() || !expect_operands(3, 3)) return;
  emit(out, {destination(operand(0), out.type), source(operand(1), out.source), source(operand(2), out.source)});
}

void FunctionDecoder::selp(const Form& form) {
  const Type type = need_type();
  if (!modifiers_done() || !expect_operands(4, 4)) return;
  emit(instruction(form.op, bits_of(type)), {destination(operand(0), type), source(operand(1), type),
                                             source(operand(2), type), predicate_source(operand(3))});
}

void FunctionDecoder::slct(const Form& form) {
  Instruction out = instruction(form.op);
  out.flush_subnormals = take(".ftz");
  const Type type = need_type();
  out.type = bits_of(type);
  out.source = need_type();
  if (!modifiers_done() || !expect_operands(4, 4)) return;
  emit(out, {destination(operand(0), type), source(operand(1), type), source(operand(2), type),
             source(operand(3), out.source)});
}

}  // namespace hearth::sim::ptx
