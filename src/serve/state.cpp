#include "serve/state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>

#include "base/error.h"
#include "base/file.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;
constexpr const char* kServer_file = "server.json";

bool is_taken(const std::string& lock) {
  const int fd = ::open(lock.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  const bool taken = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return taken;
}

}  // namespace

Result<State> State::open(const std::string& folder_setting) {
  ASSIGN_OR_RETURN(const std::string path, state::folder_path(folder_setting));
  ASSIGN_OR_RETURN(state::Folder folder, state::Folder::take(path));
  ASSIGN_OR_RETURN(state::Database database, state::Database::open(folder.file("state.db"), kState_schema));
  ASSIGN_OR_RETURN(std::unique_ptr<Keys> keys, Keys::load(std::move(database)));
  return State(std::move(folder), std::move(keys));
}

Status State::announce(const RunningServer& server) {
  const std::string path = folder_.file(kServer_file), temporary = path + ".new";
  const std::string text =
      json::serialize(json::object{{"url", server.url}, {"key", server.key}, {"certificate", server.certificate}});
  ::unlink(temporary.c_str());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return io_error("cannot create", temporary, errno);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) return io_error("cannot write", path, errno);
  return {};
}

std::optional<RunningServer> find_server(const std::string& folder_setting) {
  const auto folder = state::folder_path(folder_setting);
  if (!folder || !is_taken(*folder + "/lock")) return std::nullopt;
  const auto text = read_file(*folder + "/" + kServer_file);
  if (!text) return std::nullopt;
  boost::system::error_code failed;
  const json::value value = json::parse(*text, failed);
  const json::object* object = failed ? nullptr : value.if_object();
  if (object == nullptr) return std::nullopt;
  const auto named = [&](const char* name) {
    const json::value* found = object->if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
  };
  RunningServer server{named("url"), named("key"), named("certificate")};
  if (server.url.empty() || server.key.empty()) return std::nullopt;
  return server;
}

}  // namespace hearth::serve
