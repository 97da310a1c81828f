// hearth list, ps, stop, cp, rm: the models of a hearth that serves, as Ollama's commands of these names show them.
#include <boost/json.hpp>
#include <ctime>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/remote.h"
#include "cli/since.h"
#include "cli/terminal.h"
#include "serve/catalog.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;
using Row = std::vector<std::string>;

// Columns as wide as their widest entry, as Ollama has them.
std::string table(const std::vector<Row>& rows) {
  constexpr size_t kGap = 4;
  std::vector<size_t> widths(rows.front().size());
  for (const Row& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) text += fmt::format("{:<{}}", row[i], widths[i] + kGap);
    text += '\n';
  }
  return text;
}

Result<json::array> models_of(const std::string& body) {
  boost::system::error_code failed;
  const json::value value = json::parse(body, failed);
  const json::object* object = failed ? nullptr : value.if_object();
  const json::value* models = object != nullptr ? object->if_contains("models") : nullptr;
  if (models == nullptr || !models->is_array())
    return error(ErrorKind::kInvalidData, "the server answers with no list");
  return models->get_array();
}

std::string text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? printable(std::string_view(value->get_string())) : std::string();
}
uint64_t number(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<uint64_t>() : 0;
}
std::string short_digest(const std::string& digest) {
  constexpr size_t kShown = 12;
  return digest.empty() ? "-" : digest.substr(0, kShown);
}

// "4.7 GB", as Ollama writes sizes.
std::string decimal_size(uint64_t bytes) {
  constexpr std::pair<double, const char*> kUnits[] = {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "KB"}};
  for (const auto& [unit, name] : kUnits) {
    const double value = static_cast<double>(bytes) / unit;
    if (value >= 1) return value >= 10 ? fmt::format("{:.0f} {}", value, name) : fmt::format("{:.1f} {}", value, name);
  }
  return fmt::format("{} B", bytes);
}

struct ListOptions {
  std::optional<std::string> prefix;
};
bool wanted(const ListOptions& options, const std::string& name) {
  return !options.prefix || name.starts_with(*options.prefix);
}

Status list(const ListOptions& options) {
  ASSIGN_OR_RETURN(const std::optional<Remote> server, Remote::find());
  std::vector<Row> rows = {{"NAME", "ID", "SIZE", "MODIFIED"}};
  const auto add = [&](const std::string& name, const std::string& digest, uint64_t bytes, int64_t modified) {
    if (wanted(options, name)) rows.push_back({name, short_digest(digest), decimal_size(bytes), since_text(modified)});
  };
  if (!server) {  // the models are there all the same
    for (const api::ModelSummary& model : serve::Catalog().list())
      add(printable(model.name), model.digest, model.bytes, model.modified);
    return print(table(rows));
  }
  ASSIGN_OR_RETURN(const std::string body, server->ask("GET", "/api/tags"));
  ASSIGN_OR_RETURN(const json::array models, models_of(body));
  for (const json::value& model : models) {
    const json::object* object = model.if_object();
    if (object == nullptr) continue;
    add(text(*object, "name"), text(*object, "digest"), number(*object, "size"),
        parse_time(text(*object, "modified_at")));
  }
  return print(table(rows));
}

// "100% GPU", "48%/52% CPU/GPU".
std::string processor(uint64_t bytes, uint64_t on_gpu) {
  if (bytes == 0) return "Unknown";
  if (on_gpu == 0) return "100% CPU";
  if (on_gpu >= bytes) return "100% GPU";
  const auto cpu = static_cast<int>(static_cast<double>(bytes - on_gpu) * 100 / static_cast<double>(bytes) + 0.5);
  return fmt::format("{}%/{}% CPU/GPU", cpu, 100 - cpu);
}

// What of the GPUs' memory other programs were promised, a line each.
std::string leases_text(const std::string& body) {
  boost::system::error_code code;
  const json::value reply = json::parse(body, code);
  const json::value* leases = code || !reply.is_object() ? nullptr : reply.get_object().if_contains("leases");
  std::string lines;
  if (leases == nullptr || !leases->is_array()) return lines;
  for (const json::value& one : leases->get_array()) {
    const json::object* lease = one.if_object();
    if (lease == nullptr) continue;
    const std::string holder = text(*lease, "holder");
    lines += fmt::format("note: {} of {} are kept free for {}; that ends {}\n", size_text(number(*lease, "bytes")),
                         text(*lease, "gpu"), holder.empty() ? "another program" : holder,
                         until_text(parse_time(text(*lease, "until"))));
  }
  return lines;
}

Status ps(const ListOptions& options) {
  ASSIGN_OR_RETURN(const Remote server, Remote::require());
  ASSIGN_OR_RETURN(const std::string body, server.ask("GET", "/api/ps"));
  ASSIGN_OR_RETURN(const json::array models, models_of(body));
  std::vector<Row> rows = {{"NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"}};
  std::string reasons;
  for (const json::value& model : models) {
    const json::object* object = model.if_object();
    if (object == nullptr || !wanted(options, text(*object, "name"))) continue;
    const std::string name = text(*object, "name");
    rows.push_back({name, short_digest(text(*object, "digest")), decimal_size(number(*object, "size")),
                    processor(number(*object, "size"), number(*object, "size_vram")),
                    std::to_string(number(*object, "context_length")),
                    until_text(parse_time(text(*object, "expires_at")))});
    if (const std::string cause = text(*object, "cause"); !cause.empty()) {
      const std::string remedy = text(*object, "remedy");
      reasons += fmt::format("note: {}: {}{}{}\n", name, cause, remedy.empty() ? "" : "; ", remedy);
    }
  }
  TRY(print(table(rows)));
  reasons += leases_text(body);
  if (!reasons.empty()) print_note(reasons.substr(0, reasons.size() - 1));
  return {};
}

std::string model_json(const std::string& model) {
  return json::serialize(json::object{{"model", model}});
}

Status stop(const std::string& model) {
  ASSIGN_OR_RETURN(const Remote server, Remote::require());
  const std::string body = json::serialize(json::object{{"model", model}, {"keep_alive", 0}});
  const auto done = server.ask("POST", "/api/generate", body);
  return done ? Status() : Status(done.error());
}

Status copy(const std::string& source, const std::string& destination) {
  ASSIGN_OR_RETURN(const Remote server, Remote::require());
  const std::string body = json::serialize(json::object{{"source", source}, {"destination", destination}});
  ASSIGN_OR_RETURN([[maybe_unused]] const std::string done, server.ask("POST", "/api/copy", body));
  return print(fmt::format("copied '{}' to '{}'\n", source, destination));
}

Status remove(const std::vector<std::string>& models) {
  if (models.empty()) return error(ErrorKind::kUsage, "there is no model named (see hearth rm --help)");
  ASSIGN_OR_RETURN(const Remote server, Remote::require());
  for (const std::string& model : models) {
    // One that is loaded would hold the file's place on the disk.
    const std::string unload = json::serialize(json::object{{"model", model}, {"keep_alive", 0}});
    ASSIGN_OR_RETURN([[maybe_unused]] const std::string unloaded, server.ask("POST", "/api/generate", unload));
    ASSIGN_OR_RETURN([[maybe_unused]] const std::string done, server.ask("DELETE", "/api/delete", model_json(model)));
    TRY(print(fmt::format("deleted '{}'\n", model)));
  }
  return {};
}

Action configure_list(Arguments& arguments, Status (*run)(const ListOptions&)) {
  const auto options = std::make_shared<ListOptions>();
  arguments.text("PREFIX", options->prefix, "Only models whose names begin so");
  return [options, run] { return run(*options); };
}

Action configure_stop(Arguments& arguments) {
  const auto model = std::make_shared<std::string>();
  arguments.required_text("MODEL", *model, "A name as in \"hearth ps\"");
  return [model] { return stop(*model); };
}

Action configure_copy(Arguments& arguments) {
  const auto names = std::make_shared<std::pair<std::string, std::string>>();
  arguments.required_text("SOURCE", names->first, "A name as in \"hearth list\"");
  arguments.required_text("DESTINATION", names->second, "The new name");
  return [names] { return copy(names->first, names->second); };
}

Action configure_remove(Arguments& arguments) {
  const auto models = std::make_shared<std::vector<std::string>>();
  arguments.words("MODEL", *models, "Names as in \"hearth list\"");
  return [models] { return remove(*models); };
}

const Command kList = {"list", "List the models that are here", [](Arguments& a) { return configure_list(a, list); }};
const Command kLs = {"ls", "The same as list", kList.configure};
const Command kPs = {"ps", "List the models that are loaded", [](Arguments& a) { return configure_list(a, ps); }};
const Command kStop = {"stop", "Unload a model", configure_stop};
const Command kCopy = {"cp", "Give a model another name beside its own", configure_copy};
const Command kRemove = {"rm", "Remove models", configure_remove};
const RegisterCommand registered[] = {RegisterCommand(&kList), RegisterCommand(&kLs),   RegisterCommand(&kPs),
                                      RegisterCommand(&kStop), RegisterCommand(&kCopy), RegisterCommand(&kRemove)};

}  // namespace
}  // namespace hearth::cli
