#include "cli/settings.h"

#include "base/error.h"
#include "base/outside_text.h"
#include "config/table.h"

namespace hearth::cli {
namespace {

constexpr const char* kGroup = "Settings";

Status give(config::Inputs& inputs, const std::string& key, const std::string& value, const std::string& flag) {
  ASSIGN_OR_RETURN(const config::Setting* const setting, config::find_setting(key));
  config::Settings scratch;
  TRY(setting->set(value, scratch));
  inputs.flags.push_back({key, value, flag});
  return {};
}

}  // namespace

void add_settings(Arguments& arguments, config::Inputs& inputs) {
  arguments.text("--config", inputs.file,
                 "File of settings (default: HEARTH_CONFIG, else ~/.config/hearth/config.toml, else "
                 "/etc/hearth/config.toml)");
  const auto add = [&](const char* flag, const char* key, const char* type) {
    const auto take = [flag, key, &inputs](const std::string& value) { return give(inputs, key, value, flag); };
    arguments.each(flag, type, take, (*config::find_setting(key))->summary, kGroup);
  };
  add("--host", "listen", "HOST:PORT");
  add("--parallel", "parallel", "UINT");
  add("--ctx", "context", "UINT");
  add("--threads", "threads", "UINT");
  add("--kv-type", "kv_type", "TYPE");
  add("--gpu", "gpu", "TEXT");
  add("--cpu-isa", "cpu_isa", "TEXT");
  add("--mmap", "mmap", "TEXT");
  add("--keep-alive", "keep_alive", "TIME");
  add("--log", "log", "LEVEL");
  const auto set = [&inputs](const std::string& text) -> Status {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) return error(ErrorKind::kUsage, "\"{}\" is not NAME=VALUE", printable(text));
    return give(inputs, text.substr(0, equals), text.substr(equals + 1), "--set");
  };
  arguments.each("--set", "NAME=VALUE", set, "Any setting by name (\"hearth config\" lists them)", kGroup);
}

}  // namespace hearth::cli
