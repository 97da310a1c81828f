#include "chat/chat_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/fnv1a.h"
#include "chat/call_frame.h"
#include "chat/exact_json.h"
#include "chat/learn.h"
#include "chat/picture_marks.h"
#include "chat/repair.h"

namespace hearth::chat {
namespace {

// One text behind the other; what a system message says is a paragraph.
constexpr std::string_view kPlain =
    "{% for m in messages %}{{ m.content }}{% if m.role == 'system' %}{{ '\\n\\n' }}{% endif %}{% endfor %}";

using templates::Origin;
using templates::Rendered;

void append(std::string_view text, Origin origin, Rendered* to) {
  if (text.empty()) return;
  to->text += text;
  if (to->pieces.empty() || to->pieces.back().origin != origin) to->pieces.push_back({0, origin});
  to->pieces.back().end = to->text.size();
}

std::string_view behind_last_input(const Rendered& rendered) {
  const bool ends_in_input = !rendered.pieces.empty() && rendered.pieces.back().origin == Origin::kUser;
  if (ends_in_input) return {};
  const size_t count = rendered.pieces.size();
  return std::string_view(rendered.text).substr(count >= 2 ? rendered.pieces[count - 2].end : 0);
}

bool thinks(const Capabilities& can) {
  return can.thinking_switch || can.thinking_levels || can.reasoning_history;
}

// Ollama's rule (ollama's server/prompt selection): the GGUF's template wins where it offers more and does not write
// calls and their results worse; or as much, tools among it, where only it writes those.
bool prefers_jinja(const Capabilities& jinja, const Capabilities& ollama) {
  const bool at_least = jinja.tools >= ollama.tools && thinks(jinja) >= thinks(ollama);
  if (!at_least) return false;
  const bool more = jinja.tools > ollama.tools || thinks(jinja) > thinks(ollama);
  if (more) return !ollama.round_trip() || jinja.round_trip();
  return jinja.tools && jinja.round_trip() && !ollama.round_trip();
}

}  // namespace

ChatFacts read_facts(const gguf::File& file, const text::Tokenizer& tokenizer, std::string ollama_template) {
  ChatFacts facts;
  facts.jinja = file.string_or("tokenizer.chat_template", "");
  facts.jinja_for_tools = file.string_or("tokenizer.chat_template.tool_use", "");
  facts.ollama = std::move(ollama_template);
  const auto text = [&](text::Token token) {
    return token == text::kNoToken ? std::string() : tokenizer.piece(token, true);
  };
  facts.texts = {text(tokenizer.bos()), text(tokenizer.eos())};
  for (size_t i = 0; i < tokenizer.size(); ++i) {
    const auto token = static_cast<text::Token>(i);
    if (tokenizer.is_special(token)) facts.vocabulary.push_back({token, text(token)});
  }
  return facts;
}

ChatModel::ChatModel(ChatFacts facts, std::shared_ptr<const text::Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)), raw_(facts.raw) {
  if (!raw_) choose(facts);
  if (usual_.renderer == nullptr) {
    usual_ = compile(make_jinja_renderer(kPlain, {}), "the plain form");
    template_name_ = raw_ ? "none: the prompt is used as it is" : "none: texts are put one after the other";
  }
  recognise_format(facts);
}

ChatModel::~ChatModel() = default;

ChatModel::Compiled ChatModel::compile(Result<std::unique_ptr<Renderer>> renderer, std::string_view what) {
  if (!renderer) {
    notes_.push_back(fmt::format("{} cannot be used: {}", what, renderer.error().message));
    return {};
  }
  Compiled out{std::move(*renderer), {}};
  out.can = probe(*out.renderer);
  if (out.can.renders) return out;
  const auto trial = out.renderer->render({.messages = R"([{"role":"user","content":"a"}])"});
  if (trial) {
    notes_.push_back(fmt::format("{} does not write what the user says, so it is not used", what));
    return {};
  }
  notes_.push_back(fmt::format("{} failed in every trial: {}", what, trial.error().message));
  return out;
}

void ChatModel::choose(const ChatFacts& facts) {
  Compiled jinja, for_tools, ollama;
  if (!facts.jinja.empty()) jinja = compile(make_jinja_renderer(facts.jinja, facts.texts), "the chat template");
  if (!facts.jinja_for_tools.empty())
    for_tools = compile(make_jinja_renderer(facts.jinja_for_tools, facts.texts), "the chat template for tools");
  if (facts.ollama.find(".Suffix") != std::string::npos) {
    if (auto renderer = make_ollama_renderer(facts.ollama)) for_suffix_ = std::move(*renderer);
  }
  if (!facts.ollama.empty()) ollama = compile(make_ollama_renderer(facts.ollama), "the TEMPLATE of the Ollama model");
  const Compiled& richest = for_tools.renderer ? for_tools : jinja;
  const bool ollama_wins =
      ollama.renderer && (!richest.renderer || facts.prefers_ollama.value_or(!prefers_jinja(richest.can, ollama.can)));
  if (ollama_wins) {
    usual_ = std::move(ollama);
    template_text_ = facts.ollama;
    template_name_ = "the Ollama model's TEMPLATE (Go)";
  } else if (jinja.renderer || for_tools.renderer) {
    template_text_ = jinja.renderer ? facts.jinja : facts.jinja_for_tools;
    template_name_ =
        for_tools.renderer && jinja.renderer ? "the file's (Jinja), another with tools" : "the file's (Jinja)";
    usual_ = std::move(jinja.renderer ? jinja : for_tools);
    if (usual_.renderer != nullptr && for_tools.renderer != nullptr) for_tools_ = std::move(for_tools);
  }
}

// By the template in use; where it shows no calls of tools, by another that the model has.
void ChatModel::recognise_format(const ChatFacts& facts) {
  std::vector<std::string> texts = {template_text_};
  if (for_tools_.renderer) texts.insert(texts.begin(), facts.jinja_for_tools);
  for (const std::string& other : {facts.jinja_for_tools, facts.jinja, facts.ollama}) {
    if (!raw_ && !other.empty()) texts.push_back(other);
  }
  const auto read = [&](const std::string& text) {
    return recognise({.template_text = text, .vocabulary = facts.vocabulary, .family = raw_ ? "plain" : facts.family});
  };
  format_ = read(texts[0]);
  for (size_t i = 1; i < texts.size() && !format_.family->tools(); ++i) {
    if (Format other = read(texts[i]); other.family->tools()) format_ = std::move(other);
  }
  const Compiled& used = chosen(true);
  if (!raw_ && facts.family.empty() && used.can.renders) {
    if (auto learned = learn(*used.renderer, used.can, format_, facts.vocabulary)) format_ = std::move(*learned);
  }
  format_.generic_tools = !format_.family->tools() || !chosen(true).can.tools;
  if (!raw_) find_frames(facts);
  for (const std::string_view stop : format_.family->stops) {
    if (tokenizer_->find(stop) != text::kNoToken) stops_.emplace_back(stop);
  }
  if (raw_) return;
  for (const std::string_view stop : format_.family->stop_strings) stops_.emplace_back(stop);
}

std::string ChatModel::tools_note() const {
  if (!generic_tools() || raw_) return {};
  const Capabilities& can = chosen(true).can;
  const bool hidden = format_.family->tools() && can.tool_calls && !can.tools;
  return hidden ? "the chat template writes calls of tools, but does not say which there are: the system message does, "
                  "and "
                  "asks for JSON"
                : "the chat template knows no tools: the system message describes them, and asks for JSON";
}

void ChatModel::find_frames(const ChatFacts& facts) {
  if (format_.family->frames != nullptr) {
    const grammar::AnswerFrames& frames = format_.family->frames();
    call_frame_ = frames.calls;
    text_opens_ = frames.text_opens;
    return;
  }
  const auto& [renderer, can] = chosen(true);
  Samples samples(*renderer, can);
  if (!can.renders || !samples.find_borders()) return;
  for (const Wrapper& wrapper : format_.family->markup.wrappers) {
    const std::string_view before = samples.before_text();
    if (before.find(wrapper.opens) == std::string_view::npos) continue;
    text_opens_ = wrapper.opens;
    text_closes_ = wrapper.closes;
  }
  if (format_.generic_tools) return;
  if (can.tool_calls) call_frame_ = find_call_frame(samples, can, format_, facts.vocabulary);
  if (!call_frame_) call_opening_ = find_call_opening(samples, format_);
}

grammar::AnswerRules ChatModel::rules(const Prompt& prompt, const Demand& demand) const {
  using Begins = grammar::ReasoningFrame::Begins;
  grammar::AnswerRules rules;
  rules.text = demand.text;
  if (raw_) return rules;
  rules.frames.text_opens = text_opens_;
  rules.frames.text_closes = text_closes_;
  const Beginning beginning = find_beginning(format_, prompt.end);
  if (format_.family->frames != nullptr) {
    rules.frames.reasoning = format_.family->frames().reasoning;
  } else if (!format_.thinking.empty() && beginning.reasoning != Beginning::Reasoning::kClosed) {
    const Thinking& marks = format_.thinking[beginning.thinking];
    const bool open = beginning.reasoning == Beginning::Reasoning::kOpen;
    const Begins begins = open ? Begins::kOpen : marks.opens.empty() ? Begins::kNever : Begins::kMay;
    rules.frames.reasoning = {begins, std::string(marks.opens), std::string(marks.closes)};
  }
  const bool free = demand.text.kind == grammar::TextRule::Kind::kFree;
  // By the generic protocol JSON that was asked for is no call.
  if (demand.tools.empty() || !holds_calls() || (generic_tools() && !free && !demand.must_call)) return rules;
  rules.must_call = demand.must_call;
  // Where the template writes one call at most, the model knows no more.
  const bool one = !generic_tools() && (format_.family->frames != nullptr || !chosen(true).can.parallel_calls);
  if (one || !demand.parallel_calls) rules.most_calls = 1;
  rules.frames.calls = generic_tools() ? generic_call_frame() : *call_frame_;
  if (generic_tools() && free) {
    rules.text.kind = grammar::TextRule::Kind::kSchema;
    rules.text.source = kGenericResponse;
    rules.text.schema.open_objects = false;
  }
  for (const Tool& tool : demand.tools) {
    const bool empty = tool.parameters.empty();
    rules.tools.push_back({.name = tool.name,
                           .schema = empty ? std::string() : serialize_exact(tool.parameters),
                           .strict = tool.strict()});
  }
  return rules;
}

Result<Prompt> ChatModel::prompt(const PromptRequest& request) const {
  if (request.messages.empty()) return error(ErrorKind::kUsage, "there is no message to answer");
  const auto& [renderer, can] = chosen(!request.tools.empty());
  const bool generic = format_.generic_tools;
  std::span<const Message> messages = request.messages;
  std::string begun;
  const Message& last = messages.back();
  if (request.continues_answer && last.role == "assistant" && last.calls.empty() && messages.size() > 1) {
    begun = last.content;
    messages = messages.first(messages.size() - 1);
  }
  const auto repaired =
      repair(messages, can, {.generic_tools = generic ? request.tools : std::span<const Tool>(), .generic = generic});
  const std::string list = messages_json(repaired, can.form);
  const std::string tools = generic ? std::string() : tools_json(request.tools, can.form);
  std::string variables = thinking_variables(request.think);
  if (!request.variables.empty()) variables += fmt::format("{}{}", variables.empty() ? "" : ",", request.variables);
  Prompt prompt;
  ASSIGN_OR_RETURN(prompt.rendered,
                   renderer->render({.messages = list, .tools = tools, .variables = variables, .now = request.now}));
  if (raw_ && !prompt.rendered.pieces.empty())
    prompt.rendered.pieces = {{prompt.rendered.text.size(), Origin::kTemplate}};
  if (!raw_) prompt.end = behind_last_input(prompt.rendered);
  if (request.think == Think::kOff && !can.thinking_switch) close_thinking(&prompt);
  append(begun, Origin::kUser, &prompt.rendered);
  prompt.end += begun;
  if (request.begins_call) begin_call(&prompt);
  return prompt;
}

void ChatModel::begin_call(Prompt* prompt) const {
  const Beginning beginning = find_beginning(format_, prompt->end);
  if (beginning.reasoning == Beginning::Reasoning::kOpen) close_thinking(prompt);
  if (prompt->end.ends_with(call_opening_)) return;
  append(call_opening_, Origin::kTemplate, &prompt->rendered);
  prompt->end += call_opening_;
}

// A model that cannot be told not to think is given thoughts that are over.
void ChatModel::close_thinking(Prompt* prompt) const {
  if (format_.thinking.empty() || format_.family->harmony) return;
  const Thinking& marks = format_.thinking[0];
  const bool open = !marks.opens.empty() && prompt->end.rfind(marks.opens) != std::string::npos;
  const bool closed = prompt->end.rfind(marks.closes) != std::string::npos;
  if (closed) return;
  const std::string text =
      open ? fmt::format("\n{}\n\n", marks.closes) : fmt::format("{}\n\n{}\n\n", marks.opens, marks.closes);
  append(text, Origin::kTemplate, &prompt->rendered);
  prompt->end += text;
}

uint32_t most_fill_in_tokens(uint32_t context_tokens) {
  constexpr uint32_t kRoom_tokens = 512;  // or a quarter of a small context
  return context_tokens - std::min(kRoom_tokens, context_tokens / 4);
}

Result<text::FimPrompt> ChatModel::fill_in(std::string_view prefix, std::string_view suffix, size_t max_tokens) const {
  if (for_suffix_ != nullptr) {
    ASSIGN_OR_RETURN(const Rendered rendered, for_suffix_->fill_in(prefix, suffix));
    text::FimPrompt prompt{.tokens = encode(rendered), .stops = {}};
    if (prompt.tokens.size() > max_tokens)
      return error(ErrorKind::kTooLong, "the two texts have {} tokens; there is room for {}", prompt.tokens.size(),
                   max_tokens);
    return prompt;
  }
  if (!tokenizer_->has_fim()) {
    return error(
        ErrorKind::kUnsupported,
        "this model cannot fill in between two texts: neither its template nor its vocabulary has marks for that");
  }
  return tokenizer_->encode_fim(prefix, suffix, max_tokens);
}

std::vector<text::Token> ChatModel::encode_more(const Rendered& rendered) const {
  std::vector<text::Token> tokens;
  std::vector<text::Span> spans;
  const auto encode_spans = [&] {
    const std::vector<text::Token> more = tokenizer_->encode(spans, false);
    tokens.insert(tokens.end(), more.begin(), more.end());
    spans.clear();
  };
  size_t begin = 0;
  for (const templates::Piece& piece : rendered.pieces) {
    const bool special = piece.origin == Origin::kTemplate;
    std::string_view text = std::string_view(rendered.text).substr(begin, piece.end - begin);
    begin = piece.end;
    while (const auto mark = find_picture_mark(text)) {
      spans.push_back({text.substr(0, mark->at), special});
      encode_spans();
      tokens.push_back(picture_token(mark->picture));
      text.remove_prefix(mark->at + mark->bytes);
    }
    spans.push_back({text, special});
  }
  encode_spans();
  return tokens;
}

std::vector<text::Token> ChatModel::encode(const Rendered& rendered) const {
  std::vector<text::Token> tokens = encode_more(rendered);
  const text::Token bos = tokenizer_->bos();
  if (tokenizer_->adds_bos() && bos != text::kNoToken && (tokens.empty() || tokens[0] != bos || raw_)) {
    tokens.insert(tokens.begin(), bos);
  }
  return tokens;
}

ParserOptions ChatModel::parser_options(const Prompt& prompt, std::shared_ptr<const ToolSet> tools) const {
  // Another prompt, other ids: those of earlier calls are part of it.
  return {.tools = std::move(tools),
          .separates_reasoning = !raw_,
          .prompt_end = prompt.end,
          .id_seed = fnv1a(prompt.rendered.text)};
}

}  // namespace hearth::chat
