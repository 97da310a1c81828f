#include "registry/credentials.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace hearth::registry {
namespace {

namespace json = boost::json;

constexpr size_t kMost_answer_bytes = 64 << 10;
constexpr const char* kDocker_hub = "https://index.docker.io/v1/";  // as docker names its own registry there

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

const json::object* object_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr ? value->if_object() : nullptr;
}

// "https://host/v1/" and "host" are the same there.
std::string host_of(std::string_view key) {
  if (const size_t scheme = key.find("://"); scheme != std::string_view::npos) key.remove_prefix(scheme + 3);
  return std::string(key.substr(0, key.find('/')));
}

Result<std::optional<Credentials>> decode_auth(const json::object& entry, const std::string& host) {
  if (const std::string token = text_of(entry, "identitytoken"); !token.empty())
    return std::optional(Credentials{"<token>", token});
  const auto plain = from_base64(text_of(entry, "auth"));
  const size_t colon = plain ? plain->find(':') : std::string::npos;
  if (colon == std::string::npos) {
    if (const std::string user = text_of(entry, "username"); !user.empty())
      return std::optional(Credentials{user, text_of(entry, "password")});
    return std::optional<Credentials>();
  }
  std::string password = plain->substr(colon + 1);
  while (!password.empty() && password.back() == '\0') password.pop_back();
  if (plain->substr(0, colon).empty())
    return error(ErrorKind::kInvalidData, "the credentials for {} have no user", host);
  return std::optional(Credentials{plain->substr(0, colon), password});
}

Result<std::optional<Credentials>> ask_helper(const std::string& helper, const std::string& host, RunHelper run) {
  for (const char c : helper)
    if (c == '/' || c == '\0') return error(ErrorKind::kInvalidData, "'{}' is no name of a credential helper", helper);
  const auto answer = run(helper, host);
  if (!answer)
    return answer.error().kind == ErrorKind::kNotFound ? Result<std::optional<Credentials>>(std::nullopt)
                                                       : answer.error();
  boost::system::error_code failed;
  const json::value value = json::parse(*answer, failed);
  const json::object* object = failed ? nullptr : value.if_object();
  if (object == nullptr)
    return error(ErrorKind::kInvalidData, "docker-credential-{} answers with no JSON object", helper);
  const Credentials found{text_of(*object, "Username"), text_of(*object, "Secret")};
  return found.user.empty() ? std::optional<Credentials>() : std::optional(found);
}

// Runs docker-credential-NAME get, with the host on its standard input.
Result<std::string> run_program(const std::string& name, const std::string& host) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return io_error("make a pipe for", "a credential helper", errno);
  if (::pipe2(out, O_CLOEXEC) != 0) {
    const int code = errno;
    ::close(in[0]);
    ::close(in[1]);
    return io_error("make a pipe for", "a credential helper", code);
  }
  const std::string program = "docker-credential-" + name;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::string get = "get", program_name = program;
  char* const arguments[] = {program_name.data(), get.data(), nullptr};
  pid_t child = 0;
  const int code = ::posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  // A pipe takes a host's name whole; a helper that reads none of it gets no signal of ours.
  if (code == 0) [[maybe_unused]]
    const ssize_t n = ::write(in[1], host.data(), host.size());
  ::close(in[1]);
  std::string answer;
  std::array<char, 4096> buffer;
  ssize_t n = 0;
  while (code == 0 && answer.size() < kMost_answer_bytes && (n = ::read(out[0], buffer.data(), buffer.size())) > 0)
    answer.append(buffer.data(), static_cast<size_t>(n));
  ::close(out[0]);
  if (code != 0)
    return error(ErrorKind::kIo, "docker's configuration names {}, which cannot be run; install it", program);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0) return error(ErrorKind::kNotFound, "{} has none for {}", program, host);
  return answer;
}

}  // namespace

Result<std::optional<Credentials>> credentials_in(std::string_view docker_config, const std::string& host,
                                                  RunHelper run_helper) {
  boost::system::error_code failed;
  const json::value value = json::parse(json::string_view(docker_config.data(), docker_config.size()), failed);
  const json::object* config = failed ? nullptr : value.if_object();
  if (config == nullptr) return error(ErrorKind::kInvalidData, "it is no JSON object");
  const bool hub = host == "registry-1.docker.io" || host == "docker.io" || host == "index.docker.io";
  const std::string key = hub ? kDocker_hub : host;
  if (const json::object* helpers = object_of(*config, "credHelpers"))
    if (const std::string helper = text_of(*helpers, key); !helper.empty()) return ask_helper(helper, key, run_helper);
  if (const json::object* auths = object_of(*config, "auths")) {
    for (const json::key_value_pair& entry : *auths) {
      const std::string at(entry.key());
      if (at != key && host_of(at) != host_of(key)) continue;
      if (const json::object* object = entry.value().if_object()) {
        ASSIGN_OR_RETURN(const std::optional<Credentials> found, decode_auth(*object, at));
        if (found) return found;
      }
    }
  }
  const std::string store = text_of(*config, "credsStore");
  return store.empty() ? Result<std::optional<Credentials>>(std::nullopt) : ask_helper(store, key, run_helper);
}

Result<std::optional<Credentials>> find_credentials(const std::string& host) {
  const char* folder = std::getenv("DOCKER_CONFIG");
  const char* home = std::getenv("HOME");
  std::string path;
  if (folder != nullptr && *folder != '\0')
    path = std::string(folder) + "/config.json";
  else if (home != nullptr && *home != '\0')
    path = std::string(home) + "/.docker/config.json";
  if (path.empty()) return std::optional<Credentials>();
  const auto text = read_file(path);
  if (!text)
    return text.error().kind == ErrorKind::kNotFound ? Result<std::optional<Credentials>>(std::nullopt) : text.error();
  auto found = credentials_in(*text, host, run_program);
  if (!found) return error(found.error().kind, "{}: {}", path, found.error().message);
  return found;
}

}  // namespace hearth::registry
