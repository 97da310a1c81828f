#include "serve/prompt.h"

#include <sys/random.h>

#include "base/error.h"
#include "base/log.h"
#include "chat/conversation.h"
#include "grammar/token_constraint.h"

namespace hearth::serve {
namespace {

uint64_t random_seed() {
  uint64_t seed = 0;
  CHECK(::getrandom(&seed, sizeof seed, 0) == static_cast<ssize_t>(sizeof seed));
  return seed;
}

bool thinks(const chat::Capabilities& can) {
  return can.thinking_switch || can.thinking_levels || can.reasoning_history;
}

Result<chat::Think> think_of(const api::Thinking& thinking, const chat::ChatModel& chat, const std::string& model) {
  if (thinking.on.value_or(false) && !thinks(chat.capabilities())) {
    return error(ErrorKind::kUsage, "\"{}\" does not support thinking", model);
  }
  if (thinking.level == "low") return chat::Think::kLow;
  if (thinking.level == "medium") return chat::Think::kMedium;
  if (thinking.level == "high" || thinking.level == "max") return chat::Think::kHigh;
  if (!thinking.on) return chat::Think::kDefault;
  return *thinking.on ? chat::Think::kOn : chat::Think::kOff;
}

grammar::TextRule text_rule(const api::Format& format) {
  using Kind = grammar::TextRule::Kind;
  switch (format.kind) {
    case api::Format::Kind::kFree:
      return {};
    case api::Format::Kind::kJson:
      return {.kind = Kind::kAnyObject, .source = {}, .schema = {}};
    case api::Format::Kind::kSchema:
      break;
  }
  return {.kind = Kind::kSchema, .source = format.schema, .schema = {}};
}

Result<std::shared_ptr<sampling::Constraint>> constraint_of(const api::Format& format, Resident& model) {
  grammar::AnswerRules rules;
  rules.text = text_rule(format);
  if (rules.free()) return std::shared_ptr<sampling::Constraint>();
  auto constraint = grammar::constrain(rules, model.trie(), nullptr);
  if (!constraint) return error(ErrorKind::kUsage, "format: {}", constraint.error().message);
  return std::shared_ptr<sampling::Constraint>(std::move(constraint).value());
}

// What is the same for all kinds of input.
class Preparation {
 public:
  Preparation(const api::AnswerRequest& request, Resident& model) : request_(request), model_(model) {}

  Result<Prepared> run() {
    prepared_.request.options = model_.sampling;
    TRY(api::apply(request_.settings, prepared_.request.options));
    prepared_.request.user = request_.caller.user;
    ASSIGN_OR_RETURN(prepared_.request.constraint, constraint_of(request_.format, model_));
    if (const auto* input = std::get_if<api::ChatInput>(&request_.input)) {
      TRY(converse(*input));
    } else {
      TRY(complete(std::get<api::TextInput>(request_.input)));
    }
    if (prepared_.request.prompt.size() >= model_.load.context) {
      return error(ErrorKind::kTooLong,
                   "the prompt has {} tokens, which the context of {} has no room for; shorten it, or ask for a larger "
                   "num_ctx (at most {})",
                   prepared_.request.prompt.size(), model_.load.context, model_.spec.context);
    }
    for (const std::string& stop : prepared_.chat->stops()) prepared_.request.stops.push_back(stop);
    return std::move(prepared_);
  }

 private:
  bool free_text() const { return request_.format.kind == api::Format::Kind::kFree; }

  void read_by(std::shared_ptr<const chat::ChatModel> chat, const chat::Prompt& prompt,
               std::shared_ptr<const chat::ToolSet> tools) {
    chat::ParserOptions options = chat->parser_options(prompt, std::move(tools));
    options.reads_bare_calls = options.reads_bare_calls && free_text();
    options.id_seed = random_seed();
    prepared_.reader = std::make_unique<chat::Answer>(chat->format(), std::move(options), chat->tokenizer());
    prepared_.chat = std::move(chat);
  }

  Status converse(const api::ChatInput& input) {
    using Mode = api::ToolChoice::Mode;
    if (input.choice.mode == Mode::kRequired || input.choice.mode == Mode::kNamed) {
      return error(ErrorKind::kUnsupported, "tool_choice \"required\" and named tools are not there yet; use \"auto\"");
    }
    const std::vector<chat::Tool> tools = input.choice.mode == Mode::kNone ? std::vector<chat::Tool>() : input.tools;
    ASSIGN_OR_RETURN(const chat::Think think, think_of(request_.thinking, *model_.chat, request_.model));
    std::vector<chat::Message> messages;
    for (const store::Message& message : model_.found.messages)
      messages.push_back({.role = message.role, .content = message.content});
    messages.insert(messages.end(), input.messages.begin(), input.messages.end());
    std::string system = model_.found.system;
    if (messages.front().role == "system") {
      system = std::move(messages.front().content);
      messages.erase(messages.begin());
    }
    if (!messages.empty() && messages.back().role == "assistant" && messages.back().calls.empty())
      return go_on(system, std::move(messages), tools, think);
    chat::Conversation conversation(*model_.chat);
    conversation.set_system(messages.empty() ? "" : system);
    conversation.set_tools(tools);
    conversation.set_think(think);
    if (messages.empty()) conversation.add("system", system);
    for (chat::Message& message : messages) conversation.add(std::move(message));
    ASSIGN_OR_RETURN(chat::Conversation::Ready ready, conversation.prompt(model_.load.context, 0));
    if (ready.dropped > 0)
      log_info("{}: the oldest {} messages of a conversation are left out", model_.found.name, ready.dropped);
    prepared_.request.prompt = std::move(ready.tokens);
    read_by(model_.chat, ready.prompt, std::make_shared<const chat::ToolSet>(tools));
    return {};
  }

  // The last message is the beginning of the answer.
  Status go_on(const std::string& system, std::vector<chat::Message> messages, const std::vector<chat::Tool>& tools,
               chat::Think think) {
    if (!system.empty()) messages.insert(messages.begin(), {.role = "system", .content = system});
    ASSIGN_OR_RETURN(
        const chat::Prompt prompt,
        model_.chat->prompt({.messages = messages, .tools = tools, .think = think, .continues_answer = true}));
    prepared_.request.prompt = model_.chat->encode(prompt.rendered);
    read_by(model_.chat, prompt, std::make_shared<const chat::ToolSet>(tools));
    return {};
  }

  Status complete(const api::TextInput& input) {
    if (input.suffix) return fill_in(input);
    std::shared_ptr<const chat::ChatModel> chat = input.raw ? model_.raw : model_.chat;
    if (input.template_text && !input.template_text->empty()) {
      ASSIGN_OR_RETURN(chat, by_template(*input.template_text));
    }
    ASSIGN_OR_RETURN(const chat::Think think, think_of(request_.thinking, *chat, request_.model));
    std::vector<chat::Message> messages;
    const std::string& system = input.system ? *input.system : model_.found.system;
    if (!input.raw && !system.empty()) messages.push_back({.role = "system", .content = system});
    messages.push_back({.role = "user", .content = input.prompt});
    ASSIGN_OR_RETURN(const chat::Prompt prompt, chat->prompt({.messages = messages, .think = think}));
    std::vector<text::Token>& tokens = prepared_.request.prompt;
    tokens.assign(input.context.begin(), input.context.end());
    const auto more = tokens.empty() ? chat->encode(prompt.rendered) : chat->encode_more(prompt.rendered);
    tokens.insert(tokens.end(), more.begin(), more.end());
    prepared_.with_context = !input.raw;
    read_by(std::move(chat), prompt, nullptr);
    return {};
  }

  Status fill_in(const api::TextInput& input) {
    const uint32_t most = chat::most_fill_in_tokens(model_.load.context);
    ASSIGN_OR_RETURN(text::FimPrompt prompt, model_.chat->fill_in(input.prompt, *input.suffix, most));
    prepared_.request.prompt = std::move(prompt.tokens);
    for (const text::Token stop : prompt.stops)
      prepared_.request.stops.push_back(model_.engine->tokenizer().piece(stop, true));
    read_by(model_.raw, {}, nullptr);
    return {};
  }

  // A template that comes with the request, in Ollama's language.
  Result<std::shared_ptr<const chat::ChatModel>> by_template(const std::string& text) const {
    chat::ChatFacts facts = chat::read_facts(*model_.file, model_.engine->tokenizer(), text);
    facts.prefers_ollama = true;
    const std::shared_ptr<const text::Tokenizer> tokenizer(model_.chat, &model_.chat->tokenizer());
    auto chat = std::make_shared<const chat::ChatModel>(std::move(facts), tokenizer);
    if (chat->template_text() == text) return std::shared_ptr<const chat::ChatModel>(std::move(chat));
    return error(ErrorKind::kUsage, "template: {}", fmt::join(chat->notes(), "; "));
  }

  const api::AnswerRequest& request_;
  Resident& model_;
  Prepared prepared_;
};

}  // namespace

Result<Prepared> prepare(const api::AnswerRequest& request, Resident& model) {
  return Preparation(request, model).run();
}

}  // namespace hearth::serve
