#include "placement/gpus.h"

#include <cctype>
#include <string>

namespace hearth::placement {
namespace {

constexpr KnownGpu kGpus[] = {
    {"GTX 1060 6GB", 6144, 192, 61},
    {"GTX 1080", 8192, 320, 61},
    {"GTX 1080 Ti", 11264, 484, 61},
    {"GTX 1650", 4096, 128, 75},
    {"GTX 1660 Ti", 6144, 288, 75},
    {"RTX 2060", 6144, 336, 75},
    {"RTX 2070", 8192, 448, 75},
    {"RTX 2080 Ti", 11264, 616, 75},
    {"RTX 3050", 8192, 224, 86},
    {"RTX 3050 6GB Laptop", 6144, 168, 86},
    {"RTX 3060", 12288, 360, 86},
    {"RTX 3060 Ti", 8192, 448, 86},
    {"RTX 3070", 8192, 448, 86},
    {"RTX 3080", 10240, 760, 86},
    {"RTX 3090", 24576, 936, 86},
    {"RTX 4050 Laptop", 6144, 192, 89},
    {"RTX 4060", 8192, 272, 89},
    {"RTX 4060 Ti 16GB", 16384, 288, 89},
    {"RTX 4070", 12288, 504, 89},
    {"RTX 4070 Ti SUPER", 16384, 672, 89},
    {"RTX 4080", 16384, 717, 89},
    {"RTX 4090", 24576, 1008, 89},
    {"RTX 5060 Ti 16GB", 16384, 448, 120},
    {"RTX 5070", 12288, 672, 120},
    {"RTX 5070 Ti", 16384, 896, 120},
    {"RTX 5080", 16384, 960, 120},
    {"RTX 5090", 32768, 1792, 120},
    {"T4", 15360, 320, 75},
    {"L4", 23034, 300, 89},
    {"A10", 23028, 600, 86},
    {"L40S", 46068, 864, 89},
    {"RTX A6000", 49140, 768, 86},
    {"A100 40GB", 40960, 1555, 80},
    {"A100 80GB", 81920, 2039, 80},
    {"H100 80GB", 81559, 3352, 90},
    {"H200", 143771, 4800, 90},
    {"B200", 183359, 8000, 100},
};

std::string plain(std::string_view name) {
  std::string text;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) text += static_cast<char>(std::tolower(c));
  for (const std::string_view word : {"nvidia", "geforce", "tesla", "gpu"})
    if (const size_t at = text.find(word); at != std::string::npos) text.erase(at, word.size());
  return text;
}

}  // namespace

std::span<const KnownGpu> known_gpus() {
  return kGpus;
}

const KnownGpu* find_gpu(std::string_view name) {
  const std::string wanted = plain(name);
  for (const KnownGpu& gpu : kGpus)
    if (plain(gpu.name) == wanted) return &gpu;
  return nullptr;
}

}  // namespace hearth::placement
