// Any text as a regular expression that a whole text matches.
#include "fuzz/grammar_walk.h"
#include "fuzz/seeds.h"
#include "grammar/compose.h"

using namespace hearth;

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  using namespace std::string_literals;
  fuzz::use_seeds({R"--(^(?:[a-f0-9]{2,4}-?)+$)--"s + "\0abcdefghijklmnop"s,
                   R"--((a|b)*\w\s[^\d](?=x).{0,9})--"s + "\0abcdefghijklmnop"s,
                   R"--((?!no)\p{Lu}\u00e9\x41[\]a-]+?$)--"s + "\0abcdefghijklmnop"s,
                   R"--(x{3}|y{2,}|(z?){9})--"s + "\0abcdefghijklmnop"s}, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto [source, choices] = fuzz::split(data, size);
  const auto compiled = grammar::compile_text({grammar::TextRule::Kind::kPattern, std::string(source), {}}, nullptr);
  if (compiled) fuzz::walk(*compiled, choices);
  return 0;
}
