// Every setting by name: one row each, from which the file, the environment, `hearth config` and the docs' list come.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/settings.h"

namespace hearth::config {

struct Setting {
  std::string key;      // "parallel", "tls.key"; in the environment HEARTH_PARALLEL, HEARTH_TLS_KEY
  std::string ollama;   // the variable of Ollama's that means the same; empty: none
  std::string summary;  // one line
  enum class Kind { kText, kList, kNumber, kSwitch, kDuration, kSize } kind = Kind::kText;
  bool reloads = false;  // SIGHUP applies it

  // Of a text as the environment has it; a list's entries are separated by commas. Errors: kUsage, what is wrong with
  // the value and what it can be.
  std::function<Status(std::string_view text, Settings& settings)> set;
  std::function<std::string(const Settings& settings)> show;  // so that set() takes it again

  std::string variable() const;  // "HEARTH_TLS_KEY"
};

std::span<const Setting> table();
// Errors: kUsage, with the name that may be meant.
Result<const Setting*> find_setting(std::string_view key);

// "[scheme://]host[:port][/path]", as OLLAMA_HOST has it: without a scheme the port is 11434, of http 80, of https 443;
// a port that is none counts as absent; without a host all addresses.
struct Host {
  http::Address address;
  bool tls = false;
};
Result<Host> parse_host(std::string_view text);
// "127.0.0.1:11434", "[::1]:80".
std::string host_text(const http::Address& address);

// Without blanks and quotes around it, which come from unit files and .env files.
std::string_view trimmed(std::string_view text);

}  // namespace hearth::config
