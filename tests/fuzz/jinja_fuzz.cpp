// Any text as a Jinja template, rendered with a small conversation.
#include <cstdlib>

#include "fuzz/seeds.h"
#include "template/jinja.h"

using namespace hearth;
using namespace hearth::templates;

namespace {

constexpr std::string_view kInput =
    R"({"messages":[{"role":"user","content":"h\u00e9 <|im_end|>"},{"role":"assistant","content":null,"tool_calls":[)"
    R"({"function":{"name":"f","arguments":{"a":1.5,"b":[true,null]}}}]}],"n":3,"f":-2.5,"l":["a","b"],"s":"Hello World"})";

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  fuzz::use_seeds(
      {"{% for m in messages if m.content %}{{ loop.index ~ m['role'] }}{% else %}-{% endfor %}",
       "{%- set ns = namespace(x=[]) -%}{% set ns.x = ns.x + [s[::-1], s.split('o', 1)] %}{{ ns.x | tojson(indent=2) "
       "}}",
       "{% macro m(a, b='x') %}{{ varargs }}{{ caller() if caller }}{% endmacro %}{% call m(1, *l) %}{{ n }}{% endcall "
       "%}",
       "{% for x in [1,[2]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}{# c #}{% raw %}{{{% endraw "
       "%}",
       "{{ '%5.2f|%s|%(a)d' % (f, l) }}{{ '{0:>{}}{!r:*^9}'.format(n) }}{{ s | replace('l', 'L') | indent(2) | "
       "wordwrap(4) }}",
       "{{ messages | selectattr('role', 'eq', 'user') | map(attribute='content') | join(', ') | upper | title | "
       "trim('x') }}",
       "{% set x %}{{ n ** 3 // -2 % 5 }}{% endset %}{{ x is defined and not x in l or 1 < 2 <= 3 }}{% break %}",
       "{% filter upper %}{% with a = {'b': (1,)} %}{{ a.b.0 }}{% endwith %}{% endfilter %}{{ strftime_now('%d %B') }}",
       "{% block b scoped %}{{ l.append(l) }}{{ l }}{% endblock %}{{ self.b() }}{{ range(9) | batch(2) | list }}"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto compiled = JinjaTemplate::parse({reinterpret_cast<const char*>(data), size});
  if (!compiled) return 0;
  const auto rendered = compiled->render_text(kInput);
  if (!rendered) return 0;
  size_t end = 0;
  for (const Piece& piece : rendered->pieces) {
    if (piece.end <= end) std::abort();
    end = piece.end;
  }
  if (end != rendered->text.size()) std::abort();
  return 0;
}
