// Settings from all that can name them: a flag counts before HEARTH_*, before OLLAMA_*, before the file, before the
// default.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace hearth::config {

struct Flag {
  std::string key, value, name;  // "listen", ":80", "--host"
};

struct Inputs {
  std::optional<std::string> file;                 // --config; not given: see find_file()
  std::map<std::string, std::string> environment;  // all variables
  std::vector<Flag> flags;
};
// Of this process.
std::map<std::string, std::string> environment();

struct Loaded {
  Settings settings;
  std::map<std::string, std::string> origins;  // by key: "OLLAMA_HOST", "/etc/hearth/config.toml, line 3"; else default
  std::vector<std::string> warnings;           // what was given and does nothing, and what does
  std::string file;                            // that was read; empty: none
};

// Errors: kUsage with where the value comes from; kNotFound and kIo of a file that was named.
Result<Loaded> load(const Inputs& inputs);

// The file that counts: HEARTH_CONFIG, else the first that is there of $XDG_CONFIG_HOME/hearth/config.toml
// (~/.config/...) and /etc/hearth/config.toml; empty: none.
std::string find_file(const std::map<std::string, std::string>& environment);

// What `hearth config` prints: every setting as the file could have it, with where it comes from.
std::string describe(const Loaded& loaded);

// Takes what can change while a server runs from `loaded` into `running`. Returns the lines that say what has changed
// and what waits for a restart.
std::vector<std::string> reload(Loaded& running, const Loaded& loaded);

}  // namespace hearth::config
