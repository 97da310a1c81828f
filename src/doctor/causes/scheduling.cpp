// Loading again and again, waiting, misreadings of time: 59 to 61, 77, 79, 80.
#include <map>
#include <set>

#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

bool load_dominates(const Reply& reply) {
  return reply.total_s > 0.5 && reply.load_s > 0.5 * reply.total_s;
}
size_t dominated(const Facts& facts) {
  return static_cast<size_t>(std::ranges::count_if(facts.api.replies, load_dominates));
}

size_t alternations(const std::vector<std::string>& models) {
  size_t count = 0;
  for (size_t i = 1; i < models.size(); ++i) count += models[i] != models[i - 1] ? 1u : 0u;
  return count;
}

std::optional<Verdict> thrash(const Facts& facts) {
  std::vector<std::string> asked, started;
  for (const Reply& reply : facts.api.replies)
    if (!reply.model.empty()) asked.push_back(reply.model);
  for (const RunnerStart& start : facts.log.starts) started.push_back(start.model);
  Verdict verdict{kCertain, {}, "", ""};
  if (alternations(asked) >= 1 && dominated(facts) >= 2 && 2 * dominated(facts) > facts.api.replies.size())
    verdict.evidence.push_back({fmt::format("loading takes most of the time in {} of {} answers, with models in turn",
                                            dominated(facts), facts.api.replies.size()),
                                "load_duration, total_duration"});
  if (alternations(started) >= 2)
    verdict.evidence.push_back({fmt::format("{} loads of {} models in turn", started.size(),
                                            std::set<std::string>(started.begin(), started.end()).size()),
                                "log: command lines of runners"});
  const bool evicts = facts.log.count("L27") >= 2;
  if (verdict.evidence.empty() && !(evicts && facts.log.count("L26") >= 2)) return std::nullopt;
  if (verdict.evidence.empty()) verdict.confidence = kHigh;
  if (facts.log.has("L27"))
    verdict.evidence.push_back(
        {fmt::format("{} evictions: {}", facts.log.count("L27"), line(facts, "L27").text), line(facts, "L27").source});
  if (facts.log.has("L26"))
    verdict.evidence.push_back(
        {fmt::format("{} loads: {}", facts.log.count("L26"), line(facts, "L26").text), line(facts, "L26").source});
  return verdict;
}

const Rule kThrash = {"model-eviction-thrash",
                      59,
                      "scheduling",
                      "Models push each other out of the GPU: most of the time goes into loading",
                      "Together the models do not fit into the GPU's memory. Whenever the other one is asked for, the "
                      "first is unloaded and "
                      "the second loaded; the GPU idles meanwhile.",
                      "load_duration in each answer",
                      {{kAnywhere,
                        "in the program that asks",
                        {"Group the work by model: stage 1 of all jobs, then stage 2 of all, then stage 3: a few loads "
                         "instead of thousands",
                         "Or one model for all stages, or smaller quantisations that fit together, or a second GPU",
                         "LocalAI: --max-active-backends 1 only limits memory; order the requests"}}},
                      "More workers, or keep_alive 0",
                      "bartleby#11; ollama#3115, #12027",
                      60,
                      anywhere,
                      thrash};
const RegisterRule r59(&kThrash);

constexpr double kUsualKeep_s = 300;

std::optional<Verdict> keep_alive(const Facts& facts) {
  double keep = kUsualKeep_s;
  Verdict verdict{kHigh, {}, "", ""};
  if (const auto set = facts.setting("OLLAMA_KEEP_ALIVE")) {
    const auto seconds = to_seconds(set->value);
    if (seconds && *seconds >= 0 && *seconds < 1e9) keep = *seconds;
    if (keep <= 60) verdict.evidence.push_back(evidence_of("OLLAMA_KEEP_ALIVE", *set));
  }
  // Of each model: loads happen exactly after pauses.
  std::map<std::string, double> ended;
  size_t after_pause = 0, at_once = 0;
  for (const Reply& reply : facts.api.replies) {
    if (!reply.started_s) continue;
    const auto before = ended.find(reply.model);
    if (before != ended.end() && load_dominates(reply))
      (*reply.started_s - before->second >= 0.95 * keep ? after_pause : at_once) += 1;
    ended[reply.model] = *reply.started_s + reply.total_s;
  }
  if (ended.size() > 1 && verdict.evidence.empty()) return std::nullopt;  // model-eviction-thrash
  if (after_pause > 0 && at_once == 0) {
    verdict.confidence = kCertain;
    verdict.evidence.push_back({fmt::format("{} loads, each after a pause of more than {:.0f} s", after_pause, keep),
                                "created_at, load_duration"});
  } else if (verdict.evidence.empty()) {
    return std::nullopt;
  } else if (dominated(facts) > 0) {
    verdict.confidence = kCertain;
    verdict.evidence.push_back(
        {fmt::format("loading takes most of the time in {} answers", dominated(facts)), "load_duration"});
  }
  return verdict;
}

const Rule kKeepAlive = {"keep-alive-too-short",
                         60,
                         "scheduling",
                         "The model is unloaded in pauses, and the next request has to load it again",
                         "Ollama unloads a model five minutes after its last use, or as soon as OLLAMA_KEEP_ALIVE or a "
                         "request's keep_alive says.",
                         "expires_at in /api/ps, and load_duration after pauses",
                         {{kOnHost | kInWsl2,
                           "in the service's unit, as root; then restart it",
                           {"$ sudo systemctl edit ollama    # [Service] Environment=\"OLLAMA_KEEP_ALIVE=-1\"",
                            "$ sudo systemctl restart ollama",
                            "Load it ahead by a request without a prompt; LocalAI: the watchdog's timeouts"}},
                          {kContainers | kInKubernetes,
                           "where the container is created; create it anew",
                           {"-e OLLAMA_KEEP_ALIVE=-1    # or 24h",
                            "Load it ahead by a request without a prompt; LocalAI: the watchdog's timeouts"}}},
                         "Models are not unloaded right after each answer by design",
                         "Ollama's FAQ and envconfig",
                         56,
                         for_ggml,
                         keep_alive};
const RegisterRule r60(&kKeepAlive);

std::optional<Verdict> option_change(const Facts& facts) {
  std::map<std::string, std::vector<std::string>> options;
  for (const RunnerStart& start : facts.log.starts) options[start.model].push_back(start.options());
  for (const auto& [model, list] : options) {
    const size_t changes = alternations(list);
    if (changes == 0 || list.size() < 2) continue;
    Verdict verdict{changes >= 2 || list.size() == 2 ? kCertain : kHigh, {}, "", ""};
    verdict.evidence.push_back(
        {fmt::format("{} loads of one model with other options each time (context layers parallel threads): {} -> {}",
                     list.size(), list[list.size() - 2], list.back()),
         "log: command lines of runners"});
    return verdict;
  }
  return std::nullopt;
}

const Rule kOptionChange = {
    "reload-on-option-change",
    61,
    "scheduling",
    "The same model is loaded again because requests come with different options",
    "A model is loaded for one context size, number of layers, batch and so on. A request with another value makes "
    "Ollama "
    "load it anew, and the next client back again.",
    "the runner's command lines in the log, or num_ctx in the requests",
    {{kAnywhere,
      "in all clients",
      {"The same num_ctx, num_gpu, num_batch, use_mmap, num_thread and main_gpu everywhere; best none of them, but a "
       "Modelfile",
       "Tools that scale num_ctx with the prompt: a fixed value"}}},
    "A longer keep-alive",
    "Ollama needsReload; ollama#8903, #9977, #6148, #17482; aider#4687, #4764; paperless-ai#859; continue#4545",
    58,
    for_ollama,
    option_change};
const RegisterRule r61(&kOptionChange);

std::optional<Verdict> cold_and_warm(const Facts& facts) {
  const Reply* cold = nullptr;
  const Reply* warm = nullptr;
  for (const Reply& reply : facts.api.replies) {
    if (load_dominates(reply) && reply.total_s > 5) cold = &reply;
    if (!load_dominates(reply) && reply.total_s < 5 && reply.eval_rate() >= 8) warm = &reply;
  }
  const bool complains =
      facts.says({"sometimes", "target", "first request", "timeout", "5 s", "5s", "seconds", "latency", "cold"});
  if (cold == nullptr || (warm == nullptr && !complains) ||
      2 * dominated(facts) > facts.api.replies.size() + (complains ? 1 : 0))
    return std::nullopt;
  Verdict verdict{kCertain,
                  {{fmt::format("{:.1f} s of which {:.1f} s loading", cold->total_s, cold->load_s),
                    "total_duration, load_duration"}},
                  "",
                  ""};
  if (warm != nullptr)
    verdict.evidence.push_back({fmt::format("{:.1f} s warm, {:.0f} tokens/s", warm->total_s, warm->eval_rate()),
                                "total_duration, eval_count / eval_duration"});
  return verdict;
}

const Rule kColdWarm = {"cold-and-warm-mixed",
                        77,
                        "measurement",
                        "Slow and fast answers differ by loading the model, not by the GPU",
                        "The total time mixes loading, reading the prompt and generating. Generation runs at its "
                        "normal speed; the slow answers "
                        "had to load the model first.",
                        "",
                        {{kAnywhere,
                          "where it is measured",
                          {"Warm up with one request, then report three figures: load_duration, prompt_eval_count / "
                           "prompt_eval_duration, eval_count / eval_duration",
                           "Set targets for each, and for a length of the answer"}}},
                        "The time of one curl as a test of the GPU",
                        "ollama#5843",
                        10,
                        anywhere,
                        cold_and_warm};
const RegisterRule r77(&kColdWarm);

std::optional<double> metric(const Facts& facts, const char* name) {
  const auto found = facts.api.metrics.find(name);
  return found == facts.api.metrics.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Verdict> queue(const Facts& facts) {
  Verdict verdict{kCertain, {}, "", ""};
  add_line(facts, "busy", verdict);
  const double deferred = metric(facts, "llamacpp:requests_deferred").value_or(0);
  if (facts.api.slots && *facts.api.slots > 0 && facts.api.busy_slots == facts.api.slots &&
      (deferred > 0 || facts.says({"wait", "queue", "latency", "client"})))
    verdict.evidence.push_back({fmt::format("all {} slots are busy", *facts.api.slots), "/slots"});
  if (deferred > 0) verdict.evidence.push_back({fmt::format("{:.0f} requests wait", deferred), "/metrics"});
  const double waiting = metric(facts, "vllm:num_requests_waiting").value_or(0);
  if (waiting >= 2 && metric(facts, "vllm:num_preemptions_total").value_or(0) == 0)
    verdict.evidence.push_back({fmt::format("{:.0f} requests wait", waiting), "/metrics"});
  size_t waited = 0;
  for (const Reply& reply : facts.api.replies)
    if (reply.total_s > 2 && reply.total_s - reply.load_s - reply.prompt_s - reply.eval_s > 0.4 * reply.total_s)
      ++waited;
  if (waited >= 2 && 2 * waited >= facts.api.replies.size())
    verdict.evidence.push_back(
        {fmt::format("{} of {} answers waited for most of their time", waited, facts.api.replies.size()),
         "total_duration without its parts"});
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kQueue = {
    "queueing-behind-one-slot",
    79,
    "scheduling",
    "Requests wait for each other: the server answers one, or a few, at a time",
    "The GPU works, each answer takes as long as ever, but the wait before it grows with the number of clients.",
    "the time before the prompt is read, by number of clients",
    {{kAnywhere,
      "in the server's options (restart it; containers: create anew) or in the clients",
      {"OLLAMA_NUM_PARALLEL higher, if its cache fits; llama.cpp: -np", "vLLM batches continuously: for many clients",
       "Limit the clients; OLLAMA_MAX_QUEUE only makes the queue longer"}}},
    "It is no fault of the GPU",
    "Ollama's FAQ; ollama#4170",
    30,
    anywhere,
    queue};
const RegisterRule r79(&kQueue);

std::optional<Verdict> prompt_dominates(const Facts& facts) {
  constexpr double kNormal_tokens_per_s = 150;
  for (const Reply& reply : facts.api.replies) {
    const double share = reply.total_s > 0 ? reply.prompt_s / reply.total_s : 0;
    if (share <= 0.6 || reply.prompt_s < 1 || reply.prompt_tokens < 500 || reply.prompt_rate() < kNormal_tokens_per_s)
      continue;
    return Verdict{kCertain,
                   {{fmt::format("{:.0f} % of the time reads the prompt: {:.0f} tokens at {:.0f} tokens/s", 100 * share,
                                 reply.prompt_tokens, reply.prompt_rate()),
                     "prompt_eval_duration, prompt_eval_count"}},
                   "",
                   ""};
  }
  return std::nullopt;
}

const Rule kPrompt = {"prompt-dominates",
                      80,
                      "workload",
                      "Most of the time goes into reading a long prompt, at a normal speed",
                      "System prompts, tools and documents of thousands of tokens are read before the first word. That "
                      "is work, not a fault; "
                      "what does not change need not be read again.",
                      "",
                      {{kAnywhere,
                        "in the program that asks",
                        {"Keep the beginning of the prompt the same, so that the server's prompt cache serves it",
                         "Send less: fewer tools, shorter documents", "llama.cpp: a larger -b and -ub"}}},
                      "More layers on the GPU",
                      "rwlove/home-ops#13936; ollama#8903",
                      28,
                      anywhere,
                      prompt_dominates};
const RegisterRule r80(&kPrompt);

}  // namespace
}  // namespace hearth::doctor
