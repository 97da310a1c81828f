// hearth bench: prefill and decode speed, beside what the machine gives at best in the same run.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <numeric>
#include <optional>
#include <thread>

#include "base/checked.h"
#include "base/error.h"
#include "cli/bench_kernels.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "doctor/slow_decode.h"
#include "models/token_cost.h"

namespace hearth::cli {
namespace {

struct Options {
  ModelOptions model;
  uint32_t prompt = 512, generate = 128;
  uint32_t depth = 0;    // tokens before the generated ones
  uint32_t chunk = 512;  // most rows of a prefill step
  std::vector<uint32_t> sequences{1};
  int repeat = 3;
  bool competitor = false;  // each test once more beside a busy loop
  bool json = false;
  bool kernels = false;  // instead of a model
  KernelBenchOptions kernel;
};

// One line of the report. Rates count tokens of all sequences together.
struct Line {
  std::string name;
  uint32_t sequences, tokens;
  double seconds;  // of the median run
  double tokens_per_s, bytes_per_s, ops_per_s;
  double beside_seconds;  // the same beside a busy loop; 0: not measured
};

// A program that needs a processor all the time.
class Competitor {
 public:
  Competitor()
      : thread_([this] {
          while (!over_.load(std::memory_order_relaxed)) {
          }
        }) {}
  ~Competitor() {
    over_ = true;
    thread_.join();
  }
  Competitor(const Competitor&) = delete;

 private:
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

// What is fetched of a row's logits where a device finds the largest, as for an answer with the default options.
constexpr uint32_t kCandidates = 40;
constexpr text::Token kFirstToken = 3;  // any ordinary token does: speed does not depend on which

// Lays out sequences one after another in the pages and runs batches over them.
class Runner {
 public:
  Runner(models::Model& model, uint32_t sequences, uint32_t context, uint32_t chunk)
      : model_(model),
        pages_per_sequence_(
            static_cast<uint32_t>(round_up(divide_up(context, device::kPage_tokens), model.page_group()))),
        chunk_(chunk) {
    pages_.resize(size_t{sequences} * pages_per_sequence_);
    std::iota(pages_.begin(), pages_.end(), 0);
    logits_.resize(size_t{sequences} * model.spec().vocabulary);
  }

  // `rows` tokens at `position` for each of `sequences` sequences.
  Status step(uint32_t sequences, uint32_t rows, uint32_t position, bool logits) {
    tokens_.assign(size_t{sequences} * rows, kFirstToken);
    device::Batch batch;
    batch.tokens = tokens_;
    for (uint32_t s = 0; s < sequences; ++s) {
      batch.sequences.push_back(
          {s * rows, rows, position,
           std::span<const int32_t>(pages_).subspan(size_t{s} * pages_per_sequence_, pages_per_sequence_)});
      if (logits) batch.logit_rows.push_back((s + 1) * rows - 1);
    }
    readout_.candidates = logits ? std::min(kCandidates, model_.most_candidates()) : 0;
    if (readout_.candidates > 0) return model_.forward(batch, readout_);
    return model_.forward(batch, std::span<float>(logits_).first(batch.logit_rows.size() * model_.spec().vocabulary));
  }

  // The first `tokens` of each of `sequences` sequences.
  Status prefill(uint32_t sequences, uint32_t tokens) {
    const uint32_t most = std::max(1u, chunk_ / sequences);
    for (uint32_t done = 0; done < tokens; done += most) {
      const uint32_t rows = std::min(most, tokens - done);
      TRY(step(sequences, rows, done, done + rows == tokens));
    }
    return {};
  }

  // `tokens` more of each, after `depth`.
  Status decode(uint32_t sequences, uint32_t tokens, uint32_t depth) {
    for (uint32_t i = 0; i < tokens; ++i) TRY(step(sequences, 1, depth + i, true));
    return {};
  }

 private:
  models::Model& model_;
  uint32_t pages_per_sequence_, chunk_;
  std::vector<int32_t> pages_, tokens_;
  std::vector<float> logits_;
  device::Readout readout_;
};

// Seconds of the median of `repeat` runs, after one that does not count.
template <class Body>
Result<double> median_seconds(int repeat, Body&& body) {
  std::vector<double> seconds;
  for (int i = 0; i <= repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    TRY(body());
    if (i > 0) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + static_cast<ptrdiff_t>(seconds.size() / 2), seconds.end());
  return seconds[seconds.size() / 2];
}

struct Seconds {
  double alone = 0, beside = 0;
};
template <class Body>
Result<Seconds> measure(const Options& options, Body&& body) {
  Seconds seconds;
  ASSIGN_OR_RETURN(seconds.alone, median_seconds(options.repeat, body));
  if (!options.competitor) return seconds;
  const Competitor competitor;
  ASSIGN_OR_RETURN(seconds.beside, median_seconds(options.repeat, body));
  return seconds;
}

// Multiplications and additions of one token's matrix products.
double ops_per_token(const gguf::File& file, const models::Spec& spec, bool with_output) {
  double values = 0;
  for (const gguf::Tensor& tensor : file.tensors()) {
    if (tensor.dimensions < 2 || (!with_output && &tensor == models::output_matrix(file))) continue;
    values += static_cast<double>(tensor.values()) * models::share_per_token(file, spec, tensor);
  }
  return 2 * values;
}

std::string as_text(const fleet::LoadedModel& loaded, const device::Limits& limits, const std::vector<Line>& lines) {
  std::string text =
      fmt::format("model    {}\ndevice   {}\nlimits   {:.1f} GB/s read, {:.0f} GFLOP/s f32, {:.0f} GOP/s int8\n\n",
                  loaded.found.model, loaded.placed->status().placement(), limits.read_bytes_per_s / 1e9,
                  limits.float_ops_per_s / 1e9, limits.int8_ops_per_s / 1e9);
  const bool beside = std::ranges::any_of(lines, [](const Line& line) { return line.beside_seconds > 0; });
  text += fmt::format("{:<26} {:>10} {:>8} {:>8} {:>8} {:>10}{}\n", "test", "tokens/s", "GB/s", "% read", "GOP/s",
                      "% int8", beside ? "  beside a busy loop" : "");
  // A GPU that is full cannot be measured.
  const auto percent = [](double rate, double limit) {
    return limit > 0 ? fmt::format("{:.0f}%", 100 * rate / limit) : std::string("-");
  };
  for (const Line& line : lines)
    text += fmt::format("{:<26} {:>10.1f} {:>8.1f} {:>8} {:>8.0f} {:>10}{}\n", line.name, line.tokens_per_s,
                        line.bytes_per_s / 1e9, percent(line.bytes_per_s, limits.read_bytes_per_s),
                        line.ops_per_s / 1e9, percent(line.ops_per_s, limits.int8_ops_per_s),
                        beside ? fmt::format("  {:>18.2f}", line.seconds / line.beside_seconds) : "");
  return text;
}

// In all, and on each device: what there is of the model, what the plan promised and what the GPU's memory lost.
boost::json::object memory_json(const fleet::LoadedModel& loaded, const engine::DeviceStatus& devices) {
  const models::Memory memory = devices.memory();
  uint64_t promised = 0, taken = 0;
  boost::json::array each;
  for (const engine::DeviceStatus::Device& device : devices.devices) {
    promised += device.promised_bytes;
    taken += device.taken_bytes;
    boost::json::object on{{"device", device.name},
                           {"weights", device.memory.weights},
                           {"cache", device.memory.cache},
                           {"workspace", device.memory.workspace}};
    if (device.promised_bytes > 0) {
      on["promised"] = device.promised_bytes;
      on["taken"] = device.taken_bytes;
    }
    each.push_back(std::move(on));
  }
  boost::json::object json{{"weights", memory.weights},
                           {"cache", memory.cache},
                           {"positions", uint64_t{loaded.load.pages} * device::kPage_tokens},
                           {"workspace", memory.workspace},
                           {"devices", std::move(each)}};
  if (promised > 0) {  // on GPUs
    json["promised"] = promised;
    json["taken"] = taken;
  }
  return json;
}

std::string as_json(const fleet::LoadedModel& loaded, const device::Limits& limits, const std::vector<Line>& lines) {
  boost::json::array tests;
  for (const Line& line : lines) {
    boost::json::object test{
        {"test", line.name},          {"sequences", line.sequences},       {"tokens", line.tokens},
        {"seconds", line.seconds},    {"tokens_per_s", line.tokens_per_s}, {"bytes_per_s", line.bytes_per_s},
        {"ops_per_s", line.ops_per_s}};
    if (line.beside_seconds > 0) test["beside_busy_loop"] = line.seconds / line.beside_seconds;
    tests.push_back(std::move(test));
  }
  const engine::DeviceStatus devices = loaded.placed->status();
  const boost::json::object report{{"version", HEARTH_VERSION},
                                   {"model", loaded.found.model},
                                   {"load_s", std::chrono::duration<double>(loaded.load_duration).count()},
                                   {"read_s", std::chrono::duration<double>(loaded.read_duration).count()},
                                   {"device", devices.placement()},
                                   {"layers", devices.layers.size()},
                                   {"layers_on_gpu", devices.layers_on_gpu()},
                                   {"cause", what_of(devices.cause)},
                                   {"cause_id", devices.cause.id},
                                   {"remedy", remedy_of(devices.cause)},
                                   {"experts_on_cpu", devices.experts_on_cpu()},
                                   {"limits",
                                    {{"read_bytes_per_s", limits.read_bytes_per_s},
                                     {"float_ops_per_s", limits.float_ops_per_s},
                                     {"int8_ops_per_s", limits.int8_ops_per_s}}},
                                   {"memory", memory_json(loaded, devices)},
                                   {"tests", tests}};
  return boost::json::serialize(report) + "\n";
}

void note_if_slow(const fleet::LoadedModel& loaded, double tokens_per_s, double bytes_per_token) {
  const engine::DeviceStatus devices = loaded.placed->status();
  const engine::DeviceStatus::Device* gpu = devices.only_gpu();
  if (gpu == nullptr) return;
  const auto finding = doctor::check_decode(
      {tokens_per_s, bytes_per_token, static_cast<double>(gpu->bandwidth_bytes_per_s)}, gpu->ordinal, gpu->name);
  if (finding) print_note("warning: " + finding->text());
}

Status run(const Options& options) {
  if (options.kernels) return bench_kernels(options.model, options.kernel, options.json);
  if (options.model.model.empty()) return error(ErrorKind::kUsage, "MODEL is required, or --kernels");
  if (options.prompt == 0 && options.generate == 0)
    return error(ErrorKind::kUsage, "-p 0 -n 0 measures nothing: give -p tokens of a prompt, -n tokens to generate");
  const uint32_t most = *std::max_element(options.sequences.begin(), options.sequences.end());
  ModelOptions model_options = options.model;
  const uint32_t tokens = std::max({options.prompt, options.depth + options.generate, 1u});
  if (model_options.context == 0) model_options.context = tokens;
  if (model_options.context < tokens)
    return error(ErrorKind::kUsage, "--ctx is {}, but -p, -d and -n need {}", model_options.context, tokens);
  ASSIGN_OR_RETURN(const uint32_t pages, fleet::pages_for(most, model_options.context));
  ASSIGN_OR_RETURN(
      fleet::LoadedModel loaded,
      load_model(model_options, {.batch_rows = std::max(options.chunk, most), .logit_rows = most, .pages = pages}));
  note_devices(loaded.placed->status());
  models::Model& model = loaded.placed->model();
  const models::Spec& spec = loaded.spec;
  const double weight_bytes = static_cast<double>(models::bytes_per_token(*loaded.file, spec));
  const double cache_bytes = static_cast<double>(model.memory().cache) / pages / device::kPage_tokens;
  Runner runner(model, most, model_options.context, options.chunk);
  std::vector<Line> lines;
  // `positions` of the cache are read in all, besides the weights once per step.
  const auto add = [&](std::string name, uint32_t sequences, uint32_t count, const Seconds& took, double steps,
                       double positions, double ops) {
    const double all = double{1} * sequences * count, seconds = took.alone;
    lines.push_back({std::move(name), sequences, count, seconds, all / seconds,
                     (weight_bytes * steps + cache_bytes * positions) / seconds, ops * all / seconds, took.beside});
  };
  if (options.prompt > 0) {
    ASSIGN_OR_RETURN(const Seconds seconds, measure(options, [&] { return runner.prefill(1, options.prompt); }));
    add(fmt::format("prefill {}", options.prompt), 1, options.prompt, seconds,
        static_cast<double>(divide_up(options.prompt, options.chunk)), 0, ops_per_token(*loaded.file, spec, false));
  }
  const std::string after = options.depth > 0 ? fmt::format(" after {}", options.depth) : "";
  for (const uint32_t sequences : options.generate > 0 ? options.sequences : std::vector<uint32_t>{}) {
    TRY(runner.prefill(sequences, options.depth));
    ASSIGN_OR_RETURN(const Seconds seconds,
                     measure(options, [&] { return runner.decode(sequences, options.generate, options.depth); }));
    if (sequences == 1)
      note_if_slow(loaded, options.generate / seconds.alone, weight_bytes + cache_bytes * options.depth);
    const double positions = double{1} * sequences * options.generate * (options.depth + (options.generate + 1) / 2.0);
    add(fmt::format("decode {} x {}{}", sequences, options.generate, after), sequences, options.generate, seconds,
        options.generate, positions, ops_per_token(*loaded.file, spec, true));
  }
  const device::Limits limits = loaded.placed->main_device().measure_limits();
  const auto write = options.json ? as_json : as_text;
  return print(write(loaded, limits, lines));
}

Action configure(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.text("MODEL", options->model.model, "Path of a GGUF file, a name as in \"ollama list\", or \"demo\"");
  add_context_and_compute_options(arguments, options->model);
  arguments.number("-p,--prompt", options->prompt, 0u, 1u << 20,
                   "Tokens of the prompt; 0: no prefill test (default: 512)");
  arguments.number("-n,--generate", options->generate, 0u, 1u << 20,
                   "Tokens to generate; 0: no decode test (default: 128)");
  arguments.number("-d,--depth", options->depth, 0u, 1u << 24,
                   "Tokens in the context before those generated (default: 0)");
  arguments.number("-c,--chunk", options->chunk, 1u, 1u << 16,
                   "Most tokens of a prompt computed in one step (default: 512)");
  arguments.numbers("-b,--sequences", options->sequences, 1u, 1024u,
                    "How many sequences decode together, e.g. 1,3,8 (default: 1)");
  arguments.number("-r,--repeat", options->repeat, 1, 1000, "Runs of each test; the median counts (default: 3)");
  arguments.flag("--kernels", options->kernels, "No model: each kind of kernel by itself, on the sizes of a layer");
  add_kernel_options(arguments, options->kernel);
  arguments.flag("--competitor", options->competitor,
                 "Each test once more beside a busy loop, which needs a processor: what is left of the speed");
  arguments.exclude("--competitor", "--kernels");
  arguments.flag("--json", options->json, "Print JSON");
  return [options] { return run(*options); };
}

const Command kCommand{"bench", "Measure prefill and decode speed beside the machine's limits", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
