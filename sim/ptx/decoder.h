// From the syntax tree to instructions. Not an interface: shared by the decode_*.cpp files and link.cpp.
#pragma once

#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/ptx/ir.h"
#include "sim/ptx/kernel_builder.h"
#include "sim/ptx/syntax.h"

namespace hearth::sim::ptx {

// Where a device function lies in the kernel that is being built, and the local memory of its parameters and results.
struct Placed {
  const syntax::Function* function = nullptr;
  std::uint32_t entry = 0;
  std::vector<std::uint32_t> parameters, results;
};

// What names of the module mean.
struct ModuleScope {
  std::string_view text;
  std::unordered_map<std::string_view, std::int32_t> variables;  // .global, .const: index of Module::variables
  std::unordered_map<std::string_view, const syntax::Declaration*> shared;  // .shared
  std::unordered_map<std::string_view, const syntax::Function*> functions;
};

struct Form;  // how a mnemonic is decoded (decode_table.cpp)

class FunctionDecoder {
 public:
  // `placed` holds the functions decoded so far; the functions that this one calls must be among them.
  FunctionDecoder(const ModuleScope& module, const std::unordered_map<std::string_view, Placed>& placed,
                  KernelBuilder& builder)
      : module_(module), placed_(placed), builder_(builder) {}

  // Appends the code of the function, whose own place (for a device function) is in `placed`.
  Status decode(const syntax::Function& function);

 private:
  friend const Form* find_form(std::string_view mnemonic);
  using Source = syntax::Operand;
  using Handler = void (FunctionDecoder::*)(const Form&);

  struct Symbol {
    enum class Kind : std::uint8_t { kRegister, kRange, kShared, kLocal, kParameter };
    Kind kind = Kind::kRegister;
    std::uint8_t bytes = 0;                            // width of registers; 0: predicates
    Operand operand;                                   // kRegister
    std::uint64_t count = 0;                           // kRange
    std::uint32_t offset = 0;                          // kLocal, kParameter
    const syntax::Declaration* declaration = nullptr;  // all but registers
  };
  using Scope = std::unordered_map<std::string_view, Symbol>;

  struct Address {
    Operand base;
    std::int32_t displacement = 0;
    Space space = Space::kGeneric;
  };

  enum class Use { kSource, kResult, kResultOrSink };

  // --- faults: the first is kept, and whatever is decoded behind it does not matter ---
  void fail(std::string_view what, ErrorKind kind = ErrorKind::kInvalidData);
  void unsupported(std::string_view what) { fail(what, ErrorKind::kUnsupported); }

  // --- the function ---
  void declare_formals(const syntax::Function& function);
  void bind_call_parameters(const syntax::Function& function);
  void statement(const syntax::Statement& statement);
  void declaration(const syntax::Declaration& declared, std::uint32_t scope);
  void label(const syntax::Statement& statement);
  void branch_targets(const syntax::Statement& statement);
  void resolve_branches();
  std::int64_t find_label(std::string_view name, std::uint32_t scope) const;  // -1: none

  // --- names and operands ---
  const Symbol* find(std::string_view name);
  const Symbol* find_in(Scope& scope, std::string_view name);
  Operand temporary(std::uint8_t bytes) { return builder_.new_register(bytes); }
  std::optional<Operand> special(std::string_view name);
  std::optional<Operand> address_constant(std::string_view name, std::int64_t offset, std::uint8_t bytes);
  Operand immediate(const Source& source, Type type);
  Operand source(const Source& source, Type type, bool wider = false);
  Operand destination(const Source& destination, Type type, bool wider = false);
  Operand destination_or_sink(const Source& destination, Type type, bool wider = false);  // "_": kNone
  Operand predicate_source(const Source& source);
  Operand predicate_destination(const Source& destination);
  Operand member_mask(const Source& mask) { return source(mask, Type::kU32); }
  Address address(const Source& source, Space space);
  std::vector<Operand> vector_of(const Source& source, Type type, std::size_t count, bool wider, Use use);
  static void pair(const Source& source, const Source*& first, const Source*& second);  // d|p or d

  // --- the statement that is being decoded ---
  const Source& operand(std::size_t i) const;
  bool expect_operands(std::size_t least, std::size_t most);
  bool take(std::string_view modifier);
  Type take_type();
  Type need_type();
  Rounding take_rounding();
  std::optional<Space> take_space();
  void take_cache_hints(std::size_t operands_without_policy);
  void take_ordering(Instruction& instruction);
  bool modifiers_done();
  Instruction instruction(Op op, Type type = Type::kNone) const;
  Instruction& emit(const Instruction& instruction, std::initializer_list<Operand> operands);
  Instruction& emit(const Instruction& instruction, const std::vector<Operand>& operands);

  // --- handlers: alu ---
  void alu(const Form& form);
  void logic(const Form& form);
  void lop3(const Form& form);
  void prmt(const Form& form);
  void shf(const Form& form);
  void dot_product(const Form& form);
  void testp(const Form& form);
  void mov(const Form& form);
  void pack(Type type);
  void unpack(Type type);
  void cvt(const Form& form);
  void cvt_pack(const Form& form);
  void comparison_modifiers(Instruction& out);
  void setp(const Form& form);
  std::array<Operand, 2> compare_both_ways(const Instruction& compare, bool both);
  std::array<Operand, 2> compare_packed(Instruction compare);
  void write_pair(Operand p, Operand first, Operand q, Operand second);
  void set(const Form& form);
  void selp(const Form& form);
  void slct(const Form& form);
  // --- memory ---
  void ld(const Form& form);
  void st(const Form& form);
  void atom(const Form& form);
  static bool atomic_exists(AtomicOp op, Type type);
  void cvta(const Form& form);
  void isspacep(const Form& form);
  void hint(const Form& form);
  void createpolicy(const Form& form);
  void ldmatrix(const Form& form);
  void cp(const Form& form);
  void cp_async();
  void mbarrier(const Form& form);
  void fence(const Form& form);
  // --- across lanes ---
  void shfl(const Form& form);
  void vote(const Form& form);
  void match(const Form& form);
  void redux(const Form& form);
  void elect(const Form& form);
  void activemask(const Form& form);
  void mma(const Form& form);
  // --- control ---
  void bra(const Form& form);
  void brx(const Form& form);
  void call(const Form& form);
  void simple_control(const Form& form);
  void bar(const Form& form);
  void nanosleep(const Form& form);

  struct Fixup {
    std::uint32_t instruction, scope, line;
    std::string_view label;
  };

  const ModuleScope& module_;
  const std::unordered_map<std::string_view, Placed>& placed_;
  KernelBuilder& builder_;
  const syntax::Function* function_ = nullptr;
  const syntax::Statement* statement_ = nullptr;
  std::uint64_t taken_ = 0;  // bit i: modifier i has been understood
  std::vector<Scope> scopes_;
  std::vector<std::unordered_map<std::string_view, std::uint32_t>> labels_;         // per scope
  std::vector<std::unordered_map<std::string_view, std::uint32_t>> branch_tables_;  // per scope
  std::vector<Fixup> fixups_;
  std::unordered_map<const syntax::Declaration*, std::uint32_t> bound_;  // .param variables of calls: local offsets
  Operand carry_;
  Operand guard_;
  std::optional<Error> fault_;
};

// A mnemonic's handler, and for the ordinary arithmetic what its operands and modifiers are.
struct Form {
  void (FunctionDecoder::*handler)(const Form&) = nullptr;
  Op op{};
  // Result, then sources: t the instruction's type, u u32, w twice as wide when .wide, p predicate.
  const char* signature = "";
  std::uint32_t allowed = 0;  // kRounding | kFtz ...
};
enum FormModifiers : std::uint32_t {
  kRoundings = 1,
  kFtz = 2,
  kSat = 4,
  kApprox = 8,
  kHalves = 16,  // .lo .hi .wide
  kCarry = 32,   // .cc
  kCarryIn = 64,
  kNan = 128,  // .NaN, .xorsign.abs
  kRelu = 256,
  kFull = 512,
  kShiftAmount = 1024,
  kClampWrap = 2048,
  kNoFlush = 4096,  // .noftz
};
const Form* find_form(std::string_view mnemonic);

}  // namespace hearth::sim::ptx
