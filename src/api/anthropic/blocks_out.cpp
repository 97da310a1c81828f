#include "api/anthropic/blocks_out.h"

#include "api/opaque.h"

namespace hearth::api::anthropic {
namespace {

namespace json = boost::json;
using Kind = chat::Delta::Kind;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

// Ours, whatever the model's family writes: clients look at the beginning.
static std::string client_id(const std::string& id) {
  constexpr std::string_view kOurs = "call_";
  return "toolu_" + (id.starts_with(kOurs) ? id.substr(kOurs.size()) : id);
}

void BlockStream::add(const chat::Delta& piece) {
  switch (piece.kind) {
    case Kind::kReasoning:
      if (form_.thinking) thinking(piece.text);
      return;
    case Kind::kContent:
      return text(piece.text);
    case Kind::kCallBegin:
      held_.clear();
      open(Block::kCall,
           {{"type", "tool_use"}, {"id", client_id(piece.id)}, {"name", piece.name}, {"input", json::object()}});
      has_arguments_ = false;
      return;
    case Kind::kArguments:
      if (piece.text.empty()) return;
      has_arguments_ = true;
      return delta("input_json_delta", "partial_json", piece.text);
    case Kind::kCallEnd:
      complete_calls_ += piece.complete ? 1 : 0;
      return close();
    case Kind::kProblem:
      return;
  }
}

void BlockStream::end() {
  held_.clear();
  close();
}

void BlockStream::open(Block block, json::object content) {
  close();
  block_ = block;
  emit_.event("content_block_start",
              {{"type", "content_block_start"}, {"index", index_}, {"content_block", std::move(content)}});
}

void BlockStream::close() {
  if (block_ == Block::kNone) return;
  if (block_ == Block::kThinking) delta("signature_delta", "signature", seal(thought_, form_.omits_thinking));
  if (block_ == Block::kCall && !has_arguments_) delta("input_json_delta", "partial_json", "{}");
  thought_.clear();
  block_ = Block::kNone;
  emit_.event("content_block_stop", {{"type", "content_block_stop"}, {"index", index_++}});
}

void BlockStream::text(const std::string& more) {
  if (block_ != Block::kText) {
    held_ += more;
    if (is_blank(held_)) return;
    open(Block::kText, {{"type", "text"}, {"text", ""}});
  } else {
    held_ = more;
  }
  delta("text_delta", "text", std::exchange(held_, {}));
}

void BlockStream::thinking(const std::string& more) {
  if (more.empty()) return;
  held_.clear();
  if (block_ != Block::kThinking) open(Block::kThinking, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
  thought_ += more;
  if (!form_.omits_thinking) delta("thinking_delta", "thinking", more);
}

void BlockStream::delta(const char* kind, const char* member, std::string_view text) const {
  emit_.delta(index_, kind, member, text);
}

void BlockList::add(std::string_view kind, const char* member, std::string_view text) {
  if (kind == "input_json_delta")
    input_ += text;
  else
    blocks_.back().as_object()[member].as_string().append(text);
}

void BlockList::take(std::string_view type, const json::object& data) {
  if (type == "content_block_start") {
    blocks_.push_back(data.at("content_block"));
    input_.clear();
  } else if (blocks_.back().at("type") == "tool_use") {
    boost::system::error_code fault;
    json::value input = json::parse(input_, fault);
    if (!fault && input.is_object())
      blocks_.back().as_object()["input"] = std::move(input);
    else
      blocks_.pop_back();
  } else if (blocks_.back().at("type") == "text") {
    blocks_.back().as_object()["citations"] = nullptr;
  }
}

json::array BlockList::blocks() && {
  return std::move(blocks_);
}

}  // namespace hearth::api::anthropic
