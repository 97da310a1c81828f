// What a server keeps between its runs, and how the commands of this machine reach one that runs.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "http/settings.h"
#include "serve/keys.h"
#include "state/folder.h"

namespace hearth::serve {

struct RunningServer {
  std::string url;  // "http://127.0.0.1:11434"
  std::string key;
  std::string certificate;  // file of it, where url is https
};

// Held by one process at a time: a server, or a command while none runs.
class State {
 public:
  // Errors: those of state::folder_path(), Folder::take() and Keys::load().
  static Result<State> open(const std::string& folder_setting);

  Keys& keys() { return *keys_; }
  const std::string& folder() const { return folder_.path(); }
  // How the administrator's commands reach this server, for find_server(); until the process ends.
  Status announce(const RunningServer& server);

 private:
  State(state::Folder folder, std::unique_ptr<Keys> keys) : folder_(std::move(folder)), keys_(std::move(keys)) {}
  state::Folder folder_;
  std::unique_ptr<Keys> keys_;
};

// The server that has announced itself in this folder, if it may be read and that server still runs.
std::optional<RunningServer> find_server(const std::string& folder_setting);

}  // namespace hearth::serve
