// Where compiled kernels are kept for a process without HOME.
#include "driver/compile_cache.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

namespace hearth::driver {
namespace {

class CompileCache : public testing::Test {
 protected:
  static constexpr const char* kNames[] = {"CUDA_CACHE_PATH", "HOME", "CACHE_DIRECTORY", "XDG_CACHE_HOME"};

  CompileCache() {
    for (const char* name : kNames) {
      if (const char* value = std::getenv(name)) before_[name] = value;
      ::unsetenv(name);
    }
  }
  ~CompileCache() override {
    for (const char* name : kNames)
      if (before_.contains(name))
        ::setenv(name, before_[name].c_str(), 1);
      else
        ::unsetenv(name);
  }

  std::map<std::string, std::string> before_;
};

TEST_F(CompileCache, IsTheDriversOwnWhereItHasOne) {
  ::setenv("CACHE_DIRECTORY", "/var/cache/hearth", 1);
  ::setenv("HOME", "/home/me", 1);
  EXPECT_EQ(compile_cache_folder(), "");
  ::unsetenv("HOME");
  ::setenv("CUDA_CACHE_PATH", "/elsewhere", 1);
  EXPECT_EQ(compile_cache_folder(), "");
  set_compile_cache();
  EXPECT_STREQ(std::getenv("CUDA_CACHE_PATH"), "/elsewhere");
}

TEST_F(CompileCache, OfAServiceIsInTheFolderThatItWasGiven) {
  EXPECT_EQ(compile_cache_folder(), "");
  ::setenv("XDG_CACHE_HOME", "/run/cache", 1);
  EXPECT_EQ(compile_cache_folder(), "/run/cache/nvidia");
  ::setenv("CACHE_DIRECTORY", "/var/cache/hearth:/var/cache/more", 1);
  EXPECT_EQ(compile_cache_folder(), "/var/cache/hearth/nvidia");
  set_compile_cache();
  EXPECT_STREQ(std::getenv("CUDA_CACHE_PATH"), "/var/cache/hearth/nvidia");
}

}  // namespace
}  // namespace hearth::driver
