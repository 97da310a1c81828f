// Any text as a Go template, rendered as Ollama would and with plain data; and any text as a request.
#include <cstdlib>

#include "fuzz/seeds.h"
#include "chat/ollama_template.h"
#include "template/go_template.h"

using namespace hearth;
using namespace hearth::templates;

namespace {

constexpr std::string_view kRequest =
    R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"h\u00e9 [img]","images":["aa","bb"]},)"
    R"({"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":{"a":[1.5,null]}}}]}],"think":"low",)"
    R"("tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{"type":["array","null"]}}}}}]})";

void check(const Result<Rendered>& rendered) {
  if (!rendered) return;
  size_t end = 0;
  for (const Piece& piece : rendered->pieces) {
    if (piece.end <= end) std::abort();
    end = piece.end;
  }
  if (end != rendered->text.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  fuzz::use_seeds(
      {"{{ range $i, $m := .Messages }}{{ if eq .Role \"user\" }}{{ .Content }}{{ else if .ToolCalls }}{{ .ToolCalls "
       "}}{{ end }}{{ end }}",
       "{{- $x := 1 -}}{{ with .Tools }}{{ range . }}{{ json . }}{{ .Function.Parameters.Properties }}{{ end }}{{ end "
       "}}{{ $x = 2 }}",
       "{{ define \"t\" }}{{ . }}{{ end }}{{ template \"t\" .Messages }}{{ block \"b\" . }}x{{ end }}{{ .System }}{{ "
       ".Prompt }}{{ .Response }}y",
       "{{ printf \"%5.2f|%-5s|%q|%x|%d|%v|%[1]d|%*d\" 1.5 \"a\" \"b\" \"c\" 3 .Messages }}{{ print 1 nil | html | js "
       "| urlquery }}",
       "{{ slice .Messages 1 }}{{ index .Messages 0 }}{{ len .Messages }}{{ and .Think (not .IsThinkSet) | or "
       ".ThinkLevel }}{{ break }}",
       "{{/* c */}}{{ `raw` }}{{ 'c' }}{{ 0x1F }}{{ -1.5e3 }}{{ lt 1 2 }}{{ toTypeScriptType . }}{{ currentDate }}",
       std::string(kRequest)},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto compiled = chat::OllamaTemplate::parse(text)) check(compiled->render(kRequest));
  if (const auto compiled = GoTemplate::parse(text))
    check(compiled->render_data(R"({"a":{"$int":3},"l":[1,"x",null],"m":{"b":2}})"));
  static const auto kPrinter =
      chat::OllamaTemplate::parse("{{ json .Messages }}{{ .Messages }}{{ .Tools }}{{ .System }}");
  check(kPrinter->render(text));
  return 0;
}
