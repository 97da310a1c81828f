#include "chat/repair.h"

#include <fmt/format.h>

#include <deque>

#include "chat/generic.h"
#include "chat/json_scanner.h"

namespace hearth::chat {
namespace {

void append_paragraph(std::string_view text, std::string* to) {
  if (!to->empty() && !text.empty()) *to += "\n\n";
  *to += text;
}

// Ids of calls that have none, and the ids and names that results lack: those of the next call that is unanswered.
void complete_ids(std::vector<Message>& messages) {
  std::deque<const ToolCall*> open;
  size_t number = 0;
  for (Message& message : messages) {
    if (message.role == "assistant") open.clear();
    for (ToolCall& call : message.calls) {
      ++number;
      if (call.id.empty()) call.id = fmt::format("call_{:08}", number);
      open.push_back(&call);
    }
    if (message.role != "tool" || open.empty()) continue;
    const auto fits = [&](const ToolCall* call) {
      if (!message.call_id.empty()) return call->id == message.call_id;
      return message.tool_name.empty() || call->name == message.tool_name;
    };
    auto found = std::ranges::find_if(open, fits);
    if (found == open.end()) {
      if (!message.call_id.empty()) continue;
      found = open.begin();
    }
    message.call_id = (*found)->id;
    if (message.tool_name.empty()) message.tool_name = (*found)->name;
    open.erase(found);
  }
}

std::string generic_calls(const std::vector<ToolCall>& calls) {
  const auto object = [](const ToolCall& call) {
    std::string name;
    append_escaped(call.name, &name);
    return fmt::format(R"({{"name": "{}", "arguments": {}}})", name, as_json(call.arguments).value_or("{}"));
  };
  if (calls.size() == 1) return fmt::format(R"({{"tool_call": {}}})", object(calls[0]));
  std::string list;
  for (const ToolCall& call : calls) list += (list.empty() ? "" : ", ") + object(call);
  return fmt::format(R"({{"tool_calls": [{}]}})", list);
}

std::string result_text(const Message& result) {
  return fmt::format("Result of {}:\n{}", result.tool_name.empty() ? "the tool" : result.tool_name, result.content);
}

class Repair {
 public:
  Repair(const Capabilities& can, const RepairOptions& options) : can_(can), options_(options) {}

  std::vector<Message> run(std::span<const Message> messages) {
    std::vector<Message> all = with_instruction(messages);
    complete_ids(all);
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].calls.size() > 1 && !as_text() && !can_.parallel_calls) {
        i = split(all, i);
      } else {
        take(std::move(all[i]));
      }
    }
    if (!waiting_.empty()) push({.role = "user", .content = std::exchange(waiting_, {})});
    return std::move(out_);
  }

 private:
  bool as_text() const { return options_.generic || !can_.tool_calls; }

  std::vector<Message> with_instruction(std::span<const Message> messages) const {
    std::vector<Message> all(messages.begin(), messages.end());
    if (options_.generic_tools.empty()) return all;
    if (all.empty() || all[0].role != "system") all.insert(all.begin(), {.role = "system", .content = {}});
    append_paragraph(generic_instruction(options_.generic_tools), &all[0].content);
    return all;
  }

  void take(Message message) {
    if (message.role == "developer" && !can_.developer_role) message.role = "system";
    if (message.role == "function" || message.role == "ipython") message.role = "tool";
    if (message.role == "system") return take_system(std::move(message));
    if (message.role == "tool" && (options_.generic || !can_.tool_results)) {
      message = {.role = "user", .content = result_text(message)};
    }
    if (!message.calls.empty() && as_text()) {
      append_paragraph(generic_calls(message.calls), &message.content);
      message.calls.clear();
    }
    if (message.role == "user" && !waiting_.empty()) {
      append_paragraph(message.content, &waiting_);
      message.content = std::exchange(waiting_, {});
    }
    push(std::move(message));
  }

  void take_system(Message message) {
    const bool first = out_.empty() || (out_.size() == 1 && out_[0].role == "system");
    if (can_.system_role && first && !out_.empty()) {
      append_paragraph(message.content, &out_[0].content);
    } else if (can_.system_role && (first || can_.late_system)) {
      out_.push_back(std::move(message));
    } else {
      append_paragraph(message.content, &waiting_);
    }
  }

  void push(Message message) {
    if (can_.repeated_role || out_.empty() || out_.back().role != message.role || message.role == "tool") {
      out_.push_back(std::move(message));
      return;
    }
    Message& last = out_.back();
    append_paragraph(message.content, &last.content);
    append_paragraph(message.reasoning, &last.reasoning);
    for (ToolCall& call : message.calls) last.calls.push_back(std::move(call));
  }

  // Each call and its result in messages of their own. Returns the last message that was taken.
  size_t split(std::vector<Message>& all, size_t at) {
    Message whole = std::move(all[at]);
    size_t end = at + 1;
    while (end < all.size() && all[end].role == "tool") ++end;
    std::vector<ToolCall> calls = std::exchange(whole.calls, {});
    for (ToolCall& call : calls) {
      const std::string id = call.id;
      Message one = std::exchange(whole, {.role = "assistant", .content = {}});
      one.calls.push_back(std::move(call));
      take(std::move(one));
      for (size_t i = at + 1; i < end; ++i) {
        if (all[i].role == "tool" && all[i].call_id == id) take(std::exchange(all[i], {}));
      }
    }
    for (size_t i = at + 1; i < end; ++i) {
      if (all[i].role == "tool") take(std::move(all[i]));  // an answer to no call
    }
    return end - 1;
  }

  const Capabilities& can_;
  const RepairOptions& options_;
  std::vector<Message> out_;
  std::string waiting_;  // system messages that go into the user's next message
};

}  // namespace

std::vector<Message> repair(std::span<const Message> messages, const Capabilities& can, const RepairOptions& options) {
  return Repair(can, options).run(messages);
}

}  // namespace hearth::chat
