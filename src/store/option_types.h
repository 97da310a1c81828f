// The options that a model can bring along, and what kind of value each has. Names and kinds are Ollama's
// (api/types.go, Options), so that it reads what is written here.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::store {

// Sets one from text, as a Modelfile has it; of "stop" every call adds one. An option that is of no use any more is
// left out, and `notes` tells. Errors: kUsage (an unknown name, a value of another kind).
Status set_option(boost::json::object& options, std::string_view name, std::string_view value,
                  std::vector<std::string>* notes);

// Sets all of `from`, as a request has them. Errors: kUsage.
Status set_options(boost::json::object& options, const boost::json::object& from, std::vector<std::string>* notes);

}  // namespace hearth::store
