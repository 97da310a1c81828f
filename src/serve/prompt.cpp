#include "serve/prompt.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/sha256.h"
#include "chat/conversation.h"
#include "chat/picture_marks.h"
#include "grammar/thinking_budget.h"
#include "grammar/token_constraint.h"
#include "serve/pictures.h"

namespace hearth::serve {
namespace {

chat::Think think_of(const api::Thinking& thinking) {
  if (thinking.level == "minimal" || thinking.level == "low") return chat::Think::kLow;
  if (thinking.level == "medium") return chat::Think::kMedium;
  if (!thinking.level.empty()) return chat::Think::kHigh;
  if (!thinking.on) return chat::Think::kDefault;
  return *thinking.on ? chat::Think::kOn : chat::Think::kOff;
}

// A regular expression of exactly these texts.
std::string pattern_of(const std::vector<std::string>& choices) {
  std::string pattern;
  for (const std::string& choice : choices) {
    if (&choice != &choices[0]) pattern += '|';
    for (const char c : choice) {
      if (std::string_view("\\^$.*+?()[]{}|/").find(c) != std::string_view::npos) pattern += '\\';
      pattern += c;
    }
  }
  return pattern;
}

grammar::TextRule text_rule(const api::Format& format) {
  using Kind = grammar::TextRule::Kind;
  switch (format.kind) {
    case api::Format::Kind::kFree:
      return {};
    case api::Format::Kind::kJson:
      return {.kind = Kind::kAnyObject, .source = {}, .schema = {}};
    case api::Format::Kind::kSchema:
      return {.kind = Kind::kSchema, .source = format.text, .schema = {.lenient = !format.strict}};
    case api::Format::Kind::kRegex:
      return {.kind = Kind::kPattern, .source = format.text, .schema = {}};
    case api::Format::Kind::kGrammar:
      return {.kind = Kind::kGbnf, .source = format.text, .schema = {}};
    case api::Format::Kind::kChoice:
      break;
  }
  return {.kind = Kind::kPattern, .source = pattern_of(format.choices), .schema = {}};
}

// The tools that may be called by this choice. Errors: kUsage.
Result<std::vector<chat::Tool>> callable_tools(const api::ChatInput& input) {
  using Mode = api::ToolChoice::Mode;
  if (input.choice.mode == Mode::kNone) return std::vector<chat::Tool>();
  if (input.choice.mode == Mode::kRequired && input.tools.empty())
    return error(ErrorKind::kUsage, "tool_choice demands a call, but the request offers no tools");
  if (input.choice.mode != Mode::kNamed) return input.tools;
  for (const chat::Tool& tool : input.tools)
    if (tool.name == input.choice.name) return std::vector<chat::Tool>{tool};
  return error(ErrorKind::kUsage, "tool_choice names the tool \"{}\", which the request does not offer",
               input.choice.name);
}

// What the rules hold the answer to; null: nothing. What of the schemas cannot be held is a warning.
Result<std::unique_ptr<sampling::Constraint>> constraint_of_rules(Prompted& prompted, fleet::Resident& model) {
  if (prompted.rules.free()) return std::unique_ptr<sampling::Constraint>();
  std::vector<std::string> warnings;
  auto constraint = grammar::constrain(prompted.rules, model.trie(), &warnings);
  const bool of_tools = !prompted.rules.tools.empty();
  if (!constraint) return error(ErrorKind::kUsage, "{}: {}", of_tools ? "tools" : "format", constraint.error().message);
  for (const std::string& warning : warnings)
    prompted.warnings.push_back(fmt::format("{}={}", of_tools ? "tools" : "format", warning));
  return constraint;
}

// That, and how long the model may think. A bound that cannot be held is a warning.
Result<std::shared_ptr<sampling::Constraint>> constraint_of(Prompted& prompted, fleet::Resident& model) {
  ASSIGN_OR_RETURN(std::unique_ptr<sampling::Constraint> constraint, constraint_of_rules(prompted, model));
  if (prompted.most_thinking) {
    const grammar::ReasoningFrame& frame = prompted.rules.frames.reasoning;
    auto limited = grammar::limit_thinking(frame, *prompted.most_thinking, prompted.chat->tokenizer(),
                                           constraint ? constraint->clone() : nullptr);
    if (limited)
      constraint = std::move(limited).value();
    else
      prompted.warnings.push_back("thinking=the number of its tokens is not limited: " + limited.error().message);
  }
  return std::shared_ptr<sampling::Constraint>(std::move(constraint));
}

// Makes the prompt, and what reads the answer.
class PromptMaker {
 public:
  PromptMaker(const api::AnswerRequest& request, const PromptModel& model) : request_(request), model_(model) {}

  Result<Prompted> run() {
    if (const auto* input = std::get_if<api::ChatInput>(&request_.input)) {
      TRY(converse(*input));
    } else {
      TRY(complete(std::get<api::TextInput>(request_.input)));
    }
    return std::move(made_);
  }

 private:
  bool free_text() const { return request_.format.kind == api::Format::Kind::kFree; }

  void read_by(std::shared_ptr<const chat::ChatModel> chat, const chat::Prompt& prompt,
               std::shared_ptr<const chat::ToolSet> tools) {
    chat::ParserOptions options = chat->parser_options(prompt, std::move(tools));
    options.reads_bare_calls = options.reads_bare_calls && free_text();
    made_.make_reader = [chat, options] {
      chat::ParserOptions own = options;
      own.id_seed = random_bits();
      return std::make_unique<chat::Answer>(chat->format(), std::move(own), chat->tokenizer());
    };
    made_.chat = std::move(chat);
  }

  // To the form that the request gives the answer, and its calls to the tools' schemas.
  void hold(const chat::ChatModel& chat, const chat::Prompt& prompt, chat::Demand demand) {
    demand.text = text_rule(request_.format);
    made_.rules = chat.rules(prompt, demand);
    const auto* input = std::get_if<api::ChatInput>(&request_.input);
    if (input == nullptr) return;
    for (grammar::ToolRule& tool : made_.rules.tools)
      tool.strict = std::ranges::find(input->strict_tools, tool.name) != input->strict_tools.end();
  }

  void render(const chat::ChatModel& chat, const chat::Prompt& prompt) {
    made_.tokens = chat.encode(prompt.rendered);
    made_.text = chat::without_picture_marks(prompt.rendered.text);
  }

  // Templates with levels know three.
  void warn_of_other_level(const std::string& level) {
    const char* nearest = level == "minimal" ? "low" : level == "xhigh" || level == "max" ? "high" : nullptr;
    if (nearest != nullptr) made_.warnings.push_back(fmt::format("thinking={} is {} for this model", level, nearest));
  }

  // A request that asks what the model cannot is told, or answered without it.
  Result<chat::Think> think(const chat::ChatModel& chat) {
    api::Thinking wish = request_.thinking;
    if (wish.on.value_or(false) && !can_think(chat)) {
      const Error problem = error(ErrorKind::kUsage, "\"{}\" does not support thinking", request_.model);
      if (wish.required) return problem;
      made_.warnings.push_back("thinking=" + problem.message);
      wish = {};
    }
    if (wish.on.value_or(true) && can_think(chat)) made_.most_thinking = wish.most_tokens;
    if (chat.capabilities().thinking_levels) warn_of_other_level(wish.level);
    return think_of(wish);
  }

  Status converse(const api::ChatInput& input) {
    using Mode = api::ToolChoice::Mode;
    const bool must_call = input.choice.mode == Mode::kRequired || input.choice.mode == Mode::kNamed;
    ASSIGN_OR_RETURN(const std::vector<chat::Tool> callable, callable_tools(input));
    const bool prefills = must_call && !model_.chat->holds_calls();
    if (prefills && !model_.chat->begins_calls()) {
      return error(ErrorKind::kUnsupported,
                   "\"{}\" cannot be made to call a tool: how it begins a call is not known; use tool_choice \"auto\"",
                   request_.model);
    }
    // What no grammar holds to the named tool is offered that alone.
    const bool all = input.choice.mode == Mode::kNamed && !prefills;
    const std::vector<chat::Tool>& tools = all ? input.tools : callable;
    const chat::Demand demand{.tools = callable, .must_call = must_call, .parallel_calls = input.choice.parallel};
    ASSIGN_OR_RETURN(const chat::Think how, think(*model_.chat));
    if (const std::string note = model_.chat->tools_note(); !note.empty() && !tools.empty())
      made_.warnings.push_back("tools=" + note);
    std::vector<chat::Message> messages;
    for (const store::Message& message : model_.found.messages)
      messages.push_back({.role = message.role, .content = message.content});
    messages.insert(messages.end(), input.messages.begin(), input.messages.end());
    std::string system = model_.found.system;
    if (messages.front().role == "system") {
      system = std::move(messages.front().content);
      messages.erase(messages.begin());
    }
    const auto tool_set = std::make_shared<const chat::ToolSet>(tools);
    const bool begun = !messages.empty() && messages.back().role == "assistant" && messages.back().calls.empty();
    const bool continues = begun && input.continues.value_or(true);
    if (continues && must_call)
      return error(ErrorKind::kUsage, "tool_choice demands a call, but the last message begins another answer");
    if (!continues && input.drops_oldest)
      return converse_newest(system, std::move(messages), tools, how, demand, prefills);
    if (!system.empty()) messages.insert(messages.begin(), {.role = "system", .content = system});
    ASSIGN_OR_RETURN(const chat::Prompt prompt, model_.chat->prompt({.messages = messages,
                                                                     .tools = tools,
                                                                     .think = how,
                                                                     .variables = input.variables,
                                                                     .continues_answer = continues,
                                                                     .begins_call = prefills}));
    render(*model_.chat, prompt);
    hold(*model_.chat, prompt, demand);
    read_by(model_.chat, prompt, tool_set);
    return {};
  }

  // The newest turns that the context has room for.
  Status converse_newest(const std::string& system, std::vector<chat::Message> messages,
                         const std::vector<chat::Tool>& tools, chat::Think how, const chat::Demand& demand,
                         bool begins_call) {
    chat::Conversation conversation(*model_.chat);
    conversation.set_system(messages.empty() ? "" : system);
    conversation.set_tools(tools);
    conversation.set_think(how);
    conversation.set_begins_call(begins_call);
    if (messages.empty()) conversation.add("system", system);
    for (chat::Message& message : messages) conversation.add(std::move(message));
    ASSIGN_OR_RETURN(chat::Conversation::Ready ready, conversation.prompt(model_.context, 0));
    if (ready.dropped > 0) {
      log_info("{}: the oldest {} messages of a conversation are left out", model_.found.name, ready.dropped);
      made_.warnings.push_back(fmt::format("messages=the oldest {} are left out", ready.dropped));
    }
    made_.tokens = std::move(ready.tokens);
    made_.text = chat::without_picture_marks(ready.prompt.rendered.text);
    hold(*model_.chat, ready.prompt, demand);
    read_by(model_.chat, ready.prompt, std::make_shared<const chat::ToolSet>(tools));
    return {};
  }

  Status complete(const api::TextInput& input) {
    if (input.tokens) {
      made_.tokens.assign(input.tokens->begin(), input.tokens->end());
      hold(*model_.raw, {}, {});
      read_by(model_.raw, {}, nullptr);
      return {};
    }
    if (input.suffix) return fill_in(input);
    std::shared_ptr<const chat::ChatModel> chat = input.raw ? model_.raw : model_.chat;
    if (input.template_text && !input.template_text->empty()) {
      ASSIGN_OR_RETURN(chat, by_template(*input.template_text));
    }
    ASSIGN_OR_RETURN(const chat::Think how, think(*chat));
    std::vector<chat::Message> messages;
    const std::string& system = input.system ? *input.system : model_.found.system;
    if (!input.raw && !system.empty()) messages.push_back({.role = "system", .content = system});
    messages.push_back({.role = "user", .content = input.prompt});
    ASSIGN_OR_RETURN(const chat::Prompt prompt, chat->prompt({.messages = messages, .think = how}));
    made_.text = chat::without_picture_marks(prompt.rendered.text);
    std::vector<text::Token>& tokens = made_.tokens;
    tokens.assign(input.context.begin(), input.context.end());
    const auto more = tokens.empty() ? chat->encode(prompt.rendered) : chat->encode_more(prompt.rendered);
    tokens.insert(tokens.end(), more.begin(), more.end());
    made_.with_context = !input.raw;
    hold(*chat, prompt, {});
    read_by(std::move(chat), prompt, nullptr);
    return {};
  }

  Status fill_in(const api::TextInput& input) {
    const uint32_t most = chat::most_fill_in_tokens(model_.context);
    ASSIGN_OR_RETURN(text::FimPrompt prompt, model_.chat->fill_in(input.prompt, *input.suffix, most));
    if (prompt.dropped_prefix + prompt.dropped_suffix > 0) {
      made_.warnings.push_back(
          fmt::format("prompt=the first {} tokens before the gap and the last {} after it are left "
                      "out, for which the context has no room",
                      prompt.dropped_prefix, prompt.dropped_suffix));
      log_info("{}: {}", model_.found.name, made_.warnings.back());
    }
    made_.tokens = std::move(prompt.tokens);
    made_.stop_tokens = std::move(prompt.stops);
    read_by(model_.raw, {}, nullptr);
    return {};
  }

  // A template that comes with the request, in Ollama's language.
  Result<std::shared_ptr<const chat::ChatModel>> by_template(const std::string& text) const {
    chat::ChatFacts facts = chat::read_facts(model_.file, model_.chat->tokenizer(), text);
    facts.prefers_ollama = true;
    const std::shared_ptr<const text::Tokenizer> tokenizer(model_.chat, &model_.chat->tokenizer());
    auto chat = std::make_shared<const chat::ChatModel>(std::move(facts), tokenizer);
    if (chat->template_text() == text) return std::shared_ptr<const chat::ChatModel>(std::move(chat));
    return error(ErrorKind::kUsage, "template: {}", fmt::join(chat->notes(), "; "));
  }

  const api::AnswerRequest& request_;
  const PromptModel& model_;
  Prompted made_;
};

// The bias of texts is that of their tokens.
Status add_biases(const api::Settings& settings, const text::Tokenizer& tokenizer, sampling::Options& options) {
  for (const auto& [token, bias] : settings.logit_bias) {
    if (token < 0 || static_cast<size_t>(token) >= tokenizer.size())
      return error(ErrorKind::kUsage, "logit_bias: there is no token {}; the model has 0 to {}", token,
                   tokenizer.size() - 1);
  }
  for (const auto& [text, bias] : settings.text_bias)
    for (const text::Token token : tokenizer.encode(text, text::EncodeOptions{.add_special = false}))
      options.logit_bias[token] = bias;
  return sampling::validate(options);
}

// Nobody who chooses a salt can make it another's: the key is this process's own.
uint64_t salt_number(const std::string& salt) {
  static const std::string key = random_hex(32);
  if (salt.empty()) return 0;
  const std::string inner = sha256_hex(key + "1" + salt), outer = sha256_hex(key + "2" + inner);
  return std::max<uint64_t>(1, std::strtoull(outer.substr(0, 16).c_str(), nullptr, 16));
}

}  // namespace

bool can_think(const chat::ChatModel& chat) {
  const chat::Capabilities& can = chat.capabilities();
  return can.thinking_switch || can.thinking_levels || can.reasoning_history;
}

Result<Prompted> make_prompt(const api::AnswerRequest& request, const PromptModel& model) {
  return PromptMaker(request, model).run();
}

Result<Prepared> prepare(const api::AnswerRequest& request, fleet::Resident& model, const SeenPictures& pictures,
                         uint32_t* prompt_tokens) {
  if (!request.pictures.empty() && model.sight == nullptr) {
    api::AnswerRequest blind = request;
    if (describe_tool_pictures(&blind)) {
      ASSIGN_OR_RETURN(Prepared described, prepare(blind, model, {}, prompt_tokens));
      described.warnings.emplace_back("messages=the model does not see the images of tools' results");
      return described;
    }
  }
  Prepared prepared;
  engine::Request& out = prepared.request;
  out.options = model.sampling;
  TRY(api::apply(request.settings, out.options));
  TRY(add_biases(request.settings, model.chat->tokenizer(), out.options));
  out.user = request.caller.user;
  out.priority = request.priority;
  out.deadline = request.caller.deadline;
  out.cache_salt = salt_number(request.cache_salt);
  out.min_tokens = request.settings.min_tokens;
  out.ignore_eos = request.settings.ignore_eos;
  out.penalises_prompt = request.settings.penalises_prompt;
  out.tells_begin = true;
  const uint32_t context = model.context_tokens;
  // Pictures are not counted where a conversation is shortened: their room is kept free.
  const uint32_t room = context - std::min(context / 2, tokens_of(pictures));
  const PromptModel prompt_model{model.found, *model.file, model.chat, model.raw, room};
  ASSIGN_OR_RETURN(static_cast<Prompted&>(prepared), make_prompt(request, prompt_model));
  ASSIGN_OR_RETURN(out.constraint, constraint_of(prepared, model));
  out.prompt = std::move(prepared.tokens);
  fleet::put_pictures(pictures, &out);
  if (!pictures.empty()) prepared.with_context = false;  // tokens alone would lose them
  if (!pictures.empty() && !model.sight->cause().empty())
    prepared.warnings.push_back("images=they are encoded on the CPU: " + text_of(model.sight->cause()));
  *prompt_tokens = static_cast<uint32_t>(out.prompt.size());
  if (out.prompt.size() >= context) {
    return error(ErrorKind::kTooLong,
                 "the prompt has {} tokens, which the context of {} has no room for; shorten it, or ask for a larger "
                 "num_ctx (at most {})",
                 out.prompt.size(), context, model.spec.context);
  }
  out.stops = prepared.chat->stops();
  out.stop_tokens = request.settings.stop_tokens;
  out.stop_tokens.insert(out.stop_tokens.end(), prepared.stop_tokens.begin(), prepared.stop_tokens.end());
  return prepared;
}

}  // namespace hearth::serve
