#include "config/origin.h"

#include <algorithm>

#include "base/error.h"
#include "base/outside_text.h"

namespace hearth::config {

Status check_origin_entry(std::string_view entry) {
  constexpr std::string_view kSchemes[] = {"http://",
                                           "https://",
                                           "app://",
                                           "file://",
                                           "tauri://",
                                           "vscode-webview://",
                                           "vscode-file://",
                                           "chrome-extension://",
                                           "safari-extension://",
                                           "moz-extension://",
                                           "ms-browser-extension://"};
  if (std::ranges::count(entry, '*') > 1) {
    return error(ErrorKind::kUsage, "the origin \"{}\" has more than one \"*\"", printable(entry));
  }
  const bool known = std::ranges::any_of(kSchemes, [&](std::string_view scheme) { return entry.starts_with(scheme); });
  if (known || entry.find('*') != std::string_view::npos) return {};
  return error(ErrorKind::kUsage, "the origin \"{}\" has none of the schemes {}; write \"http://{}\", say",
               printable(entry), fmt::join(kSchemes, " "), printable(entry));
}

Status check_site(std::string_view entry) {
  std::string_view host = entry;
  for (const std::string_view scheme : {"http://", "https://"})
    if (entry.starts_with(scheme)) host = entry.substr(scheme.size());
  const bool has_scheme = host.size() < entry.size();
  if (host.ends_with('/')) host.remove_suffix(1);
  const bool plain = !host.empty() && host.find_first_of("/?#@\\ ") == std::string_view::npos;
  if (has_scheme && plain && std::ranges::count(host, '*') <= 1) return {};
  return error(
      ErrorKind::kUsage,
      "\"{}\" is no site; write one such as \"https://example.org\", \"https://*.example.org\" or \"https://*\"",
      printable(entry));
}

bool is_meant(std::string_view entry, std::string_view origin) {
  const size_t star = entry.find('*');
  if (star == std::string_view::npos) return entry == origin;
  const std::string_view before = entry.substr(0, star), behind = entry.substr(star + 1);
  return origin.size() >= before.size() + behind.size() && origin.starts_with(before) && origin.ends_with(behind);
}

}  // namespace hearth::config
