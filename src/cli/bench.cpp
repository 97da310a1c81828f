// hearth bench: prefill and decode speed, beside what the machine gives at best in the same run.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <numeric>

#include "base/error.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/report.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

struct Options {
  ModelOptions model;
  uint32_t prompt = 512, generate = 128;
  std::vector<uint32_t> sequences{1};
  int repeat = 3;
  bool json = false;
};

// One line of the report. Rates count tokens of all sequences together.
struct Line {
  std::string name;
  uint32_t sequences, tokens;
  double seconds;  // of the median run
  double tokens_per_s, bytes_per_s, ops_per_s;
};

constexpr uint32_t kMaxChunk_rows = 512;
constexpr text::Token kFirstToken = 3;  // any ordinary token does: speed does not depend on which

// Lays out sequences one after another in the pages and runs batches over them.
class Runner {
 public:
  Runner(models::Model& model, uint32_t sequences, uint32_t context)
      : model_(model), pages_per_sequence_(context / device::kPage_tokens + 1) {
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
    return model_.forward(batch, std::span<float>(logits_).first(batch.logit_rows.size() * model_.spec().vocabulary));
  }

  Status prefill(uint32_t tokens) {
    for (uint32_t done = 0; done < tokens; done += kMaxChunk_rows) {
      const uint32_t rows = std::min(kMaxChunk_rows, tokens - done);
      TRY(step(1, rows, done, done + rows == tokens));
    }
    return {};
  }

  Status decode(uint32_t sequences, uint32_t tokens) {
    for (uint32_t i = 0; i < tokens; ++i) TRY(step(sequences, 1, i, true));
    return {};
  }

 private:
  models::Model& model_;
  uint32_t pages_per_sequence_;
  std::vector<int32_t> pages_, tokens_;
  std::vector<float> logits_;
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

// Multiplications and additions of one token's matrix products.
double ops_per_token(const gguf::File& file, const models::Spec& spec, bool with_output) {
  double values = 0;
  for (const gguf::Tensor& tensor : file.tensors()) {
    if (tensor.dimensions < 2 || (!with_output && &tensor == output_matrix(file))) continue;
    values += static_cast<double>(tensor.values()) * share_per_token(file, spec, tensor);
  }
  return 2 * values;
}

std::string as_text(const std::string& model, const engine::DeviceStatus& devices, const device::Limits& limits,
                    const std::vector<Line>& lines) {
  std::string text = fmt::format(
      "model    {}\ndevice   {}\nlimits   {:.1f} GB/s read, {:.0f} GFLOP/s f32, {:.0f} GOP/s int8\n\n", model,
      devices.placement(), limits.read_bytes_per_s / 1e9, limits.float_ops_per_s / 1e9, limits.int8_ops_per_s / 1e9);
  text +=
      fmt::format("{:<22} {:>10} {:>8} {:>8} {:>8} {:>10}\n", "test", "tokens/s", "GB/s", "% read", "GOP/s", "% int8");
  for (const Line& line : lines)
    text += fmt::format("{:<22} {:>10.1f} {:>8.1f} {:>7.0f}% {:>8.0f} {:>9.0f}%\n", line.name, line.tokens_per_s,
                        line.bytes_per_s / 1e9, 100 * line.bytes_per_s / limits.read_bytes_per_s, line.ops_per_s / 1e9,
                        100 * line.ops_per_s / limits.int8_ops_per_s);
  return text;
}

std::string as_json(const std::string& model, const engine::DeviceStatus& devices, const device::Limits& limits,
                    const std::vector<Line>& lines) {
  boost::json::array tests;
  for (const Line& line : lines)
    tests.push_back({{"test", line.name},
                     {"sequences", line.sequences},
                     {"tokens", line.tokens},
                     {"seconds", line.seconds},
                     {"tokens_per_s", line.tokens_per_s},
                     {"bytes_per_s", line.bytes_per_s},
                     {"ops_per_s", line.ops_per_s}});
  const boost::json::object report{{"version", HEARTH_VERSION},
                                   {"model", model},
                                   {"device", devices.placement()},
                                   {"layers", devices.layers.size()},
                                   {"layers_on_gpu", devices.layers_on_gpu()},
                                   {"cause", devices.cause},
                                   {"remedy", devices.remedy},
                                   {"limits",
                                    {{"read_bytes_per_s", limits.read_bytes_per_s},
                                     {"float_ops_per_s", limits.float_ops_per_s},
                                     {"int8_ops_per_s", limits.int8_ops_per_s}}},
                                   {"tests", tests}};
  return boost::json::serialize(report) + "\n";
}

Status run(const Options& options) {
  const uint32_t most = *std::max_element(options.sequences.begin(), options.sequences.end());
  ModelOptions model_options = options.model;
  const uint32_t tokens = std::max({options.prompt, options.generate, 1u});
  if (model_options.context == 0) model_options.context = tokens;
  if (model_options.context < tokens)
    return error(ErrorKind::kUsage, "--ctx is {}, but -p and -n need {}", model_options.context, tokens);
  const uint32_t pages = most * (model_options.context / device::kPage_tokens + 1);
  ASSIGN_OR_RETURN(
      LoadedModel loaded,
      load_model(model_options, {.batch_rows = std::max(kMaxChunk_rows, most), .logit_rows = most, .pages = pages}));
  note_devices(loaded.devices);
  const models::Spec& spec = loaded.model->spec();
  const double bytes = static_cast<double>(bytes_per_token(*loaded.file, spec));
  Runner runner(*loaded.model, most, model_options.context);
  std::vector<Line> lines;
  const auto add = [&](std::string name, uint32_t sequences, uint32_t count, double seconds, double steps, double ops) {
    const double all = double{1} * sequences * count;
    lines.push_back(
        {std::move(name), sequences, count, seconds, all / seconds, bytes * steps / seconds, ops * all / seconds});
  };
  if (options.prompt > 0) {
    ASSIGN_OR_RETURN(const double seconds,
                     median_seconds(options.repeat, [&] { return runner.prefill(options.prompt); }));
    add(fmt::format("prefill {}", options.prompt), 1, options.prompt, seconds,
        (options.prompt + kMaxChunk_rows - 1) / kMaxChunk_rows, ops_per_token(*loaded.file, spec, false));
  }
  for (const uint32_t sequences : options.generate > 0 ? options.sequences : std::vector<uint32_t>{}) {
    ASSIGN_OR_RETURN(const double seconds,
                     median_seconds(options.repeat, [&] { return runner.decode(sequences, options.generate); }));
    add(fmt::format("decode {} x {}", sequences, options.generate), sequences, options.generate, seconds,
        options.generate, ops_per_token(*loaded.file, spec, true));
  }
  const device::Limits limits = loaded.device->measure_limits();
  const auto write = options.json ? as_json : as_text;
  return print(write(loaded.found.model, loaded.devices, limits, lines));
}

Action configure(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_model_options(app, options->model);
  app.add_option("-p,--prompt", options->prompt, "Tokens of the prompt; 0: no prefill test (default: 512)")
      ->check(CLI::Range(0u, 1u << 20));
  app.add_option("-n,--generate", options->generate, "Tokens to generate; 0: no decode test (default: 128)")
      ->check(CLI::Range(0u, 1u << 20));
  app.add_option("-b,--sequences", options->sequences, "How many sequences decode together, e.g. 1,3,8 (default: 1)")
      ->delimiter(',')
      ->check(CLI::Range(1u, 1024u));
  app.add_option("-r,--repeat", options->repeat, "Runs of each test; the median counts (default: 3)")
      ->check(CLI::Range(1, 1000));
  app.add_flag("--json", options->json, "Print JSON");
  return [options] { return run(*options); };
}

const Command kCommand{"bench", "Measure prefill and decode speed beside the machine's limits", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
