// The layers of the architecture: which folder of src/ may include which. An edge that is not listed
// here fails; to add one, change the design first.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace hearth {
namespace {

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"disk", {"base"}},
    {"quant", {"base"}},
    {"gguf", {"base", "quant"}},
    {"text", {"base", "gguf"}},
    {"template", {"base"}},
    {"chat", {"base", "gguf", "grammar", "template", "text"}},
    {"sampling", {"base"}},
    {"grammar", {"base", "sampling", "text"}},
    {"device", {"base", "quant"}},
    {"placement", {"base"}},
    {"cpu", {"base", "device", "quant"}},
    {"driver", {"base"}},
    {"cuda", {"base", "device", "driver", "quant"}},
    {"models", {"base", "device", "gguf", "placement"}},
    {"image", {"base"}},
    {"vision", {"base", "device", "gguf", "image", "models"}},
    {"sched", {"base"}},
    {"engine", {"base", "models", "placement", "sched", "sampling", "text", "device", "gguf"}},
    {"doctor", {"base", "driver", "placement", "http"}},
    {"convert", {"base", "gguf", "quant"}},
    {"store", {"base", "gguf", "convert"}},
    {"http", {"base"}},
    {"registry", {"base", "http", "store"}},  // models from and to other machines
    {"neighbours", {"base", "http"}},  // other servers on the same GPUs
    {"config", {"base", "http", "neighbours"}},
    {"state", {"base"}},
    {"batch", {"base", "grammar", "state", "template"}},  // durable jobs; how a step is answered is handed in
    {"metrics", {"base"}},
    {"api", {"base", "http", "text", "chat", "sampling"}},  // never the engine: functions are handed in
    {"fleet",
     {"base", "quant", "gguf", "text", "sampling", "device", "cpu", "driver", "cuda", "models", "placement", "engine",
      "store", "chat", "grammar", "image", "vision"}},
    // Wires the server: dialects to models.
    {"serve",
     {"base", "gguf", "text", "chat", "sampling", "grammar", "models", "placement", "engine", "store", "fleet", "http",
      "api", "batch", "config", "state", "doctor", "registry", "neighbours"}},
    // Commands and what they show; how a model comes to a machine is fleet's, what is wrong with one the doctor's.
    {"cli",
     {"base",   "quant",  "gguf",  "text",   "template", "chat",    "sampling", "device", "cpu",  "cuda", "placement",
      "models", "engine", "store", "doctor", "fleet",    "grammar", "serve",    "config", "http", "api", "registry",
      "neighbours", "batch", "state", "image"}},
};

TEST(Layers, EveryIncludeFollowsTheTable) {
  const std::filesystem::path source = std::filesystem::path(HEARTH_SOURCE_DIR) / "src";
  const std::regex include("^\\s*#include \"([a-z_]+)/.*\"");
  int seen = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source)) {
    if (!entry.is_regular_file()) continue;
    const std::filesystem::path relative = std::filesystem::relative(entry.path(), source);
    const std::string folder = relative.begin()->string();
    if (relative == "main.cpp") continue;
    ASSERT_TRUE(kMayInclude.contains(folder)) << "src/" << folder << " is not in the table of layers";
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      const std::string other = match[1];
      ++seen;
      EXPECT_TRUE(other == folder || ((other == "disk" || other == "metrics") && folder != "base") || kMayInclude.at(folder).contains(other))
          << "src/" << relative.string() << " includes " << other << "/, which " << folder << " may not use";
    }
  }
  EXPECT_GT(seen, 50) << "the includes were not found";
}

}  // namespace
}  // namespace hearth
