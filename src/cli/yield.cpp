// hearth yield: memory of a GPU for another program, from a hearth that runs.
#include <boost/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/lease.h"
#include "cli/terminal.h"
#include "disk/guard.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

struct YieldOptions {
  std::string size;
  std::optional<std::string> end;
  LeaseWish wish;
  int gpu = -1;
};

Result<json::object> ask_object(const Remote& server, const char* method, const std::string& path,
                                const json::object& body) {
  ASSIGN_OR_RETURN(const std::string answer, server.ask(method, path, json::serialize(body)));
  boost::system::error_code failed;
  const json::value value = json::parse(answer, failed);
  if (failed || !value.is_object())
    return error(ErrorKind::kInvalidData, "{} answered something that is no JSON object", server.url());
  return value.get_object();
}

std::string text_of(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

uint64_t bytes_of(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code failed;
  const uint64_t bytes = value != nullptr && value->is_number() ? value->to_number<uint64_t>(failed) : 0;
  return failed ? 0 : bytes;
}

std::string how_text(const std::vector<std::string>& how) {
  return how.empty() ? "" : fmt::format(" ({})", fmt::join(how, "; "));
}

Status run(const YieldOptions& options) {
  ASSIGN_OR_RETURN(const Remote server, Remote::require());
  if (options.end) {
    TRY(end_lease(server, *options.end));
    return print(fmt::format("lease {} has ended\n", *options.end));
  }
  LeaseWish wish = options.wish;
  if (options.size.empty()) return error(ErrorKind::kUsage, "say how much memory is wanted: hearth yield 6GiB");
  ASSIGN_OR_RETURN(wish.bytes, disk::parse_size(options.size));
  if (options.gpu >= 0) wish.gpu = options.gpu;
  ASSIGN_OR_RETURN(const Lease lease, ask_for_lease(server, wish));
  if (!lease.complete) {
    (void)end_lease(server, lease.id);
    return error(ErrorKind::kBusy, "{} of {} are free, and no more could be freed in time{}",
                 size_text(lease.free_bytes), lease.gpu, how_text(lease.how));
  }
  return print(fmt::format("{} of {} are free until {}{}\nto give them back before: hearth yield --end {}\n",
                           size_text(lease.free_bytes), lease.gpu, lease.until, how_text(lease.how), lease.id));
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<YieldOptions>();
  arguments.text("SIZE", options->size, "Memory of a GPU that is to be free, e.g. 6GiB");
  arguments.text("--for", options->wish.hold, "For how long hearth leaves it alone (default: 10m)");
  arguments.number("--gpu", options->gpu, 0, 1023, "Which one, by CUDA's number (default: the one with most free)");
  arguments.number("--deadline-ms", options->wish.deadline_ms, 0u, 60'000u, "How long it may take (default: 5000)");
  arguments.text("--end", options->end, "Ends this lease instead");
  options->wish.holder = "hearth yield";
  return [options] { return run(*options); };
}

const Command kCommand = {"yield", "Free memory of a GPU for another program", configure};
const RegisterCommand registered(&kCommand);

}  // namespace

Result<Lease> ask_for_lease(const Remote& server, const LeaseWish& wish) {
  json::object body{{"bytes", wish.bytes},
                    {"for", wish.hold},
                    {"deadline_ms", wish.deadline_ms},
                    {"holder", wish.holder},
                    {"locked", wish.locked}};
  if (wish.gpu) body["gpu"] = *wish.gpu;
  ASSIGN_OR_RETURN(const json::object answer, ask_object(server, "POST", "/api/yield", body));
  Lease lease{text_of(answer, "lease"),
              text_of(answer, "gpu"),
              text_of(answer, "gpu_id"),
              text_of(answer, "until"),
              bytes_of(answer, "freed_bytes"),
              bytes_of(answer, "free_bytes"),
              false,
              {}};
  const json::value* complete = answer.if_contains("complete");
  lease.complete = complete != nullptr && complete->is_bool() && complete->get_bool();
  const json::value* how = answer.if_contains("how");
  if (how != nullptr && how->is_array())
    for (const json::value& what : how->get_array())
      if (what.is_string()) lease.how.emplace_back(what.get_string());
  return lease;
}

Status renew_lease(const Remote& server, const std::string& id, const std::string& hold) {
  const auto answer = ask_object(server, "POST", "/api/yield", {{"lease", id}, {"for", hold}});
  return answer ? Status() : answer.error();
}

Status end_lease(const Remote& server, const std::string& id) {
  const auto answer = server.ask("DELETE", "/api/yield/" + id);
  return answer ? Status() : answer.error();
}

}  // namespace hearth::cli
