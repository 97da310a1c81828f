// GET /v1/models: one body that OpenAI's, Anthropic's and Codex' clients can all read.
#pragma once

#include <boost/json.hpp>
#include <memory>
#include <string>
#include <vector>

#include "api/service.h"

namespace hearth::api {

// A part of the list, as Anthropic's clients ask for one. Not given: all.
struct Page {
  std::optional<size_t> limit = {};
  std::string after = {}, before = {};  // ids
};

boost::json::object models_list(const std::vector<ModelSummary>& models, const Page& page);
boost::json::object model_entry(const ModelSummary& model, const std::string& id);
// The one that is meant: by its name, or without ":latest", in any case of letters. Null if there is none.
const ModelSummary* find_model(const std::vector<ModelSummary>& models, const std::string& name);
// "the models here: demo:latest, llama3:8b"
std::string models_here(const Service& service);
// The service, whose answer() says so where a model is not found: it helps whoever has mistyped a name.
Service naming_models(std::shared_ptr<const Service> service);

// A name that nobody here has may stand for another model: some clients' are fixed. Then that takes its place, and a
// warning says so.
void substitute(const Service& service, std::string& model, std::vector<std::string>& warnings);

}  // namespace hearth::api
