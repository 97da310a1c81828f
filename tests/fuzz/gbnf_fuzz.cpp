// Any text as a GBNF grammar.
#include "fuzz/grammar_walk.h"
#include "fuzz/seeds.h"
#include "grammar/compose.h"

using namespace hearth;

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  using namespace std::string_literals;
  fuzz::use_seeds({R"--(root ::= "a" b* | [^x-z]{2,5} # c
b ::= "b" root? "\x41\u00e9")--"s + "\0abcdefghijklmnop"s,
                   R"--(root ::= (expr "=" [0-9]+ "\n")+
expr ::= term ([-+*/] term)*
term ::= [a-z]+ | "(" expr ")")--"s + "\0abcdefghijklmnop"s,
                   R"--(root ::= ("x" | root2)
root2 ::= . "y"{3,} root3
root3 ::= | "z" root3)--"s + "\0abcdefghijklmnop"s}, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto [source, choices] = fuzz::split(data, size);
  const auto compiled = grammar::compile_text({grammar::TextRule::Kind::kGbnf, std::string(source), {}}, nullptr);
  if (compiled) fuzz::walk(*compiled, choices);
  return 0;
}
