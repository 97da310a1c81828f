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

}  // namespace hearth::config
