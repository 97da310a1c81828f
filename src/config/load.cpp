#include "config/load.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "config/file.h"
#include "config/ollama.h"
#include "config/table.h"

namespace hearth::config {
namespace {

std::string value_of(const std::map<std::string, std::string>& variables, const std::string& name) {
  const auto at = variables.find(name);
  return at == variables.end() ? std::string() : at->second;
}

std::string likely(std::string_view name, const std::vector<std::string>& names) {
  const std::vector<std::string_view> views(names.begin(), names.end());
  return std::string(nearest(name, views));
}

class Loader {
 public:
  explicit Loader(const Inputs& inputs) : inputs_(inputs) {}

  Result<Loaded> run() {
    TRY(read_file());
    TRY(read_ollama());
    TRY(read_variables());
    for (const Flag& flag : inputs_.flags) {
      TRY(set(**find_setting(flag.key), flag.value, flag.name));
    }
    TRY(check_whole());
    return std::move(loaded_);
  }

 private:
  Status set(const Setting& setting, std::string_view value, const std::string& origin) {
    if (const Status taken = setting.set(value, loaded_.settings); !taken) {
      return error(ErrorKind::kUsage, "{}: {}", origin, taken.error().message);
    }
    loaded_.origins[setting.key] = origin;
    return {};
  }

  Status read_file() {
    loaded_.file = inputs_.file.value_or(find_file(inputs_.environment));
    if (loaded_.file.empty()) return {};
    ASSIGN_OR_RETURN(const std::string text, hearth::read_file(loaded_.file));
    ASSIGN_OR_RETURN(const std::vector<Entry> entries, parse_file(text, loaded_.file));
    for (const Entry& entry : entries) {
      const std::string where = fmt::format("{}, line {}", loaded_.file, entry.line);
      const auto setting = find_setting(entry.key);
      if (!setting) return error(ErrorKind::kUsage, "{}: {}", where, setting.error().message);
      TRY(set(**setting, entry.value, where));
    }
    return {};
  }

  Status read_ollama() {
    for (const Setting& setting : table()) {
      if (setting.ollama.empty()) continue;
      const std::string value(trimmed(value_of(inputs_.environment, setting.ollama)));
      // For Ollama's numbers 0 is "the default", and one that is none is ignored.
      const bool number = setting.kind == Setting::Kind::kNumber;
      if (value.empty() || (number && value == "0")) continue;
      const Status taken = set(setting, value, setting.ollama);
      if (!taken && !number) return taken;
      if (!taken) loaded_.warnings.push_back(taken.error().message + "; it is ignored");
    }
    for (const OllamaValue& other : other_ollama_values(inputs_.environment)) {
      if (!other.key.empty()) TRY(set(**find_setting(other.key), other.value, other.variable));
      if (!other.warning.empty()) loaded_.warnings.push_back(other.warning);
    }
    return {};
  }

  Status read_variables() {
    constexpr std::string_view kPrefix = "HEARTH_";
    std::vector<std::string> names;
    for (const Setting& setting : table()) {
      names.push_back(setting.variable());
      const auto at = inputs_.environment.find(names.back());
      if (at != inputs_.environment.end() && !at->second.empty()) TRY(set(setting, trimmed(at->second), at->first));
    }
    for (const auto& [name, value] : inputs_.environment) {
      // (Variables of this kind are also what tests and scripts use among themselves.)
      if (!name.starts_with(kPrefix) || std::ranges::find(names, name) != names.end()) continue;
      if (const std::string meant = likely(name, names); !meant.empty())
        loaded_.warnings.push_back(fmt::format("{} is no setting and does nothing; did you mean {}?", name, meant));
    }
    return {};
  }

  Status check_whole() const {
    const Settings& settings = loaded_.settings;
    if (settings.tls_certificate.empty() != settings.tls_key.empty()) {
      return error(ErrorKind::kUsage, "tls.certificate and tls.key belong together, but only {} is set",
                   settings.tls_key.empty() ? "tls.certificate" : "tls.key");
    }
    if (settings.listens_with_tls && settings.tls_key.empty()) {
      return error(ErrorKind::kUsage,
                   "an address to listen on is https://, but there is no certificate; set tls.certificate and tls.key");
    }
    return {};
  }

  const Inputs& inputs_;
  Loaded loaded_;
};

std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\u{:04x}", c);
    else
      out += c;
  }
  return out + '"';
}

std::string toml_value(const Setting& setting, const Settings& settings) {
  const std::string text = setting.show(settings);
  switch (setting.kind) {
    case Setting::Kind::kNumber:
    case Setting::Kind::kSwitch:
      return text;
    case Setting::Kind::kList: {
      std::string out;
      for (size_t at = 0; at < text.size();) {
        const size_t comma = std::min(text.find(',', at), text.size());
        out += (out.empty() ? "" : ", ") + toml_text(std::string_view(text).substr(at, comma - at));
        at = comma + 1;
      }
      return "[" + out + "]";
    }
    default:
      return toml_text(text);
  }
}

}  // namespace

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** at = ::environ; *at != nullptr; ++at) {
    const std::string_view pair(*at);
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos) variables.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return variables;
}

std::string find_file(const std::map<std::string, std::string>& environment) {
  if (std::string file = value_of(environment, "HEARTH_CONFIG"); !file.empty()) return file;
  const std::string home = value_of(environment, "HOME");
  std::string folder = value_of(environment, "XDG_CONFIG_HOME");
  if (folder.empty() && !home.empty()) folder = home + "/.config";
  std::error_code ignored;
  std::vector<std::string> places = {"/etc/hearth/config.toml"};
  if (!folder.empty()) places.insert(places.begin(), folder + "/hearth/config.toml");
  for (const std::string& place : places)
    if (std::filesystem::exists(place, ignored)) return place;
  return {};
}

Result<Loaded> load(const Inputs& inputs) {
  return Loader(inputs).run();
}

std::string describe(const Loaded& loaded) {
  std::string text = loaded.file.empty() ? "# no file of settings\n" : fmt::format("# {}\n", loaded.file);
  for (const Setting& setting : table()) {
    const auto origin = loaded.origins.find(setting.key);
    text += fmt::format("{:<44} # {}\n", setting.key + " = " + toml_value(setting, loaded.settings),
                        origin == loaded.origins.end() ? "default" : printable(origin->second));
  }
  return text;
}

std::vector<std::string> reload(Loaded& running, const Loaded& loaded) {
  std::vector<std::string> lines;
  for (const Setting& setting : table()) {
    const std::string before = setting.show(running.settings), after = setting.show(loaded.settings);
    if (before == after) continue;
    if (!setting.reloads) {
      lines.push_back(fmt::format("{} stays \"{}\" until hearth is started again", setting.key, printable(before)));
      continue;
    }
    CHECK(setting.set(after, running.settings).ok());
    lines.push_back(fmt::format("{} is \"{}\" now", setting.key, printable(after)));
  }
  return lines;
}

}  // namespace hearth::config
