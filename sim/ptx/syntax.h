// The syntax tree of a PTX module: names are views into the text, nothing is resolved yet.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/ptx/ir.h"
#include "sim/ptx/lexer.h"

namespace hearth::sim::ptx::syntax {

struct Operand {
  enum class Kind : std::uint8_t {
    kName,     // register, variable, label or function; with `offset`: name+4
    kInteger,  // bits (two's complement)
    kFloat32,
    kFloat64,
    kAddress,  // [name+offset], or [offset] when name is empty
    kVector,   // {a, b}: elements
    kPair,     // p|q: elements
    kList,     // (a, b) of calls: elements
  };
  Kind kind = Kind::kName;
  bool negated = false;  // !p
  std::string_view name;
  std::uint64_t bits = 0;
  std::int64_t offset = 0;
  std::vector<Operand> elements;
};

// One declared variable, parameter or (range of) register.
struct Declaration {
  enum class Kind : std::uint8_t { kRegister, kGlobal, kConst, kShared, kLocal, kParam };
  struct Value {  // one element of an initialiser
    Operand::Kind kind = Operand::Kind::kInteger;
    std::uint64_t bits = 0;
    std::string_view name;  // address of a variable, plus bits
  };
  Kind kind = Kind::kRegister;
  Type type = Type::kNone;
  std::uint32_t line = 0;
  std::uint32_t alignment = 0;  // 0: natural
  std::uint64_t elements = 1;   // of arrays and vectors in all
  std::uint64_t registers = 0;  // %r<n>: the name is the prefix; 0: a single register
  bool unsized = false;         // name[]: extern shared arrays
  bool external = false;
  bool initialised = false;
  std::string_view name;
  std::vector<Value> values;
};

struct Statement {
  enum class Kind : std::uint8_t { kInstruction, kLabel, kDeclaration, kBranchTargets };
  Kind kind = Kind::kInstruction;
  std::uint32_t line = 0;
  std::uint32_t scope = 0;  // index into Function::scope_parents
  bool guarded = false;
  bool guard_negated = false;
  std::string_view guard;
  std::string_view name;                    // mnemonic without modifiers; label
  std::vector<std::string_view> modifiers;  // with their dots
  std::vector<Operand> operands;            // kBranchTargets: the labels
  Declaration declaration;
};

struct Function {
  std::string_view name;
  std::uint32_t line = 0;
  bool entry = false;
  bool defined = false;  // has a body
  std::vector<Declaration> results;
  std::vector<Declaration> parameters;
  std::array<std::uint32_t, 3> max_threads{};
  bool exact_threads = false;
  std::vector<Statement> statements;
  std::vector<std::uint32_t> scope_parents{0};  // scope 0 is the function's body
};

struct Module {
  int version = 0;
  int target = 0;
  bool specific = false;
  int address_bytes = 8;
  std::vector<Declaration> variables;
  std::vector<Function> functions;  // a prototype and its definition are one
};

// `header_only` stops behind .version and .target.
Result<Module> parse_syntax(std::string_view text, bool header_only = false);

// The type that a modifier like ".u32" names; kNone if it names none.
Type type_named(std::string_view modifier);

}  // namespace hearth::sim::ptx::syntax
