// What every test needs: where the shared material is, a printed seed, temporary folders.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace hearth::test {

// Path inside the shared material (expected values made by independent programs).
std::filesystem::path shared(const std::string& relative);
// Appends the running test's name to the file that HEARTH_SKIPPED names, for ./test.sh.
void note_skipped();

// The running test's seed. It follows from the run's, which is fresh and printed once, or HEARTH_SEED so that a
// failure can be repeated.
uint64_t seed();

// A folder that is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A NumPy .npy file (version 1, C order, float32 little-endian).
struct Npy {
  std::vector<size_t> shape;
  std::vector<float> values;
};
Npy read_npy(const std::filesystem::path& path);

std::vector<uint8_t> read_bytes(const std::filesystem::path& path);

// |a - b| / |b| with Euclidean norms.
double relative_error(std::span<const float> a, std::span<const float> b);

}  // namespace hearth::test

// Skips the test where the shared material is absent, and says so loudly: ./test.sh lists what was skipped. With
// HEARTH_REQUIRE_SHARED set, as .ci/run does where the folder is, the test fails instead.
#define REQUIRE_SHARED(relative)                                                       \
  if (!std::filesystem::exists(::hearth::test::shared(relative))) {                    \
    if (std::getenv("HEARTH_REQUIRE_SHARED") != nullptr)                               \
      FAIL() << "shared material not found: " << ::hearth::test::shared(relative);     \
    ::hearth::test::note_skipped();                                                    \
    GTEST_SKIP() << "shared material not found: " << ::hearth::test::shared(relative); \
  }                                                                                    \
  static_assert(true)
