// What the dialects ask for and what they get: requests, answers and models without any wire format. A dialect decodes
// into these types and encodes from them; who serves hands in functions that do the work. Functions that are empty are
// not offered (HTTP 501).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "chat/delta.h"
#include "chat/message.h"
#include "sampling/options.h"

namespace hearth::api {

using Nanoseconds = std::chrono::nanoseconds;

// Who asks, as far as fairness and logs care.
struct Caller {
  std::string user;     // key and the user that a request names, else the address
  std::string address;  // "127.0.0.1"
};

// Sampling options that a request sets, over the model's own and the defaults.
struct Settings {
  std::vector<std::pair<std::string, std::string>> values;  // by the names of sampling::set(), checked already
  std::optional<std::vector<std::string>> stop;             // in place of the model's
  std::unordered_map<int32_t, float> logit_bias;
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
  std::string level;       // "low", "medium", "high", "max"; empty: not given
};

// What the text must obey.
struct Format {
  enum class Kind { kFree, kJson, kSchema };
  Kind kind = Kind::kFree;
  std::string schema;  // JSON text
};

struct ToolChoice {
  enum class Mode { kAuto, kNone, kRequired, kNamed };
  Mode mode = Mode::kAuto;
  std::string name;
  bool parallel = true;
};

// Input of an answer: a conversation, or a text.
struct ChatInput {
  std::vector<chat::Message> messages;
  std::vector<chat::Tool> tools;
  ToolChoice choice;
};
struct TextInput {
  std::string prompt;
  std::optional<std::string> suffix, system, template_text;
  std::vector<int32_t> context;  // tokens that come before
  bool raw = false;              // the prompt as it is, without a template
};

struct AnswerRequest {
  std::string model;
  std::variant<ChatInput, TextInput> input;
  Settings settings;
  LoadWish load;
  KeepAlive keep_alive;
  Thinking thinking;
  Format format;
  Caller caller;
};

struct TokenChance {
  std::string text;  // its bytes, maybe cut inside a character
  float logprob = 0;
};
struct TokenReport {
  TokenChance chosen;
  std::vector<TokenChance> most_likely;
};

struct Usage {
  uint32_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  uint32_t reasoning_tokens = 0;  // of the generated ones, counted by events
  Nanoseconds total{0}, load{0}, prompt{0}, generation{0};
};

struct AnswerEnd {
  enum class Reason { kStop, kLength, kCancelled, kError };
  Reason reason = Reason::kStop;
  Usage usage;
  std::vector<int32_t> context;  // of TextInput that is not raw: the tokens of prompt and answer
  std::optional<Error> error;    // with kError
};

// A piece of an answer. The first that comes with `accepted` says that the request was found good and nothing but the
// engine can fail it now; an end without that is a refusal.
struct AnswerEvent {
  bool accepted = false;
  std::vector<chat::Delta> deltas = {};
  std::vector<TokenReport> tokens = {};  // if they were asked for
  std::optional<AnswerEnd> end = {};     // the last event
};
using AnswerSink = std::function<void(const AnswerEvent&)>;  // one call at a time, on any thread; must not block
using Cancel = std::function<void()>;                        // any time, any thread, also after the end

struct LoadRequest {
  std::string model;
  LoadWish load;
  KeepAlive keep_alive;
  Caller caller;
};

struct EmbedRequest {
  std::string model;
  std::vector<std::string> inputs;
  bool truncate = true;
  uint32_t dimensions = 0;  // 0: all
  LoadWish load;
  KeepAlive keep_alive;
  Caller caller;
};
struct Embeddings {
  std::vector<std::vector<float>> vectors;  // of length 1 each
  Usage usage;
};

// Of a model in the store, for lists.
struct ModelSummary {
  std::string name;      // "llama3.2:latest"
  int64_t modified = 0;  // seconds since 1970
  uint64_t bytes = 0;
  std::string digest = {};  // 64 hex digits
  std::string architecture = {}, parameter_size = {}, quantization = {};
  uint32_t context = 0, width = 0;
  std::vector<std::string> capabilities = {};  // "completion", "tools", "thinking", ...
};
struct ModelDetails {
  ModelSummary summary;
  std::string path;  // of the weights
  std::string template_text, system;
  std::vector<std::pair<std::string, std::string>> parameters = {};
  std::vector<std::pair<std::string, std::string>> messages = {};  // role, content
  std::string metadata;                                            // a JSON object: what the file says of itself
  std::string tensors;                                             // a JSON list of {"name", "type", "shape"}
};
struct RunningModel {
  ModelSummary summary;
  uint64_t bytes = 0, gpu_bytes = 0;
  uint32_t context = 0;
  std::optional<int64_t> expires = {};  // seconds since 1970; not given: never
  std::string placement = {}, cause = {}, remedy = {};
};

struct Service {
  std::string version;
  std::function<Cancel(AnswerRequest request, AnswerSink sink)> answer;
  // Calls `done` once, on any thread.
  std::function<Cancel(LoadRequest request, std::function<void(Status)> done)> load;
  std::function<Status(const std::string& model)> unload;  // when nobody uses it any more
  std::function<Cancel(EmbedRequest request, std::function<void(Result<Embeddings>)> done)> embed;
  std::function<Result<std::vector<ModelSummary>>()> list;
  std::function<Result<ModelDetails>(const std::string& model, bool verbose)> show;
  std::function<std::vector<RunningModel>()> running;
  // kUsage names a name that is none; kNotFound the model that is not there.
  std::function<Status(const std::string& source, const std::string& destination)> copy;
  std::function<Status(const std::string& model)> remove;
  std::function<Result<bool>(const std::string& digest)> has_blob;
  // True if it is new.
  std::function<Result<bool>(const std::string& digest, std::string_view content)> put_blob;
};

}  // namespace hearth::api
