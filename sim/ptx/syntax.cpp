#include "sim/ptx/syntax.h"

#include <array>
#include <limits>
#include <unordered_map>
#include <utility>

namespace hearth::sim::ptx::syntax {
namespace {

constexpr std::uint64_t kMaxVariableBytes = std::uint64_t{1} << 40;
constexpr std::size_t kMaxScopes = 1 << 16;

class Parser {
 public:
  Parser(std::string_view text, std::vector<Token> tokens) : text_(text), tokens_(std::move(tokens)) {}

  Result<Module> run(bool header_only) {
    TRY(header());
    while (!header_only && here().kind != Token::Kind::kEnd) TRY(top_level());
    return std::move(module_);
  }

 private:
  // --- tokens ---
  const Token& here() const { return tokens_[at_]; }
  const Token& after() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& take() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  Error fault(std::string_view what, ErrorKind kind = ErrorKind::kInvalidData) const {
    return fault_at(text_, here().line, kind, what);
  }
  bool accept(char punctuation) {
    if (!here().is(punctuation)) return false;
    take();
    return true;
  }
  bool accept(std::string_view dot) {
    if (!here().is_dot(dot)) return false;
    take();
    return true;
  }
  Status expect(char punctuation) {
    if (accept(punctuation)) return {};
    const char what[] = {'e', 'x', 'p', 'e', 'c', 't', 'e', 'd', ' ', '"', punctuation, '"', '\0'};
    return fault(what);
  }
  Result<std::string_view> word(std::string_view what) {
    if (here().kind != Token::Kind::kWord) return fault(what);
    return take().text;
  }
  Result<std::uint64_t> integer(std::string_view what) {
    if (here().kind != Token::Kind::kInteger) return fault(what);
    return take().bits;
  }
  Result<std::uint32_t> small_integer(std::string_view what) {
    if (here().kind != Token::Kind::kInteger || here().bits > 0x7fffffff) return fault(what);
    return static_cast<std::uint32_t>(take().bits);
  }
  void skip_line() {
    const std::uint32_t line = here().line;
    while (here().kind != Token::Kind::kEnd && here().line == line) take();
  }

  // --- module ---
  Status header() {
    while (accept(".file")) skip_line();
    if (!accept(".version")) return fault("a module starts with .version");
    if (here().kind != Token::Kind::kFloat64) return fault("expected a version such as 8.0");
    const std::string_view version = here().text;
    const std::size_t dot = version.find('.');
    if (dot == std::string_view::npos || dot > 2 || dot == 0 || version.size() - dot != 2) {
      return fault("expected a version such as 8.0");
    }
    for (const char c : version) {
      if (c != '.' && (c < '0' || c > '9')) return fault("expected a version such as 8.0");
      if (c != '.') module_.version = module_.version * 10 + (c - '0');
    }
    take();
    if (!accept(".target")) return fault("expected .target");
    do {
      TRY(target());
    } while (accept(','));
    if (module_.target == 0) return fault("expected a target such as sm_75");
    return {};
  }

  Status target() {
    ASSIGN_OR_RETURN(std::string_view name, word("expected a target such as sm_75"));
    if (name == "debug" || name == "map_f64_to_f32") {
      return name == "debug" ? Status{} : fault("target option not supported", ErrorKind::kUnsupported);
    }
    if (name.substr(0, 3) != "sm_") return fault("unknown target");
    name.remove_prefix(3);
    int number = 0;
    while (!name.empty() && name[0] >= '0' && name[0] <= '9' && number < 10000) {
      number = number * 10 + (name[0] - '0');
      name.remove_prefix(1);
    }
    if (number == 0 || (name != "" && name != "a" && name != "f")) return fault("unknown target");
    module_.target = number;
    module_.specific = !name.empty();
    return {};
  }

  Status top_level() {
    if (here().kind != Token::Kind::kDot) return fault("expected a directive");
    if (here().is_dot(".file") || here().is_dot(".loc")) {
      skip_line();
      return {};
    }
    if (accept(".section")) return section();
    if (accept(".pragma")) return pragma();
    if (accept(".address_size")) {
      ASSIGN_OR_RETURN(const std::uint64_t bits, integer("expected 32 or 64"));
      if (bits != 64) return fault("only 64-bit addresses are supported", ErrorKind::kUnsupported);
      return {};
    }
    bool external = false;
    while (true) {
      if (accept(".extern")) {
        external = true;
      } else if (!accept(".visible") && !accept(".weak") && !accept(".common")) {
        break;
      }
    }
    if (accept(".entry")) return function(true);
    if (accept(".func")) return function(false);
    ASSIGN_OR_RETURN(const bool found, declarations(external, module_.variables, /*registers=*/false));
    if (!found) return fault("unknown directive");
    return {};
  }

  Status section() {
    if (here().kind != Token::Kind::kDot) return fault("expected the section's name");
    take();
    TRY(expect('{'));
    while (!here().is('}')) {
      if (here().kind == Token::Kind::kEnd) return fault("section without end");
      take();
    }
    return expect('}');
  }

  Status pragma() {
    do {
      if (here().kind != Token::Kind::kString) return fault("expected a string");
      take();
    } while (accept(','));
    return expect(';');
  }

  // --- declarations ---
  static bool declaration_kind(const Token& token, Declaration::Kind& kind) {
    static const std::array<std::pair<std::string_view, Declaration::Kind>, 6> kinds{{
        {".reg", Declaration::Kind::kRegister},
        {".global", Declaration::Kind::kGlobal},
        {".const", Declaration::Kind::kConst},
        {".shared", Declaration::Kind::kShared},
        {".local", Declaration::Kind::kLocal},
        {".param", Declaration::Kind::kParam},
    }};
    for (const auto& [name, value] : kinds) {
      if (token.is_dot(name)) {
        kind = value;
        return true;
      }
    }
    return false;
  }

  // .space [.align n] [.v4] .type name, name, ...;   false: no such directive here.
  Result<bool> declarations(bool external, std::vector<Declaration>& to, bool registers) {
    Declaration declaration;
    if (!declaration_kind(here(), declaration.kind)) return false;
    if (declaration.kind == Declaration::Kind::kRegister && !registers) return fault("register outside of a function");
    take();
    declaration.external = external;
    std::uint64_t vector = 1;
    TRY(declared_type(declaration, vector));
    do {
      Declaration one = declaration;
      TRY(declarator(one, vector));
      to.push_back(std::move(one));
    } while (accept(','));
    TRY(expect(';'));
    return true;
  }

  Status declared_type(Declaration& declaration, std::uint64_t& vector) {
    declaration.line = here().line;
    while (true) {
      if (here().kind != Token::Kind::kDot) return fault("expected a type");
      if (accept(".align")) {
        ASSIGN_OR_RETURN(declaration.alignment, small_integer("expected an alignment"));
        if (declaration.alignment == 0 || (declaration.alignment & (declaration.alignment - 1)) != 0) {
          return fault("an alignment is a power of two");
        }
      } else if (accept(".v2")) {
        vector = 2;
      } else if (accept(".v4")) {
        vector = 4;
      } else {
        declaration.type = type_named(here().text);
        if (declaration.type == Type::kNone) return fault("unknown type or attribute of a variable");
        take();
        return {};
      }
    }
  }

  // The name of a variable with its array bounds and initialiser, or a range of registers.
  Status declarator(Declaration& one, std::uint64_t vector) {
    ASSIGN_OR_RETURN(one.name, word("expected a name"));
    const bool is_register = one.kind == Declaration::Kind::kRegister;
    if (is_register) {
      if (vector != 1) return fault("vector registers are not supported", ErrorKind::kUnsupported);
      if (!accept('<')) return {};
      ASSIGN_OR_RETURN(one.registers, integer("expected a number of registers"));
      if (one.registers == 0) return fault("expected a number of registers");
      return expect('>');
    }
    if (bytes_of(one.type) == 0) return fault("a variable in memory cannot have this type");
    one.elements = vector;
    while (accept('[')) {
      if (accept(']')) {
        one.unsized = true;
        continue;
      }
      ASSIGN_OR_RETURN(const std::uint64_t bound, integer("expected an array bound"));
      if (bound == 0) one.unsized = true;
      if (__builtin_mul_overflow(one.elements, bound ? bound : 1, &one.elements)) return fault("array too large");
      TRY(expect(']'));
    }
    if (one.elements > kMaxVariableBytes / static_cast<std::uint64_t>(bytes_of(one.type)))
      return fault("array too large");
    if (one.alignment == 0) {
      const std::uint64_t natural = static_cast<std::uint64_t>(bytes_of(one.type)) * vector;
      one.alignment = static_cast<std::uint32_t>(natural);
    }
    if (accept('=')) {
      one.initialised = true;
      TRY(initialiser(one));
    }
    return {};
  }

  // A value, or braces around values and braces; the nesting has no meaning for the bytes.
  Status initialiser(Declaration& one) {
    std::size_t depth = 0;
    do {
      while (accept('{')) ++depth;
      if (depth == 0 || !here().is('}')) TRY(initial_value(one));
      while (depth > 0 && accept('}')) --depth;
    } while (depth > 0 && accept(','));
    if (depth != 0) return fault("initialiser without end");
    if (one.unsized) {
      one.elements = one.values.size();
      one.unsized = false;
    }
    if (one.values.size() > one.elements) return fault("more initial values than elements");
    return {};
  }

  Status initial_value(Declaration& one) {
    Declaration::Value value;
    if (here().kind == Token::Kind::kWord) {
      value.kind = Operand::Kind::kName;
      const bool generic = here().text == "generic" && after().is('(');
      if (generic) {
        take();
        take();
      }
      ASSIGN_OR_RETURN(value.name, word("expected the name of a variable"));
      if (generic) TRY(expect(')'));
      ASSIGN_OR_RETURN(const std::int64_t offset, signed_offset());
      value.bits = static_cast<std::uint64_t>(offset);
    } else {
      Operand operand;
      TRY(number(operand));
      value.kind = operand.kind;
      value.bits = operand.bits;
    }
    one.values.push_back(value);
    return {};
  }

  // --- functions ---
  Status function(bool entry) {
    Function parsed;
    parsed.entry = entry;
    parsed.line = here().line;
    if (!entry && here().is('(')) TRY(parameters(parsed.results));
    ASSIGN_OR_RETURN(parsed.name, word("expected the name of a function"));
    if (here().is('(')) TRY(parameters(parsed.parameters));
    TRY(function_directives(parsed));
    if (accept('{')) {
      parsed.defined = true;
      TRY(body(parsed));
    } else {
      TRY(expect(';'));
    }
    return add(std::move(parsed));
  }

  Status add(Function function) {
    const auto [at, is_new] = function_index_.emplace(function.name, module_.functions.size());
    if (is_new) {
      module_.functions.push_back(std::move(function));
      return {};
    }
    Function& known = module_.functions[at->second];
    if (known.defined && function.defined) {
      return fault_at(text_, function.line, ErrorKind::kInvalidData, "function defined twice");
    }
    if (known.entry != function.entry || known.parameters.size() != function.parameters.size() ||
        known.results.size() != function.results.size()) {
      return fault_at(text_, function.line, ErrorKind::kInvalidData, "function declared in two ways");
    }
    if (function.defined) known = std::move(function);
    return {};
  }

  Status parameters(std::vector<Declaration>& to) {
    TRY(expect('('));
    if (accept(')')) return {};
    do {
      Declaration one;
      if (!declaration_kind(here(), one.kind) || one.kind != Declaration::Kind::kParam) {
        return fault("only parameters in .param memory are supported", ErrorKind::kUnsupported);
      }
      take();
      std::uint64_t vector = 1;
      TRY(declared_type(one, vector));
      TRY(pointer_attributes());
      TRY(declarator(one, vector));
      if (one.initialised || one.unsized) return fault("malformed parameter");
      to.push_back(std::move(one));
    } while (accept(','));
    return expect(')');
  }

  // .ptr .global .align 16: facts for the optimiser.
  Status pointer_attributes() {
    if (!accept(".ptr")) return {};
    Declaration::Kind kind{};
    if (declaration_kind(here(), kind)) take();
    if (accept(".align")) {
      ASSIGN_OR_RETURN([[maybe_unused]] const std::uint32_t alignment, small_integer("expected an alignment"));
    }
    return {};
  }

  Status function_directives(Function& function) {
    while (here().kind == Token::Kind::kDot) {
      if (accept(".maxntid")) {
        TRY(threads(function));
      } else if (accept(".reqntid")) {
        function.exact_threads = true;
        TRY(threads(function));
      } else if (accept(".minnctapersm") || accept(".maxnreg") || accept(".maxnctapersm")) {
        ASSIGN_OR_RETURN([[maybe_unused]] const std::uint32_t count, small_integer("expected a number"));
      } else if (accept(".pragma")) {
        TRY(pragma());
      } else if (!accept(".noreturn")) {
        return fault("unknown directive of a function");
      }
    }
    return {};
  }

  Status threads(Function& function) {
    std::size_t dimension = 0;
    function.max_threads = {1, 1, 1};
    do {
      if (dimension == 3) return fault("more than three dimensions");
      ASSIGN_OR_RETURN(function.max_threads[dimension], small_integer("expected a number of threads"));
      ++dimension;
    } while (accept(','));
    return {};
  }

  Status body(Function& function) {
    std::vector<std::uint32_t> open{0};
    while (!open.empty()) {
      if (here().kind == Token::Kind::kEnd) return fault("function without end");
      if (accept('}')) {
        open.pop_back();
      } else if (accept('{')) {
        if (function.scope_parents.size() >= kMaxScopes) return fault("too many blocks");
        function.scope_parents.push_back(open.back());
        open.push_back(static_cast<std::uint32_t>(function.scope_parents.size() - 1));
      } else if (!accept(';')) {
        TRY(statement(function, open.back()));
      }
    }
    return {};
  }

  Status statement(Function& function, std::uint32_t scope) {
    if (here().is_dot(".loc") || here().is_dot(".file")) {
      skip_line();
      return {};
    }
    if (accept(".pragma")) return pragma();
    Statement statement;
    statement.scope = scope;
    statement.line = here().line;
    if (here().kind == Token::Kind::kDot) return local_declarations(function, statement);
    if (here().kind == Token::Kind::kWord && after().is(':')) return label(function, statement);
    if (accept('@')) {
      statement.guarded = true;
      statement.guard_negated = accept('!');
      ASSIGN_OR_RETURN(statement.guard, word("expected a predicate register"));
      statement.line = here().line;
    }
    ASSIGN_OR_RETURN(statement.name, word("expected an instruction"));
    while (here().kind == Token::Kind::kDot) statement.modifiers.push_back(take().text);
    if (!here().is(';')) TRY(operands(statement.operands));
    TRY(expect(';'));
    function.statements.push_back(std::move(statement));
    return {};
  }

  Status local_declarations(Function& function, Statement& statement) {
    std::vector<Declaration> declared;
    ASSIGN_OR_RETURN(const bool found, declarations(false, declared, /*registers=*/true));
    if (!found) return fault("unknown directive");
    for (Declaration& one : declared) {
      statement.kind = Statement::Kind::kDeclaration;
      statement.declaration = std::move(one);
      function.statements.push_back(statement);
    }
    return {};
  }

  Status label(Function& function, Statement& statement) {
    statement.kind = Statement::Kind::kLabel;
    statement.name = take().text;
    take();
    if (accept(".branchtargets")) {
      statement.kind = Statement::Kind::kBranchTargets;
      TRY(operands(statement.operands));
      TRY(expect(';'));
    } else if (here().is_dot(".callprototype") || here().is_dot(".calltargets")) {
      return fault("calls through pointers are not supported", ErrorKind::kUnsupported);
    }
    function.statements.push_back(std::move(statement));
    return {};
  }

  // --- operands ---
  Status operands(std::vector<Operand>& to) {
    do {
      Operand operand;
      TRY(this->operand(operand));
      to.push_back(std::move(operand));
    } while (accept(','));
    return {};
  }

  Status operand(Operand& operand) {
    if (here().is('{') || here().is('(')) {
      const bool vector = take().is('{');
      operand.kind = vector ? Operand::Kind::kVector : Operand::Kind::kList;
      if (!vector && accept(')')) return {};
      do {
        Operand element;
        TRY(simple(element));
        operand.elements.push_back(std::move(element));
      } while (accept(','));
      return expect(vector ? '}' : ')');
    }
    if (accept('[')) return address(operand);
    TRY(simple(operand));
    if (!accept('|')) return {};
    Operand second;
    TRY(simple(second));
    Operand pair;
    pair.kind = Operand::Kind::kPair;
    pair.elements.push_back(std::move(operand));
    pair.elements.push_back(std::move(second));
    operand = std::move(pair);
    return {};
  }

  // A name with an offset, or a number.
  Status simple(Operand& operand) {
    operand.negated = accept('!');
    if (here().kind != Token::Kind::kWord) return number(operand);
    operand.kind = Operand::Kind::kName;
    const Token& first = take();
    operand.name = first.text;
    if (here().kind == Token::Kind::kDot) {  // %tid.x
      const Token& suffix = take();
      if (suffix.text.data() != first.text.data() + first.text.size()) return fault("expected an operand");
      operand.name = std::string_view(first.text.data(), first.text.size() + suffix.text.size());
    }
    ASSIGN_OR_RETURN(operand.offset, signed_offset());
    return {};
  }

  Status address(Operand& operand) {
    operand.kind = Operand::Kind::kAddress;
    if (here().kind == Token::Kind::kWord) operand.name = take().text;
    if (operand.name.empty()) {
      Operand value;
      TRY(number(value));
      if (value.kind != Operand::Kind::kInteger) return fault("an address is an integer");
      operand.offset = static_cast<std::int64_t>(value.bits);
    } else {
      ASSIGN_OR_RETURN(operand.offset, signed_offset());
    }
    if (here().is(',')) return fault("tensor addresses are not supported", ErrorKind::kUnsupported);
    return expect(']');
  }

  // Any number of +4, -4, +-4.
  Result<std::int64_t> signed_offset() {
    std::uint64_t sum = 0;
    while (here().is('+') || here().is('-')) {
      bool minus = take().is('-');
      if (accept('-')) minus = !minus;
      ASSIGN_OR_RETURN(const std::uint64_t value, integer("expected an offset"));
      sum += minus ? 0 - value : value;
    }
    return static_cast<std::int64_t>(sum);
  }

  Status number(Operand& operand) {
    bool minus = false;
    bool invert = false;
    if (accept('-')) {
      minus = true;
    } else if (accept('~')) {
      invert = true;
    }
    const Token& token = here();
    switch (token.kind) {
      case Token::Kind::kInteger:
        operand.kind = Operand::Kind::kInteger;
        operand.bits = minus ? 0 - token.bits : invert ? ~token.bits : token.bits;
        break;
      case Token::Kind::kFloat32:
        operand.kind = Operand::Kind::kFloat32;
        operand.bits = token.bits ^ (minus ? std::uint64_t{1} << 31 : 0);
        break;
      case Token::Kind::kFloat64:
        operand.kind = Operand::Kind::kFloat64;
        operand.bits = token.bits ^ (minus ? std::uint64_t{1} << 63 : 0);
        break;
      default:
        return fault("expected an operand");
    }
    if (invert && token.kind != Token::Kind::kInteger) return fault("expected an operand");
    take();
    return {};
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  Module module_;
  std::unordered_map<std::string_view, std::size_t> function_index_;
};

}  // namespace

Type type_named(std::string_view modifier) {
  static const auto types = [] {
    std::unordered_map<std::string_view, Type> map;
    for (int i = 1; i <= static_cast<int>(Type::kB1); ++i) {
      map.emplace(name_of(static_cast<Type>(i)), static_cast<Type>(i));
    }
    return map;
  }();
  if (modifier.empty()) return Type::kNone;
  const auto found = types.find(modifier.substr(1));
  return found == types.end() ? Type::kNone : found->second;
}

Result<Module> parse_syntax(std::string_view text, bool header_only) {
  ASSIGN_OR_RETURN(std::vector<Token> tokens, tokenize(text));
  return Parser(text, std::move(tokens)).run(header_only);
}

}  // namespace hearth::sim::ptx::syntax
