// A request of OpenAI's API (https://platform.openai.com/docs/api-reference) as hearth's own.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/json.h"
#include "api/service.h"

namespace hearth::api::openai {

// What of a request decides the form of the reply.
struct ReplyForm {
  std::string model;                                                       // as the request names it
  std::set<std::string> custom_tools = {};                                 // whose input is a text
  std::map<std::string, std::pair<std::string, std::string>> spaces = {};  // of tools in namespaces: that, and the name
  bool reasoning = true;                                                   // is shown
  bool shows_stop = false;                                                 // the stop text is part of the answer
  bool timings = false;
  size_t prompts = 1, answers = 1;               // answers to each prompt
  std::optional<std::string> service_tier = {};  // only if the request has one
  std::vector<std::string> echoes = {};          // of completions: each prompt, which its answers begin with
};

struct Ask {
  std::vector<AnswerRequest> requests = {};  // one; of completions one for each prompt
  bool stream = false, include_usage = false;
  std::vector<std::string> warnings = {};  // "parameter=why it is dropped"
  ReplyForm form = {};
};

// Errors: kUsage, with `blame` set.
Result<Ask> decode_chat(std::string_view body, Blame* blame);
Result<Ask> decode_completion(std::string_view body, Blame* blame);

// --- What several routes have in common; errors as above.

// The options of sampling, limits, keep_alive, and what peers have beside them. `named_most`: the fields that limit the
// answer, the one that wins first.
Status decode_settings(const Fields& fields, const std::vector<std::string>& named_most, AnswerRequest& request,
                       Ask& ask);
// reasoning_effort and its other names.
Status decode_thinking(const Fields& fields, AnswerRequest& request, std::vector<std::string>& warnings);
// response_format and its other names.
Status decode_format(const Fields& fields, AnswerRequest& request);
// {"type": "json_schema", "name", "schema", "strict"}: flat, or with these members in json_schema.
Status decode_form(const Fields& fields, Format& format);
// tools, tool_choice and parallel_tool_calls of chat completions.
Status decode_tools(const Fields& fields, ChatInput& input, Ask& ask);
// A function as it stands in a list of tools; adds it.
Status add_function(const Fields& function, ChatInput& input, Ask& ask);
// The name of a tool in a namespace, for the model.
std::string joined_name(const std::string& space, const std::string& name);
// A tool whose input is a text: for the model a function with one parameter.
Status add_custom(const Fields& custom, ChatInput& input, Ask& ask);
// Whether the choice fits the tools.
Status check_choice(const Fields& fields, const ChatInput& input);
Result<std::vector<chat::Message>> decode_messages(const Fields& fields, std::vector<std::string>& warnings);
// A text, or a list of parts; pictures become marks, sounds are refused by name.
Result<std::string> decode_content(const Fields& fields, std::string_view name);
// Arguments of a call that a client gives back: the JSON text of an object, whatever they are.
std::string repaired_arguments(const boost::json::value* arguments, std::string_view path,
                               std::vector<std::string>& warnings);

// Members that are refused if they have a value, and names that are known; others are warned about.
Status refuse_known(const Fields& fields, std::initializer_list<std::string_view> names);
void warn_unknown(const Fields& fields, std::initializer_list<std::string_view> known,
                  std::vector<std::string>& warnings);

}  // namespace hearth::api::openai
