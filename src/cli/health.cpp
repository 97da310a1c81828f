// hearth health: whether the server answers and can be sent requests, for health checks of containers and services.
#include <boost/json.hpp>

#include "base/error.h"
#include "base/outside_text.h"
#include "cli/command.h"
#include "cli/remote.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

std::string text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? printable(std::string_view(value->get_string())) : std::string();
}

// "ok", or "degraded" and a line for each reason.
Result<std::string> report(const std::string& body) {
  boost::system::error_code failed;
  const json::value value = json::parse(body, failed);
  const json::object* object = failed ? nullptr : value.if_object();
  if (object == nullptr || text(*object, "status").empty())
    return error(ErrorKind::kInvalidData, "the server's answer to /health has no \"status\"");
  std::string lines = text(*object, "status") + "\n";
  const json::value* reasons = object->if_contains("reasons");
  if (reasons == nullptr || !reasons->is_array()) return lines;
  for (const json::value& entry : reasons->get_array()) {
    if (!entry.is_object()) continue;
    const json::object& reason = entry.get_object();
    const std::string remedy = text(reason, "remedy");
    lines += fmt::format("{}: {}{}{}\n", text(reason, "id"), text(reason, "cause"), remedy.empty() ? "" : "; ", remedy);
  }
  return lines;
}

struct Options {
  bool live = false, json = false;
};

Status run(const Options& options) {
  ASSIGN_OR_RETURN(const Remote server, Remote::require());
  const std::string path = options.live ? "/health/live" : "/health";
  ASSIGN_OR_RETURN(const http::Response response, server.look(path));
  const unsigned status = response.head.status;
  if (status != 200 && status != 503) return error(ErrorKind::kIo, "{}{} answers {}", server.url(), path, status);
  if (options.json) {
    TRY(print(response.body + "\n"));
  } else {
    ASSIGN_OR_RETURN(const std::string lines, report(response.body));
    TRY(print(lines));
  }
  return status == 200 ? Status() : error(ErrorKind::kIo, "the server at {} can take no requests now", server.url());
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.flag("--live", options->live, "Only whether it answers at all, whatever is wrong");
  arguments.flag("--json", options->json, "Print the server's answer as it is");
  return [options] { return run(*options); };
}

const Command kCommand = {"health", "Ask the server how it is; exit code 0 if it can be sent requests", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
