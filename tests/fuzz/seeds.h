// Seeds for a fuzz target, made by code: call use_seeds() in LLVMFuzzerInitialize.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace hearth::fuzz {

// Writes each seed to a file of a temporary folder and adds the folder to libFuzzer's arguments. Nothing
// is added when the arguments name single inputs to run (a crash to repeat).
inline void use_seeds(const std::vector<std::string>& seeds, int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    if ((*argv)[i][0] != '-' && !std::filesystem::is_directory((*argv)[i])) return;
  }
  static std::string folder = (std::filesystem::temp_directory_path() / "hearth-seeds-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) std::abort();
  std::atexit([] {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  });
  for (size_t i = 0; i < seeds.size(); ++i) {
    std::ofstream(folder + "/seed-" + std::to_string(i), std::ios::binary) << seeds[i];
  }
  static std::vector<char*> arguments(*argv, *argv + *argc);
  arguments.push_back(folder.data());
  arguments.push_back(nullptr);
  *argc += 1;
  *argv = arguments.data();
}

}  // namespace hearth::fuzz
