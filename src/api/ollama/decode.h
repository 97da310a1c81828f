// Requests of Ollama's API (https://github.com/ollama/ollama/blob/main/docs/api.md) as hearth's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/json.h"
#include "api/service.h"

namespace hearth::api::ollama {

// A request of /api/generate or /api/chat.
struct Ask {
  AnswerRequest request;
  bool stream = true;
  bool load_only = false;  // nothing to answer: the model is loaded, or, with unload, let go
  bool unload = false;
  bool render_only = false;                // the prompt is wanted
  std::vector<std::string> warnings = {};  // what was ignored, as "name=why"
};

// Errors: kUsage, with what is wrong.
Result<Ask> decode_generate(std::string_view body);
Result<Ask> decode_chat(std::string_view body);

// Members of a request that are none of these, which change nothing.
void warn_unknown(const Fields& fields, std::initializer_list<std::string_view> known,
                  std::vector<std::string>& warnings);

// The field `options`. What is not known is ignored, with a warning. Errors: kUsage.
Status decode_options(const Fields& fields, AnswerRequest& request, std::vector<std::string>& warnings);

// A JSON number of seconds, or a duration as Go writes it ("5m", "-1s", "1.5h"); a text without a unit only if it is
// zero.
Result<Nanoseconds> decode_keep_alive(const boost::json::value& value);

// Ollama's mark of a model in its cloud, of which none is served here.
bool is_cloud(const std::string& model);

// Of the field `model`, or its older name `name`, without the blanks around it; empty if absent.
Result<std::string> decode_model(const Fields& fields);

}  // namespace hearth::api::ollama
