// What the dialects ask for and what they get: requests, answers and models without any wire format. A dialect decodes
// into these types and encodes from them; who serves hands in functions that do the work. Functions that are empty are
// not offered (HTTP 501).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "api/pictures.h"
#include "base/result.h"
#include "chat/delta.h"
#include "chat/message.h"
#include "http/body.h"
#include "sampling/options.h"

namespace hearth::api {

using Nanoseconds = std::chrono::nanoseconds;

// Who asks, as far as fairness and logs care.
struct Caller {
  std::string user;     // key and the user that a request names, else the address
  std::string address;  // "127.0.0.1"
  std::optional<std::chrono::steady_clock::time_point> deadline = {};  // then the request ends with kTimeout
  std::string key = {};  // its name: what one key has stored, no other sees; empty: none
  // Of who serves, for routes of the role kInfer: the key that counts this request, and its place among those that run.
  std::shared_ptr<void> key_in_use = {}, hold = {};

  Caller with_user(const std::string& name) const {
    Caller caller = *this;
    if (!name.empty()) caller.user += "/" + name;
    return caller;
  }
};

// Sampling options that a request sets, over the model's own and the defaults.
struct Settings {
  std::vector<std::pair<std::string, std::string>> values;  // by the names of sampling::set(), checked already
  std::optional<std::vector<std::string>> stop;             // in place of the model's
  std::unordered_map<int32_t, float> logit_bias;            // by token; kUsage if there is no such token
  std::vector<std::pair<std::string, float>> text_bias;     // of each token that a text consists of
  std::vector<int32_t> stop_tokens;                         // that end the answer too
  uint32_t min_tokens = 0;                                  // before so many the answer does not end by itself
  bool ignore_eos = false;                                  // nor ever
  bool penalises_prompt = true;                             // penalties look at the prompt too
  std::optional<int> logprobs;  // alternatives per token (0: only the token itself); not given: no report
};
// Errors: those of sampling::set() and validate().
Status apply(const Settings& settings, sampling::Options& options);

// How the model is to be loaded, if it is not yet. Not given: whatever is best.
struct LoadWish {
  std::optional<uint32_t> context;  // tokens of one sequence
  std::optional<int> gpu_layers;    // 0: the CPU
  std::optional<int> threads;
};

// How long the model stays after its last request; negative: for ever. Not given: as it was, or the server's default.
using KeepAlive = std::optional<Nanoseconds>;

struct Thinking {
  std::optional<bool> on;  // not given: as the model does by itself
  std::string level;       // "minimal", "low", "medium", "high", "xhigh", "max"; empty: not given
  // A model that cannot think is asked to by mistake: an error, or else a warning.
  bool required = true;
  std::optional<uint32_t> most_tokens;  // then the thinking is ended, and the answer begins
};

// What the text must obey.
struct Format {
  enum class Kind {
    kFree,
    kJson,     // one JSON object
    kSchema,   // JSON of this schema
    kRegex,    // what this regular expression matches as a whole
    kGrammar,  // of this grammar in GBNF (https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md)
    kChoice,   // one of these texts
  };
  Kind kind = Kind::kFree;
  std::string text = {};                  // the schema (JSON), expression or grammar
  std::vector<std::string> choices = {};  // with kChoice
  bool strict = true;                     // else what cannot be held to is left out, with a warning
};

struct ToolChoice {
  enum class Mode { kAuto, kNone, kRequired, kNamed };
  Mode mode = Mode::kAuto;
  std::string name;
  std::vector<std::string> allowed = {};  // with kAuto and kRequired: only these may be called; empty: all
  bool parallel = true;
};

// Input of an answer: a conversation, or a text.
struct ChatInput {
  std::vector<chat::Message> messages;
  std::vector<chat::Tool> tools;
  std::vector<std::string> strict_tools;  // whose arguments obey their schemas, or the request is refused
  ToolChoice choice;
  std::optional<bool> continues;  // the last message is the answer's beginning; not given: if it is the assistant's
  std::string variables;          // for the template: members of a JSON object, without the braces
  bool drops_oldest = false;      // messages, where the conversation is too long; else that is an error
};
struct TextInput {
  std::string prompt;
  std::optional<std::vector<int32_t>> tokens;  // the prompt, as it is, in place of the text
  std::optional<std::string> suffix, system, template_text;
  std::vector<int32_t> context;  // tokens that come before
  bool raw = false;              // the prompt without a template
};

struct AnswerRequest {
  std::string model;
  std::variant<ChatInput, TextInput> input;
  Settings settings;
  LoadWish load;
  KeepAlive keep_alive;
  Thinking thinking;
  Format format;
  uint32_t count = 1;      // answers to the one prompt
  int priority = 0;        // of higher ones first
  std::string cache_salt;  // what is computed is shared with requests of the same salt only
  Caller caller;
  Pictures pictures = {};  // whose marks stand in the input
};

struct TokenChance {
  std::string text;  // its bytes, maybe cut inside a character
  float logprob = 0;
};
struct TokenReport {
  TokenChance chosen;
  std::vector<TokenChance> most_likely;
  bool content = true;  // it is part of the content, not of the reasoning or of a call
};

struct Usage {
  uint32_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  uint32_t reasoning_tokens = 0;                                       // of the generated ones, counted by events
  Nanoseconds total{0}, load{0}, queued{0}, prompt{0}, generation{0};  // queued: from the load to the first step
};

struct AnswerEnd {
  enum class Reason { kStop, kLength, kContextFull, kCancelled, kError };
  Reason reason = Reason::kStop;
  std::string stop = {};        // with kStop: the text of the request's that the answer came to, which is no part of it
  Usage usage = {};             // with a kTooLong error: how long the prompt is
  uint32_t context_tokens = 0;  // of the model, if it was loaded
  std::vector<int32_t> context = {};           // of TextInput that is not raw: the tokens of prompt and answer
  std::optional<Error> error = {};             // with kError
  std::optional<uint32_t> retry_after_s = {};  // with an error that may pass
};

// What is known of an answer before its first token.
struct AnswerBegin {
  uint32_t prompt_tokens = 0;
  std::optional<uint32_t> cached_tokens = {};  // once the model begins with the prompt
  std::string model = {};                      // by its own name
};

// A piece of an answer. The first that comes with `accepted` says that the request was found good and nothing but the
// engine can fail it now; an end without that is a refusal.
struct AnswerEvent {
  uint32_t choice = 0;  // which of several answers
  bool accepted = false;
  std::vector<std::string> warnings = {};  // with `accepted`: what is done in another way than was asked
  std::optional<AnswerBegin> begin = {};   // with `accepted`, and once more when the model begins
  std::vector<chat::Delta> deltas = {};
  std::vector<TokenReport> tokens = {};  // if they were asked for
  std::optional<AnswerEnd> end = {};     // the last event of a choice
};
// One call at a time, on any thread; must not block. A refusal is one event, however many answers were asked for.
using AnswerSink = std::function<void(const AnswerEvent&)>;
using Cancel = std::function<void()>;  // any time, any thread, also after the end

struct LoadRequest {
  std::string model;
  LoadWish load;
  KeepAlive keep_alive;
  Caller caller;
};

struct EmbedRequest {
  std::string model;
  std::vector<std::string> inputs;
  std::vector<std::vector<int32_t>> token_inputs;  // in place of texts
  bool truncate = true;                            // else what is longer than the context is kTooLong
  uint32_t dimensions = 0;                         // 0: all
  bool normalised = true;
  LoadWish load;
  KeepAlive keep_alive;
  Caller caller;
};
struct Embeddings {
  std::vector<std::vector<float>> vectors;
  Usage usage;
};

// A prompt as a model would get it.
struct PromptView {
  std::string text;
  std::vector<int32_t> tokens;
};
struct TokenView {
  int32_t id = 0;
  std::string text = {};  // its bytes, maybe cut inside a character
};
struct TokenizeRequest {
  std::string model, text;
  bool add_special = false;   // the tokens that a vocabulary puts around every prompt
  bool parse_special = true;  // the texts of special tokens become those tokens
};

// Of a model in the store, for lists.
struct ModelSummary {
  std::string name;      // "llama3.2:latest"
  int64_t modified = 0;  // seconds since 1970
  uint64_t bytes = 0;
  std::string digest = {};  // 64 hex digits
  std::string architecture = {}, parameter_size = {}, quantization = {};
  uint32_t context = 0, width = 0;             // that it was trained for
  uint32_t served_context = 0;                 // that answers have here
  std::vector<std::string> capabilities = {};  // "completion", "tools", "thinking", ...
};
struct ModelDetails {
  ModelSummary summary;
  std::string path;           // of the weights
  std::string template_text;  // that is used
  std::string go_template;    // in Ollama's language, if it has one
  std::string system;
  std::vector<std::pair<std::string, std::string>> parameters = {};
  std::vector<std::pair<std::string, std::string>> messages = {};  // role, content
  std::string metadata;                                            // a JSON object: what the file says of itself
  std::string tensors;                                             // a JSON list of {"name", "type", "shape"}
};
// A page about a model for people, as "hearth show" prints it.
struct PageRequest {
  std::string model;
  uint32_t context = 0;  // tokens, for the estimate of memory; 0: the usual
  std::string kv_type = "f16";
  bool tensors = false;  // each of them, too
};
struct RunningModel {
  ModelSummary summary;
  uint64_t bytes = 0, gpu_bytes = 0;
  uint32_t context = 0;
  std::optional<int64_t> expires = {};  // seconds since 1970; not given: never
  std::string placement = {}, cause = {}, cause_id = {}, remedy = {};
};

// Memory of a GPU that another program was promised.
struct LeasedMemory {
  std::string gpu, holder;  // for people; the holder may be empty
  uint64_t bytes = 0;
  std::chrono::system_clock::time_point until = {};
};

// A model to be made, see store/create.h for what each means.
struct CreateRequest {
  std::string model, from;
  std::vector<std::pair<std::string, std::string>> files;  // name, digest of a blob
  std::optional<std::string> template_text, system;
  std::string parameters;                                                    // a JSON object; empty: none
  std::optional<std::vector<std::pair<std::string, std::string>>> messages;  // role, content
  std::vector<std::string> licenses;
  std::string quantize, minimum_version, renderer, parser;
};
// What long work on a model is at. `total` 0: without a count.
struct WorkStep {
  std::string status = {}, digest = {};
  uint64_t done = 0, total = 0;
};
struct WorkSinks {
  // One call at a time, on any thread; must not block.
  std::function<void(const WorkStep&)> step;
  std::function<void(const Status&)> done;  // once, the last call
};

// A model from or to another machine.
struct TransferRequest {
  std::string model;
  bool insecure = false;  // http, where https cannot be had
  Caller caller = {};
};
// A blob that a client sends.
class BlobSink : public http::BodySink {
 public:
  // All of it was written; true if it was not there before. Errors: kUsage (it has another digest), kIo, kNoSpace.
  virtual Result<bool> finish() = 0;
};

struct Service {
  std::string version;
  std::chrono::milliseconds ping_interval{15'000};  // of streams that are silent; 0: none
  std::function<Cancel(AnswerRequest request, AnswerSink sink)> answer;
  // Calls `done` once, on any thread.
  std::function<Cancel(LoadRequest request, std::function<void(Status)> done)> load;
  std::function<Status(const std::string& model)> unload;  // when nobody uses it any more
  std::function<Cancel(EmbedRequest request, std::function<void(Result<Embeddings>)> done)> embed;
  std::function<Result<std::vector<ModelSummary>>()> list;
  std::function<Result<ModelDetails>(const std::string& model, bool verbose)> show;
  std::function<Result<std::string>(const PageRequest& request)> page;
  std::function<std::vector<RunningModel>()> running;
  std::function<std::vector<LeasedMemory>()> leases;  // may be absent, then there are none
  // kUsage names a name that is none; kNotFound the model that is not there.
  std::function<Status(const std::string& source, const std::string& destination)> copy;
  std::function<Status(const std::string& model)> remove;
  std::function<Result<bool>(const std::string& digest)> has_blob;
  // Takes the content of a blob, of so many bytes if that is known. Errors: kUsage (the digest is none), kIo, kNoSpace.
  std::function<Result<std::shared_ptr<BlobSink>>(const std::string& digest, std::optional<uint64_t> bytes)> put_blob;
  // Calls the sinks until it is done, or until what it returns ends it. Errors: kUsage, kNotFound, ...
  std::function<Cancel(CreateRequest request, WorkSinks sinks)> create;
  std::function<Cancel(TransferRequest request, WorkSinks sinks)> pull, push;
  // These need a model's vocabulary and template only: the weights are not loaded, and no answer is waited for.
  std::function<Result<PromptView>(const AnswerRequest& request)> render;
  std::function<Result<std::vector<TokenView>>(const TokenizeRequest& request)> tokenize;
  std::function<Result<std::string>(const std::string& model, const std::vector<int32_t>& tokens)> detokenize;
  std::function<uint32_t(const std::string& model)> context_tokens;  // that an answer of it has; 0: no such model
  // The model that is meant by a name that no model here has; nothing if there is none.
  std::function<std::optional<std::string>(const std::string& name)> substitute;
};

}  // namespace hearth::api
