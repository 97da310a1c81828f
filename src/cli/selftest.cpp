// hearth selftest: whether this build computes right on this machine. The demonstration model answers fixed
// questions; tokens and logits are compared with what an exact computation of the same weights gives.
#include "cli/selftest.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/fnv1a.h"
#include "cli/command.h"
#include "cli/generate.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "doctor/selftest_cases.h"
#include "engine/evaluate.h"

namespace hearth::cli {
namespace {

constexpr int kDecode_tokens = 64;

struct Options {
  ModelOptions model;
  bool json = false;
};

Result<std::string> compare_file(const std::string& path, const doctor::SelftestCases& expected) {
  ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  if (bytes.size() == expected.file_bytes && fnv1a(bytes) == expected.checksum) return std::string();
  return fmt::format(
      "{} is not the demonstration model of this build: it is damaged or of another version; install "
      "hearth again",
      path);
}

Status compare_tokenizer(const text::Tokenizer& tokenizer, const doctor::SelftestCases& expected, SelftestFindings* findings) {
  for (const doctor::SelftestCase& one : expected.cases) {
    if (tokenizer.encode(one.prompt, {.parse_special = true}) != one.prompt_tokens)
      findings->mistakes.push_back(fmt::format("the tokenizer reads the question for {:?} wrongly", one.answer));
  }
  return {};
}

// Prefill: all positions of prompt and answer at once.
Status compare_logits(models::Model& model, const doctor::SelftestCases& expected, SelftestFindings* findings) {
  double squares = 0, sum = 0, values = 0, values_squared = 0;
  for (const doctor::SelftestCase& one : expected.cases) {
    std::vector<int32_t> tokens = one.prompt_tokens;
    tokens.insert(tokens.end(), one.answer_tokens.begin(), one.answer_tokens.end() - 1);
    const size_t first = one.prompt_tokens.size() - 1;
    TRY(engine::evaluate(
        model, tokens, first, interrupted, [&](size_t position, std::span<const float> logits) -> Status {
          const doctor::ExpectedLogits& right = one.logits[position - first];
          for (size_t i = 0; i < right.tokens.size(); ++i) {
            const double value = right.values[i];
            const double difference = static_cast<double>(logits[static_cast<size_t>(right.tokens[i])]) - value;
            squares += difference * difference;
            values += value;
            values_squared += value * value;
            sum += 1;
          }
          return {};
        }));
  }
  const double mean = values / sum;
  findings->logit_error = std::sqrt(squares / sum) / std::sqrt(values_squared / sum - mean * mean);
  return {};
}

engine::Request greedy(const doctor::SelftestCase& one, int num_predict) {
  engine::Request request{.prompt = one.prompt_tokens, .options = {}, .stops = {}};
  request.options.temperature = 0;
  request.options.num_predict = num_predict;
  return request;
}

// Speed first, so that no page of the prompt is cached yet.
Status measure_speed(engine::Engine& engine, const doctor::SelftestCase& longest, SelftestFindings* findings) {
  engine::Request request = greedy(longest, kDecode_tokens);
  const text::Tokenizer& tokenizer = engine.tokenizer();
  for (text::Token token = 0; static_cast<size_t>(token) < tokenizer.size(); ++token) {
    if (tokenizer.is_end_of_generation(token))
      request.options.logit_bias[token] = -std::numeric_limits<float>::infinity();
  }
  ASSIGN_OR_RETURN(const Completion completion,
                   generate(engine, std::move(request), [](const engine::Event&) { return Status(); }));
  const auto rate = [](double tokens, std::chrono::nanoseconds time) {
    return tokens / std::max(1e-9, std::chrono::duration<double>(time).count());
  };
  const engine::Usage& usage = completion.usage;
  findings->prefill_tokens_per_s = rate(usage.prompt_tokens - usage.prompt_tokens_cached, usage.prompt);
  findings->decode_tokens_per_s = rate(usage.generated_tokens - 1.0, usage.generation);
  return {};
}

// Decode: token by token through the engine.
Status compare_answers(engine::Engine& engine, const doctor::SelftestCases& expected, SelftestFindings* findings) {
  for (const doctor::SelftestCase& one : expected.cases) {
    const int most = static_cast<int>(one.answer_tokens.size());
    ASSIGN_OR_RETURN(const Completion completion,
                     generate(engine, greedy(one, most), [](const engine::Event&) { return Status(); }));
    ++findings->answers;
    if (completion.text != one.answer || completion.usage.generated_tokens != one.answer_tokens.size())
      findings->mistakes.push_back(fmt::format("the answer should be {:?}, but is {:?}", one.answer, completion.text));
  }
  return {};
}

// Of the devices that compute.
std::string names_of(const engine::DeviceStatus& devices) {
  std::string names;
  for (uint32_t i = 0; i < devices.devices.size(); ++i)
    if (std::ranges::count(devices.layers, i) > 0) names += (names.empty() ? "" : " and ") + devices.devices[i].name;
  return names;
}

std::string as_text(const SelftestFindings& findings) {
  const auto verdict = [](bool right) { return right ? "ok" : "WRONG"; };
  std::string text = fmt::format("device    {}\nmodel     {}\n", findings.device, verdict(findings.file.empty()));
  if (!findings.file.empty()) text += fmt::format("          {}\n", findings.file);
  text += fmt::format("tokens    {} ({} answers)\n", verdict(findings.mistakes.empty()), findings.answers);
  for (const std::string& mistake : findings.mistakes) text += fmt::format("          {}\n", mistake);
  return text + fmt::format(
                    "logits    {} (error {:.2f} % of their spread, at most {:.0f} %)\n"
                    "speed     prefill {:.0f} tokens/s, decode {:.0f} tokens/s\n{}\n",
                    verdict(findings.logits_right()), 100 * findings.logit_error, 100 * kLogitTolerance,
                    findings.prefill_tokens_per_s, findings.decode_tokens_per_s,
                    findings.passed() ? "passed" : "FAILED");
}

std::string as_json(const SelftestFindings& findings) {
  const boost::json::value error =
      std::isfinite(findings.logit_error) ? boost::json::value(findings.logit_error) : boost::json::value(nullptr);
  const boost::json::object report{{"version", HEARTH_VERSION},
                                   {"device", findings.device},
                                   {"passed", findings.passed()},
                                   {"file", findings.file},
                                   {"mistakes", boost::json::value_from(findings.mistakes)},
                                   {"answers", findings.answers},
                                   {"logit_error", error},
                                   {"logit_tolerance", kLogitTolerance},
                                   {"prefill_tokens_per_s", findings.prefill_tokens_per_s},
                                   {"decode_tokens_per_s", findings.decode_tokens_per_s}};
  return boost::json::serialize(report) + "\n";
}

Status run(const Options& options) {
  ASSIGN_OR_RETURN(const SelftestFindings findings, self_test(options.model));
  TRY(print(options.json ? as_json(findings) : as_text(findings)));
  if (findings.passed()) return {};
  if (!findings.file.empty()) return error(ErrorKind::kInvalidData, "{}", findings.file);
  return error(ErrorKind::kInvalidData,
               "hearth computes wrongly on {}; try another --cpu-isa or --device, and report what selftest printed",
               findings.device);
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  options->model.model = "demo";
  arguments.text("--model", options->model.model, "The demonstration model's file, if it is not beside hearth");
  add_compute_options(arguments, options->model);
  const auto device = [options](const std::string& name) -> Status {
    if (name != "cpu" && name != "gpu") return error(ErrorKind::kUsage, "--device: {} is not cpu or gpu", name);
    options->model.gpu = name == "cpu" ? "off" : "require";
    return {};
  };
  arguments.each("--device", "{cpu,gpu}", device, "The same as --gpu off and --gpu require", "Options");
  arguments.flag("--json", options->json, "Print JSON");
  return [options] { return run(*options); };
}

const Command kCommand{"selftest", "Check that hearth computes right on this machine", configure};
const RegisterCommand registered(&kCommand);

}  // namespace

Result<SelftestFindings> self_test(const ModelOptions& options) {
  const doctor::SelftestCases& expected = doctor::selftest_cases();
  const auto longest = std::max_element(expected.cases.begin(), expected.cases.end(), [](const auto& a, const auto& b) {
    return a.prompt_tokens.size() < b.prompt_tokens.size();
  });
  models::LoadOptions load = engine::evaluation_load_options(0);
  load.context = static_cast<uint32_t>(longest->prompt_tokens.size()) + kDecode_tokens;
  ASSIGN_OR_RETURN(fleet::LoadedModel loaded, load_model(options, load));
  const engine::DeviceStatus devices = loaded.placed->status();
  note_devices(devices);
  SelftestFindings findings;
  findings.device = names_of(devices);
  ASSIGN_OR_RETURN(findings.file, compare_file(loaded.found.model, expected));
  TRY(compare_tokenizer(*loaded.tokenizer, expected, &findings));
  TRY(compare_logits(loaded.placed->model(), expected, &findings));
  engine::EngineOptions engine_options;
  engine_options.step_rows = load.batch_rows;
  engine::Engine engine(loaded.placed->backend(), loaded.tokenizer, engine_options);
  TRY(measure_speed(engine, *longest, &findings));
  TRY(compare_answers(engine, expected, &findings));
  return findings;
}

}  // namespace hearth::cli
