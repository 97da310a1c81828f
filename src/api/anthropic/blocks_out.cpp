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
      open(Block::kCall, {{"type", "tool_use"}, {"id", client_id(piece.id)}, {"name", piece.name},
                          {"input", json::object()}});
      has_arguments_ = false;
      return;
    case Kind::kArguments:
      if (piece.text.empty()) return;
      has_arguments_ = true;
      return delta({{"type", "input_json_delta"}, {"partial_json", piece.text}});
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
  emit_("content_block_start", {{"type", "content_block_start"}, {"index", index_}, {"content_block", std::move(content)}});
}

void BlockStream::close() {
  if (block_ == Block::kNone) return;
  if (block_ == Block::kThinking)
    delta({{"type", "signature_delta"}, {"signature", seal(thought_, form_.omits_thinking)}});
  if (block_ == Block::kCall && !has_arguments_) delta({{"type", "input_json_delta"}, {"partial_json", "{}"}});
  thought_.clear();
  block_ = Block::kNone;
  emit_("content_block_stop", {{"type", "content_block_stop"}, {"index", index_++}});
}

void BlockStream::text(const std::string& more) {
  if (block_ != Block::kText) {
    held_ += more;
    if (is_blank(held_)) return;
    open(Block::kText, {{"type", "text"}, {"text", ""}});
  } else {
    held_ = more;
  }
  delta({{"type", "text_delta"}, {"text", std::exchange(held_, {})}});
}

void BlockStream::thinking(const std::string& more) {
  if (more.empty()) return;
  held_.clear();
  if (block_ != Block::kThinking) open(Block::kThinking, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
  thought_ += more;
  if (!form_.omits_thinking) delta({{"type", "thinking_delta"}, {"thinking", more}});
}

void BlockStream::delta(json::object object) {
  emit_("content_block_delta", {{"type", "content_block_delta"}, {"index", index_}, {"delta", std::move(object)}});
}

void BlockList::take(std::string_view type, const json::object& data) {
  const auto grow = [&](const char* member, const json::value& more) {
    json::string& text = blocks_.back().as_object()[member].as_string();
    text.append(more.as_string());
  };
  if (type == "content_block_start") {
    blocks_.push_back(data.at("content_block"));
    input_.clear();
  } else if (type == "content_block_delta") {
    const json::object& delta = data.at("delta").as_object();
    const json::string& kind = delta.at("type").as_string();
    if (kind == "text_delta") grow("text", delta.at("text"));
    if (kind == "thinking_delta") grow("thinking", delta.at("thinking"));
    if (kind == "signature_delta") grow("signature", delta.at("signature"));
    if (kind == "input_json_delta") input_ += std::string_view(delta.at("partial_json").as_string());
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
