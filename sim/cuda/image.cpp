#include "sim/cuda/image.h"

#include <elf.h>
#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sim/cuda/side_file.h"
#include "sim/machine/say.h"
#include "sim/ptx/parse.h"

namespace hearth::sim::cuda {
namespace {

constexpr std::uint32_t kContainerMagic = 0xBA55ED50;
constexpr std::uint32_t kWrapperMagic = 0x466243B1;
constexpr std::uint64_t kFlagLz4 = 0x2000;
constexpr std::uint64_t kFlagZstd = 0x8000;
constexpr std::uint64_t kFlagSpecific = 0x100000;
constexpr int kMachineCuda = 190;
constexpr std::uint64_t kLargestImage = std::uint64_t{1} << 32;

template <class T>
T read_at(const std::byte* bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes + offset, sizeof(value));
  return value;
}

// Up to the end of the section table, which is a cubin's last part or is followed by program headers.
std::size_t elf_bytes(const std::byte* data) {
  const auto header = read_at<Elf64_Ehdr>(data, 0);
  return std::max<std::size_t>(header.e_shoff + std::size_t{header.e_shentsize} * header.e_shnum,
                               header.e_phoff + std::size_t{header.e_phentsize} * header.e_phnum);
}

// "release 13.0" in the toolkit's note.
int toolkit_of(const std::string& elf) {
  constexpr std::string_view kRelease = "tools, release ";
  const auto at = elf.find(kRelease);
  if (at == std::string::npos) return static_cast<unsigned char>(elf[EI_ABIVERSION]) >= 8 ? 13000 : 0;
  int major = 0;
  int minor = 0;
  if (std::sscanf(elf.c_str() + at + kRelease.size(), "%d.%d", &major, &minor) != 2) return 0;
  return major * 1000 + minor * 10;
}

// "-arch sm_90a" in the toolkit's note; the flags are those of sm_90.
bool is_specific(const std::string& elf) {
  constexpr std::string_view kArchitecture = "-arch sm_";
  const auto at = elf.find(kArchitecture);
  if (at == std::string::npos) return false;
  const auto end = elf.find_first_not_of("0123456789", at + kArchitecture.size());
  return end != std::string::npos && elf[end] == 'a';
}

ImageEntry read_elf(std::string bytes) {
  ImageEntry entry;
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  if (bytes.size() < sizeof(Elf64_Ehdr) || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0 ||
      read_at<Elf64_Ehdr>(data, 0).e_machine != kMachineCuda) {
    entry.problem = "not machine code of an NVIDIA GPU";
    return entry;
  }
  const std::uint32_t flags = read_at<Elf64_Ehdr>(data, 0).e_flags;
  const bool new_layout = static_cast<unsigned char>(bytes[EI_ABIVERSION]) >= 8;
  entry.architecture = static_cast<int>(new_layout ? (flags >> 8) & 0xff : flags & 0xff);
  entry.toolkit = toolkit_of(bytes);
  entry.specific = is_specific(bytes);
  entry.bytes = std::move(bytes);
  return entry;
}

std::string decompress(const std::byte* data, std::size_t compressed, std::size_t bytes, std::uint64_t flags,
                       std::string& problem) {
  if ((flags & kFlagZstd) == 0) {
    problem = (flags & kFlagLz4) != 0 ? "compressed with LZ4 (nvcc before 12.8): not supported, use --compress-mode"
                                      : "compressed in an unknown way";
    return {};
  }
  if (bytes > kLargestImage) {
    problem = "claims more than 4 GiB";
    return {};
  }
  std::string out(bytes, '\0');
  const std::size_t written = ZSTD_decompress(out.data(), out.size(), data, compressed);
  if (ZSTD_isError(written) != 0 || written != bytes) {
    problem = "its compressed bytes are damaged";
    return {};
  }
  return out;
}

ImageEntry read_entry(const std::byte* header) {
  const auto kind = read_at<std::uint16_t>(header, 0);
  const std::byte* payload = header + read_at<std::uint32_t>(header, 4);
  const auto payload_bytes = read_at<std::uint64_t>(header, 8);
  const auto compressed_bytes = read_at<std::uint32_t>(header, 16);
  const auto architecture = static_cast<int>(read_at<std::uint32_t>(header, 28));
  const auto flags = read_at<std::uint64_t>(header, 40);
  std::string problem;
  std::string bytes = compressed_bytes == 0
                          ? std::string(reinterpret_cast<const char*>(payload), payload_bytes)
                          : decompress(payload, compressed_bytes, read_at<std::uint64_t>(header, 56), flags, problem);
  ImageEntry entry;
  if (problem.empty() && kind == 2) {
    entry = read_elf(std::move(bytes));
  } else if (kind == 1) {
    bytes.resize(std::strlen(bytes.c_str()));  // padded with zeros
    entry.bytes = std::move(bytes);
  } else if (problem.empty()) {
    problem = fmt::format("of the unknown kind {}", kind);
  }
  entry.is_ptx = kind == 1;
  entry.architecture = architecture;
  entry.specific = (flags & kFlagSpecific) != 0;
  entry.compressed = compressed_bytes != 0;
  if (!problem.empty()) entry.problem = problem;
  return entry;
}

Image read_container(const std::byte* data) {
  Image image;
  image.is_container = true;
  const std::size_t header_bytes = read_at<std::uint16_t>(data, 6);
  const std::uint64_t end = header_bytes + read_at<std::uint64_t>(data, 8);
  constexpr std::size_t kLeastHeader = 64;
  for (std::uint64_t at = header_bytes; at + kLeastHeader <= end;) {
    const std::uint64_t header = read_at<std::uint32_t>(data + at, 4);
    const std::uint64_t payload = read_at<std::uint64_t>(data + at, 8);
    if (header < kLeastHeader || payload > end - at || header > end - at - payload) {
      image.problem = "the fat binary's entries do not fit into it";
      return image;
    }
    image.entries.push_back(read_entry(data + at));
    at += header + payload;
  }
  if (image.entries.empty()) image.problem = "the fat binary is empty";
  return image;
}

bool runs_on(const ImageEntry& entry, int compute_capability) {
  if (entry.specific) return entry.architecture == compute_capability;
  return entry.architecture / 10 == compute_capability / 10 && entry.architecture <= compute_capability;
}

bool flag(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && std::strcmp(value, "1") == 0;
}

// The PTX that stands in for machine code: of the same fat binary, the newest for this device; or the side-file.
std::optional<std::string> ptx_for(const ImageEntry& elf, const Image& image, int compute_capability) {
  const ImageEntry* best = nullptr;
  for (const ImageEntry& entry : image.entries) {
    if (!entry.is_ptx || !entry.problem.empty() || entry.architecture > compute_capability) continue;
    if (entry.specific && entry.architecture != compute_capability) continue;
    if (best == nullptr || entry.architecture > best->architecture) best = &entry;
  }
  if (best != nullptr) return best->bytes;
  return find_side_file(elf.bytes, elf.architecture);
}

Choice refuse(CUresult result, std::string message) {
  Choice choice;
  choice.result = result;
  choice.message = std::move(message);
  return choice;
}

// Minor versions of one major version take each other's machine code; a newer major version's is refused.
bool too_new(const ImageEntry& elf, const Target& target) {
  return elf.toolkit / 1000 > target.cuda_version / 1000;
}

Choice take_elf(const ImageEntry& elf, const Image& image, const Target& target) {
  const std::optional<std::string> ptx = ptx_for(elf, image, target.compute_capability);
  if (!ptx) {
    const std::string message = fmt::format(
        "machine code for sm_{} would load on this GPU, but the simulator executes PTX only: put PTX into the same fat "
        "binary, or name a folder with PTX of the kernels \"{}\" by HEARTH_SIM_PTX",
        elf.architecture, kernels_of_elf(elf.bytes));
    static bool told = false;  // one module is like the other
    if (!told) say(message);
    told = true;
    return refuse(CUDA_ERROR_NO_BINARY_FOR_GPU, message);
  }
  Choice choice;
  choice.ptx = *ptx;
  choice.binary_version = elf.architecture;
  return choice;
}

Choice take_ptx(const ImageEntry& entry, const Target& target) {
  if (flag("CUDA_DISABLE_PTX_JIT")) {
    return refuse(CUDA_ERROR_JIT_COMPILATION_DISABLED, "CUDA_DISABLE_PTX_JIT=1 forbids to compile PTX");
  }
  const auto header = ptx::read_header(entry.bytes);
  if (!header) return refuse(CUDA_ERROR_INVALID_PTX, "ptxas fatal   : " + header.error().message);
  const ptx::TargetCheck check = ptx::check_target(*header, target.compute_capability, target.newest_ptx);
  if (check.fault == ptx::TargetFault::kNewerVersion) {
    return refuse(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "ptxas fatal   : " + check.message);
  }
  if (check.fault == ptx::TargetFault::kNewerTarget) {
    return refuse(CUDA_ERROR_NO_BINARY_FOR_GPU, "ptxas fatal   : " + check.message);
  }
  Choice choice;
  choice.ptx = entry.bytes;
  choice.binary_version = target.compute_capability;
  choice.compiled = true;
  return choice;
}

const ImageEntry* best_elf(const Image& image, const Target& target) {
  const ImageEntry* best = nullptr;
  for (const ImageEntry& entry : image.entries) {
    if (entry.is_ptx || !entry.problem.empty() || !runs_on(entry, target.compute_capability)) continue;
    if (too_new(entry, target)) continue;
    const auto rank = [](const ImageEntry& e) { return e.architecture * 2 + (e.specific ? 1 : 0); };
    if (best == nullptr || rank(entry) > rank(*best)) best = &entry;
  }
  return best;
}

Choice choose_of_container(const Image& image, const Target& target) {
  if (const ImageEntry* elf = best_elf(image, target); elf != nullptr && !flag("CUDA_FORCE_PTX_JIT")) {
    return take_elf(*elf, image, target);
  }
  Choice choice = refuse(CUDA_ERROR_NO_BINARY_FOR_GPU, "");
  const ImageEntry* best = nullptr;
  std::string seen;
  for (const ImageEntry& entry : image.entries) {
    seen += fmt::format(
        "{}{} sm_{}{}{}", seen.empty() ? "" : ", ", entry.is_ptx ? "PTX" : "machine code", entry.architecture,
        entry.specific ? "a" : "",
        entry.problem.empty() ? (too_new(entry, target) ? " (of a newer toolkit)" : "") : " (" + entry.problem + ")");
    if (!entry.is_ptx || !entry.problem.empty() || entry.architecture > target.compute_capability) continue;
    if (entry.specific && entry.architecture != target.compute_capability) continue;
    if (best == nullptr || entry.architecture > best->architecture) best = &entry;
  }
  if (best != nullptr) return take_ptx(*best, target);
  choice.message = fmt::format("no image of the fat binary runs on compute capability {}.{}; it has: {}",
                               target.compute_capability / 10, target.compute_capability % 10, seen);
  return choice;
}

}  // namespace

Image read_image(const void* pointer) {
  const auto* data = static_cast<const std::byte*>(pointer);
  const auto* text = static_cast<const char*>(pointer);
  Image image;
  // Byte by byte, as a short text may end at a page's border.
  if (text[0] == '\x50' && text[1] == '\xed' && text[2] == '\x55' && text[3] == '\xba') return read_container(data);
  if (text[0] == '\xb1' && text[1] == '\x43' && text[2] == '\x62' && text[3] == '\x46') {
    static_assert(kWrapperMagic == 0x466243B1 && kContainerMagic == 0xBA55ED50);
    return read_image(read_at<const void*>(data, 8));
  }
  if (text[0] == '\x7f' && text[1] == 'E' && text[2] == 'L' && text[3] == 'F') {
    image.entries.push_back(read_elf(std::string(text, elf_bytes(data))));
    if (!image.entries[0].problem.empty()) image.problem = image.entries[0].problem;
    return image;
  }
  // PTX is text: a directive or a comment after white space.
  const char* first = text + std::strspn(text, " \t\r\n");
  if (*first != '.' && *first != '/') {
    image.problem = "neither PTX, nor a cubin, nor a fat binary";
    return image;
  }
  ImageEntry entry;
  entry.is_ptx = true;
  entry.bytes = text;
  image.entries.push_back(std::move(entry));
  return image;
}

Choice choose_image(const Image& image, const Target& target) {
  if (!image.problem.empty()) return refuse(CUDA_ERROR_INVALID_IMAGE, image.problem);
  if (image.is_container) return choose_of_container(image, target);
  const ImageEntry& entry = image.entries.front();
  if (entry.is_ptx) return take_ptx(entry, target);
  if (too_new(entry, target)) {
    return refuse(CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
                  fmt::format("machine code made by CUDA {}.{}, newer than the driver's {}.{}", entry.toolkit / 1000,
                              entry.toolkit % 1000 / 10, target.cuda_version / 1000, target.cuda_version % 1000 / 10));
  }
  if (!runs_on(entry, target.compute_capability)) {
    return refuse(CUDA_ERROR_NO_BINARY_FOR_GPU,
                  fmt::format("machine code for sm_{} on compute capability {}.{}", entry.architecture,
                              target.compute_capability / 10, target.compute_capability % 10));
  }
  return take_elf(entry, image, target);
}

}  // namespace hearth::sim::cuda
