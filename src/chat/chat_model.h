// What a program needs to chat with a model: prompts from conversations, and a reader for the answers. Made once per
// model; immutable, safe to use from several threads.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "chat/capabilities.h"
#include "chat/format.h"
#include "chat/parser.h"
#include "chat/thinking_choice.h"
#include "gguf/file.h"
#include "grammar/compose.h"
#include "text/tokenizer.h"

namespace hearth::chat {

// What a model brings along, as plain data.
struct ChatFacts {
  std::string jinja = {};                   // tokenizer.chat_template
  std::string jinja_for_tools = {};         // tokenizer.chat_template.tool_use, for requests with tools
  std::string ollama = {};                  // a TEMPLATE layer, in Go's template language
  std::optional<bool> prefers_ollama = {};  // OLLAMA_GO_TEMPLATE: which of the two wins; not given: see choose()
  SpecialTexts texts = {};
  std::vector<SpecialToken> vocabulary = {};  // control and user-defined tokens
  std::string family = {};                    // an explicit choice, which wins
  bool raw =
      false;  // no template: contents are the prompt as they are, and texts of special tokens become these tokens
};
ChatFacts read_facts(const gguf::File& file, const text::Tokenizer& tokenizer, std::string ollama_template);

struct PromptRequest {
  std::span<const Message> messages;
  std::span<const Tool> tools = {};
  Think think = Think::kDefault;
  std::optional<std::tm> now = {};
  std::string_view variables = {};  // for the template: members of a JSON object, without the braces
  bool continues_answer = false;    // the last message is the beginning of the answer, if it is the assistant's
  bool begins_call = false;         // the prompt ends with the beginning of a call
};

// The most tokens that fill_in() should make of a context, so that there is room for what is filled in.
uint32_t most_fill_in_tokens(uint32_t context_tokens);

// What an answer must be, beside what the model makes of it.
struct Demand {
  grammar::TextRule text = {};
  std::span<const Tool> tools = {};  // that may be called
  bool must_call = false;
  bool parallel_calls = true;
};

struct Prompt {
  templates::Rendered rendered;
  std::string end;  // what opens the answer: the text behind the last that came from outside
};

class ChatModel {
 public:
  // Never fails: what cannot be used is named in notes(), and what remains is used, in the end plain text.
  ChatModel(ChatFacts facts, std::shared_ptr<const text::Tokenizer> tokenizer);
  ~ChatModel();

  // Errors: kUsage if there is no message; kInvalidData where the template fails, with its words.
  Result<Prompt> prompt(const PromptRequest& request) const;
  // The prompt for what is between two texts: of a TEMPLATE that mentions the suffix, else with the vocabulary's marks.
  // Texts that are longer than `max_tokens` lose what is furthest from the gap. Errors: kUnsupported where there is
  // neither; kTooLong for a template's prompt, which nothing can be taken from.
  Result<text::FimPrompt> fill_in(std::string_view prefix, std::string_view suffix, size_t max_tokens) const;
  // With the start token where the vocabulary asks for one, and never two. Marks of pictures (picture_marks.h) become
  // tokens that no vocabulary has.
  std::vector<text::Token> encode(const templates::Rendered& rendered) const;
  // The same for what stands behind other tokens: without the start token.
  std::vector<text::Token> encode_more(const templates::Rendered& rendered) const;

  // How the answer to `prompt`, which offered `tools`, is read: what an Answer or a Parser takes beside format().
  ParserOptions parser_options(const Prompt& prompt, std::shared_ptr<const ToolSet> tools) const;
  // What a grammar holds the answer to `prompt` to; free (grammar/compose.h) if there is nothing. Calls are held only
  // if holds_calls(). Where tools are called by the generic protocol, so is the whole answer.
  grammar::AnswerRules rules(const Prompt& prompt, const Demand& demand) const;
  // If not, a call can be demanded by PromptRequest::begins_call, if that.
  bool holds_calls() const { return generic_tools() || call_frame_.has_value(); }
  bool begins_calls() const { return !call_opening_.empty(); }
  // Texts and tokens that end an answer, beside the vocabulary's end-of-generation tokens.
  const std::vector<std::string>& stops() const { return stops_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }

  const Format& format() const { return format_; }
  const Capabilities& capabilities(bool with_tools = false) const { return chosen(with_tools).can; }
  const std::string& template_name() const { return template_name_; }  // which template is used, for people
  const std::string& template_text() const { return template_text_; }  // empty if there is none
  bool has_template() const { return !template_text_.empty(); }
  // Tools are called by the generic protocol, since the template or the family has no way of its own.
  bool generic_tools() const { return format_.generic_tools; }
  const std::vector<std::string>& notes() const { return notes_; }
  // Why they are not called in the model's own way, for those who want to call tools; empty if they are.
  std::string tools_note() const;

 private:
  struct Compiled {
    std::unique_ptr<Renderer> renderer;
    Capabilities can;
  };
  const Compiled& chosen(bool with_tools) const { return with_tools && for_tools_.renderer ? for_tools_ : usual_; }
  void choose(const ChatFacts& facts);
  void recognise_format(const ChatFacts& facts);
  Compiled compile(Result<std::unique_ptr<Renderer>> renderer, std::string_view what);
  void find_frames(const ChatFacts& facts);
  void close_thinking(Prompt* prompt) const;
  void begin_call(Prompt* prompt) const;

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  bool raw_;
  Compiled usual_, for_tools_;            // the second may be absent
  std::unique_ptr<Renderer> for_suffix_;  // null: the template has no place for one
  std::string template_name_, template_text_;
  Format format_;
  std::optional<grammar::CallFrame> call_frame_;
  std::string text_opens_, text_closes_;  // around the answer proper
  std::string call_opening_;              // of what cannot be held to a grammar
  std::vector<std::string> stops_, notes_;
};

}  // namespace hearth::chat
