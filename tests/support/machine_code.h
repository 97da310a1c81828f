// Machine code that no GPU could run, with the marks by which a driver decides; see sim/cuda/image.h.
#pragma once

#include <elf.h>

#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>

namespace hearth::test {

// For a compute capability ("86"), as the assembler of a CUDA toolkit ("12.8") would mark it; `specific`: for that GPU
// alone ("90a"). The simulated driver runs the PTX that has the same kernels.
inline std::string machine_code(int capability, const std::string& toolkit,
                                std::initializer_list<std::string_view> kernels, bool specific = false) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  const bool new_layout = toolkit >= "13";
  header.e_ident[EI_ABIVERSION] = new_layout ? 8 : 7;
  header.e_machine = 190;
  header.e_flags = static_cast<Elf64_Word>(new_layout ? capability << 8 | 2 : capability);
  std::string notes = "Cuda compilation tools, release " + toolkit + " -arch sm_" + std::to_string(capability) +
                      (specific ? "a" : "") + '\0';
  for (const std::string_view kernel : kernels) notes.append(".text.").append(kernel) += '\0';
  header.e_shoff = sizeof(header) + notes.size();  // an empty section table: the end of the file
  return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + notes;
}

}  // namespace hearth::test
