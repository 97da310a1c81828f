// arc4random() came with glibc 2.36, and the static libstdc++ calls it for std::random_device: here for older ones
// (cmake/static.cmake), from the kernel as glibc has it.
#include <sys/random.h>

#include <cstdint>
#include <cstdlib>

extern "C" std::uint32_t arc4random() noexcept {
  std::uint32_t word = 0;
  if (getrandom(&word, sizeof word, 0) != static_cast<ssize_t>(sizeof word))
    std::abort();  // up to 256 bytes never fail
  return word;
}
