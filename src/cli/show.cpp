// hearth show: what a model is, and what it would take to run it.
#include <boost/json.hpp>
#include <filesystem>

#include "base/error.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/remote.h"
#include "cli/terminal.h"
#include "fleet/find_model.h"
#include "fleet/model_page.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string model;
  fleet::PageOptions page;
};

// The page as the server makes it, whose models and memory may be others than those here.
Status show_through(const Remote& server, const Options& options) {
  const json::object page{
      {"context", options.page.context}, {"kv_type", options.page.kv_type}, {"tensors", options.page.tensors}};
  const std::string body = json::serialize(json::object{{"model", options.model}, {"page", page}});
  ASSIGN_OR_RETURN(const std::string reply, server.ask("POST", "/api/show", body));
  boost::system::error_code failed;
  const json::value value = json::parse(reply, failed);
  const json::value* text = failed || !value.is_object() ? nullptr : value.get_object().if_contains("page");
  if (text == nullptr || !text->is_string())
    return error(ErrorKind::kInvalidData, "the server at {} shows no page; it may be older than this program",
                 server.url());
  return print(std::string(text->get_string()));
}

Status run(const Options& options) {
  std::error_code ignored;
  if (!std::filesystem::exists(options.model, ignored)) {
    const auto server = Remote::find();
    if (server && *server) return show_through(**server, options);
  }
  ASSIGN_OR_RETURN(store::ModelFiles found, fleet::find_model(options.model));
  // The name that a server has it under.
  if (const auto named = fleet::find_named_model(options.model); named && named->model == found.model)
    found.name = named->name;
  ASSIGN_OR_RETURN(const std::string page, fleet::model_page(found, options.page));
  return print(page);
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  add_model_argument(arguments, options->model);
  arguments.number("--ctx", options->page.context, 1u, 1u << 30, "Tokens of context for the memory estimate");
  arguments.choice("--kv-type", options->page.kv_type, {"f16", "q8_0", "f32"},
                   "Type of the key and value cache for the memory estimate (default: f16)");
  arguments.flag("--tensors", options->page.tensors, "List every tensor with its type, size and shape");
  return [options] { return run(*options); };
}

const Command kCommand = {"show", "Show what a model is and what memory it needs", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
