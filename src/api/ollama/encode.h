// Answers in the form of Ollama's API.
#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <string>

#include "api/deliver.h"
#include "api/service.h"

namespace hearth::api::ollama {

// {"error": message}.
http::Response problem(unsigned status, const std::string& message);
unsigned status_of(ErrorKind kind);
// Of a request for `model`, with the status and the words that clients know.
http::Response failure(const Error& error, const std::string& model);

http::Response json_response(const std::string& body);
// RFC 3339 in UTC with nanoseconds.
std::string timestamp(std::chrono::system_clock::time_point time);

enum class Form { kGenerate, kChat };
// `warnings`: what of the request was ignored, for the header.
std::shared_ptr<AnswerWriter> make_writer(Form form, std::string model, std::vector<std::string> warnings);

// The reply to a request that only loads ("load") or lets go ("unload").
std::string load_reply(Form form, const std::string& model, std::string_view reason);

// The member `details` of a model.
boost::json::object details_json(const ModelSummary& model);
std::string tags(const std::vector<ModelSummary>& models);
// With what Ollama lacks: `placement`, `cause` and `remedy` where not all of a model is on GPUs, and `leases` if there
// are any.
std::string running(const std::vector<RunningModel>& models, const std::vector<LeasedMemory>& leases);

}  // namespace hearth::api::ollama
