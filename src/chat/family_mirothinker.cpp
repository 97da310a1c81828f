// MiroThinker: calls of MCP servers' tools in tags, with JSON arguments.
#include "chat/family.h"
#include "chat/named_json.h"

namespace hearth::chat {
namespace {

const NamedJsonForm kForm{.name_ends = {"<arguments>"}, .name_begins = "<tool_name>", .name_stops = "</tool_name>"};

const Family kMiroThinker{.name = "mirothinker",
                          .rank = 60,
                          .marks = {{"<use_mcp_tool>"}},
                          .markup = {.openers = {{"<use_mcp_tool>",
                                                  [](const Markers& m) -> std::unique_ptr<CallReader> {
                                                    return std::make_unique<NamedJson>(kForm, m);
                                                  }}},
                                     .closers = {"</arguments>", "</use_mcp_tool>"}}};
const RegisterFamily registered(&kMiroThinker);

}  // namespace
}  // namespace hearth::chat
