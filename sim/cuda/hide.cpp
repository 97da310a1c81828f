// The fault "missing": a driver so old that it does not export a function. When the library is loaded, before anybody
// can ask for symbols, the function's name in the library's own table of dynamic strings is changed, so that dlsym()
// finds nothing. (A program linked with -lcuda has found it before.)
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "sim/cuda/functions.h"
#include "sim/machine/faults.h"

namespace hearth::sim::cuda {
namespace {

struct Strings {
  char* data = nullptr;
  std::size_t bytes = 0;
};

int find_strings(dl_phdr_info* info, std::size_t, void* out) {
  const auto here = reinterpret_cast<ElfW(Addr)>(&find_strings);
  const ElfW(Dyn)* dynamic = nullptr;
  bool ours = false;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    const ElfW(Addr) start = info->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && here >= start && here - start < header.p_memsz) ours = true;
    if (header.p_type == PT_DYNAMIC) dynamic = reinterpret_cast<const ElfW(Dyn)*>(start);
  }
  if (!ours || dynamic == nullptr) return 0;
  auto& strings = *static_cast<Strings*>(out);
  for (; dynamic->d_tag != DT_NULL; ++dynamic) {
    if (dynamic->d_tag == DT_STRTAB) strings.data = reinterpret_cast<char*>(dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_STRSZ) strings.bytes = dynamic->d_un.d_val;
  }
  return 1;
}

void hide(const Strings& strings, std::string_view symbol) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (std::size_t at = 0; at + symbol.size() < strings.bytes; at += std::strlen(strings.data + at) + 1) {
    if (strings.data + at != symbol) continue;
    void* start = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(strings.data + at) & ~(page - 1));
    if (mprotect(start, page, PROT_READ | PROT_WRITE) != 0) return;
    strings.data[at] = '!';
    mprotect(start, page, PROT_READ);
    return;
  }
}

__attribute__((constructor)) void hide_missing() {
  const char* script = std::getenv("HEARTH_SIM_FAULTS");
  if (script == nullptr || *script == '\0') return;
  const auto faults = parse_faults(script);
  if (!faults || faults->missing.empty()) return;  // a mistake in the script is told by the first call
  Strings strings;
  dl_iterate_phdr(find_strings, &strings);
  if (strings.data == nullptr) return;
  for (const std::string& name : faults->missing) {
    for (int i = 0; i < kFunctions; ++i) {
      const FunctionFacts& facts = facts_of(static_cast<Function>(i));
      if (name == facts.name || name == facts.symbol) hide(strings, facts.symbol);
    }
  }
}

}  // namespace
}  // namespace hearth::sim::cuda
