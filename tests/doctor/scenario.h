// Scenarios: a machine of scenarios/machines/ and what is different on it (a JSON merge patch, RFC 7386).
#pragma once

#include <boost/json.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "doctor/bundle.h"
#include "support/support.h"

namespace hearth::doctor {

inline std::filesystem::path scenarios() {
  return std::filesystem::path(HEARTH_SOURCE_DIR) / "tests/doctor/scenarios";
}

inline boost::json::value read_json(const std::filesystem::path& path) {
  const auto text = read_file(path.string());
  EXPECT_TRUE(text.ok()) << path;
  return boost::json::parse(*text);
}

inline void merge(boost::json::value& target, const boost::json::value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target.emplace_object();
  for (const auto& [key, value] : patch.get_object()) {
    if (value.is_null())
      target.get_object().erase(key);
    else
      merge(target.get_object()[key], value);
  }
}

inline Bundle bundle_of(const boost::json::value& scenario) {
  boost::json::value whole =
      read_json(scenarios() / "machines" / (std::string(scenario.at("on").as_string()) + ".json"));
  merge(whole, scenario.at("bundle"));
  auto bundle = Bundle::parse(boost::json::serialize(whole));
  EXPECT_TRUE(bundle.ok());
  return std::move(*bundle);
}

// Those of the causes, without machines and stories.
inline std::vector<std::filesystem::path> cause_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(scenarios()))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

}  // namespace hearth::doctor
