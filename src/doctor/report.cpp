#include "doctor/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/outside_text.h"
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

namespace json = boost::json;

constexpr size_t kLongestQuote = 240;  // characters of a log line as evidence

std::string quote(const std::string& text) {
  std::string plain = printable(text);
  if (plain.size() > kLongestQuote) plain = plain.substr(0, kLongestQuote - 3) + "...";
  return plain;
}

std::string bold(const std::string& text, const ReportStyle& style) {
  return style.colours ? "\x1b[1m" + text + "\x1b[0m" : text;
}

std::string facts_lines(const Facts& facts, const ReportStyle& style) {
  std::string text;
  const auto row = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += wrap(value, style.width, fmt::format("{:<11}", name));
  };
  if (facts.service != Service::kNone)
    row("service", fmt::format("{}{}{}", service_name(facts.service), facts.version.empty() ? "" : " ", facts.version));
  if (facts.place != Place::kUnknown)
    row("where",
        std::string(place_name(facts.place)) + (facts.hardware.wsl && facts.place != Place::kWsl2 ? " on WSL2" : ""));
  std::string gpus;
  for (const NvmlDevice& device : facts.nvml.devices)
    gpus += fmt::format("{}{}{}", gpus.empty() ? "" : "; ", printable(device.name),
                        device.total_bytes ? fmt::format(", {} of {} free",
                                                         bytes_text(static_cast<double>(device.free_bytes.value_or(0))),
                                                         bytes_text(static_cast<double>(*device.total_bytes)))
                                           : "");
  if (gpus.empty())
    for (const PciGpu& gpu : facts.hardware.gpus)
      gpus += fmt::format("{}{} device {:04x}:{:04x}", gpus.empty() ? "" : "; ",
                          gpu.nvidia()           ? "NVIDIA"
                          : gpu.vendor == 0x1002 ? "AMD"
                                                 : "other",
                          gpu.vendor, gpu.device);
  if (facts.machine_known)
    row("GPU", gpus.empty() ? (facts.hardware.pci_known ? "none on the PCI bus" : "not known") : gpus);
  const std::string driver = facts.hardware.kernel_module.empty() ? facts.nvml.driver : facts.hardware.kernel_module;
  if (!driver.empty())
    row("driver", printable(driver) + (facts.hardware.open_module.value_or(false) ? " (open kernel module)" : ""));
  if (facts.cuda.asked)
    row("CUDA", facts.cuda.works()     ? "works"
                : facts.cuda.timed_out ? "did not answer"
                : facts.cuda.code != 0 ? fmt::format("{} answered {}", facts.cuda.failed_step, facts.cuda.code)
                                       : "no device");
  if (facts.placement.layers)
    row("layers", fmt::format("{} of {} on the GPU", *facts.placement.layers, facts.placement.of_layers.value_or(0)));
  return text;
}

std::string fix_text(const Rule& rule, Place place, const ReportStyle& style) {
  std::string text;
  for (const Fix* fix : fixes_for(rule, place)) {
    std::string where = fix->where;
    text += wrap(where + ":", style.width, "   fix       ");
    for (const char* step : fix->steps) {
      // A command is not broken: it is there to be copied.
      if (std::string_view(step).starts_with("$ "))
        text += "             " + std::string(step) + "\n";
      else
        text += wrap(step, style.width, "             ");
    }
  }
  return text;
}

std::string finding_text(const Finding& finding, size_t number, Place place, const ReportStyle& style) {
  std::string text = bold(wrap(finding.what() + ".", style.width, fmt::format("{}. ", number)), style);
  text += fmt::format("   {:<10}{} ({})\n", "cause", finding.rule->id, confidence_name(finding.verdict.confidence));
  bool first = true;
  for (const Evidence& evidence : finding.verdict.evidence) {
    text += wrap(fmt::format("{} [{}]", quote(evidence.text), printable(evidence.source)), style.width,
                 first ? "   seen      " : "           - ");
    first = false;
  }
  const std::string decider = finding.verdict.decider.empty() ? finding.rule->decider : finding.verdict.decider;
  if (finding.verdict.confidence != kCertain && !decider.empty()) text += wrap(decider, style.width, "   decides   ");
  text += fix_text(*finding.rule, place, style);
  text += wrap(finding.rule->ignore, style.width, "   ignore    ");
  return text;
}

void flatten(const json::value& value, const std::string& name, std::string& out) {
  if (value.is_object() && !value.get_object().empty()) {
    for (const auto& member : value.get_object())
      flatten(
          member.value(),
          name.empty() ? std::string(member.key()) : name + (name == "files" ? " " : ".") + std::string(member.key()),
          out);
    return;
  }
  if (value.is_array() && !value.get_array().empty() && value.get_array()[0].is_object()) {
    for (size_t i = 0; i < value.get_array().size(); ++i)
      flatten(value.get_array()[i], fmt::format("{}[{}]", name, i), out);
    return;
  }
  std::string text = value.is_string() ? std::string(value.get_string()) : json::serialize(value);
  std::ranges::replace(text, '\0', ' ');
  std::ranges::replace(text, '\n', ' ');
  out += fmt::format("{}: {}\n", printable(name), quote(std::string(trim(text))));
}

}  // namespace

std::string wrap(const std::string& text, size_t width, const std::string& first) {
  std::string out = first, row;
  const size_t room = width > first.size() + 20 ? width - first.size() : 20;
  for (const std::string& word : split(text, " \n")) {
    if (!row.empty() && row.size() + 1 + word.size() > room) {
      out += row + "\n" + std::string(first.size(), ' ');
      row.clear();
    }
    row += (row.empty() ? "" : " ") + word;
  }
  return out + row + "\n";
}

std::string probes_text(const Bundle& bundle) {
  std::string out;
  flatten(bundle.all, "", out);
  return out;
}

std::string report(const Facts& facts, const Diagnosis& diagnosis, const Bundle& bundle, const ReportStyle& style) {
  std::string text = facts_lines(facts, style);
  if (style.verbose) text += "\n" + bold("what was asked, and the answers", style) + "\n" + probes_text(bundle);
  if (!text.empty()) text += "\n";
  switch (diagnosis.outcome) {
    case Outcome::kHealthy:
      text += bold("No fault was found.", style) + "\n";
      for (const std::string& line : diagnosis.checked) text += wrap(printable(line), style.width, "  checked  ");
      break;
    case Outcome::kUnknown:
      text += wrap("Could not tell: " + printable(diagnosis.unknown) + ".", style.width, "");
      break;
    case Outcome::kFindings:
      for (size_t i = 0; i < diagnosis.findings.size(); ++i)
        text += (i == 0 ? "" : "\n") + finding_text(diagnosis.findings[i], i + 1, facts.place, style);
      break;
  }
  if (!diagnosis.compared.empty()) text += "\n" + bold("The same under hearth:", style) + "\n";
  for (const std::string& line : diagnosis.compared) text += wrap(printable(line), style.width, "  ");
  if (!diagnosis.unread.empty() && !style.verbose) {
    text += "\n" +
            wrap(fmt::format(
                     "{} could not be read, so nothing was concluded from {}; --verbose names all.",
                     printable(diagnosis.unread[0]),
                     diagnosis.unread.size() > 1 ? fmt::format("it and {} others", diagnosis.unread.size() - 1) : "it"),
                 style.width, "note: ");
  }
  return text;
}

std::string report_json(const Facts& facts, const Diagnosis& diagnosis, const Bundle& bundle, bool verbose) {
  json::array findings;
  for (const Finding& finding : diagnosis.findings) {
    json::array evidence, fix;
    for (const Evidence& one : finding.verdict.evidence)
      evidence.push_back({{"text", quote(one.text)}, {"source", one.source}});
    for (const Fix* one : fixes_for(*finding.rule, facts.place))
      fix.push_back({{"where", one->where}, {"steps", json::array(one->steps.begin(), one->steps.end())}});
    const std::string decider = finding.verdict.decider.empty() ? finding.rule->decider : finding.verdict.decider;
    findings.push_back({{"id", finding.rule->id},
                        {"number", finding.rule->number},
                        {"area", finding.rule->area},
                        {"what", finding.what()},
                        {"confidence", confidence_name(finding.verdict.confidence)},
                        {"evidence", evidence},
                        {"decider", decider},
                        {"fix", fix},
                        {"ignore", finding.rule->ignore}});
  }
  constexpr const char* kOutcomes[] = {"healthy", "findings", "unknown"};
  json::object all{
      {"version", HEARTH_VERSION},
      {"outcome", kOutcomes[static_cast<size_t>(diagnosis.outcome)]},
      {"place", place_name(facts.place)},
      {"service", facts.service == Service::kNone ? json::value(nullptr) : json::value(service_name(facts.service))},
      {"findings", findings},
      {"checked", json::value_from(diagnosis.checked)},
      {"unread", json::value_from(diagnosis.unread)}};
  if (!diagnosis.unknown.empty()) all["unknown"] = diagnosis.unknown;
  if (!diagnosis.compared.empty()) all["under_hearth"] = json::value_from(diagnosis.compared);
  if (verbose) all["facts"] = bundle.all;
  return pretty(all) + "\n";
}

std::string explain(const Rule& rule) {
  constexpr size_t kWidth = 80;
  std::string text = fmt::format("# {}\n\n", rule.id) + wrap(std::string(rule.title) + ".", kWidth, "") + "\n" +
                     wrap(rule.explanation, kWidth, "");
  if (*rule.decider != 0) text += "\n" + wrap(fmt::format("What decides it: {}.", rule.decider), kWidth, "");
  struct Name {
    unsigned place;
    const char* name;
  };
  constexpr Name kNames[] = {{kOnHost, "bare metal or a virtual machine"},
                             {kInDocker, "Docker"},
                             {kInCompose, "Docker Compose"},
                             {kInKubernetes, "Kubernetes"},
                             {kInWsl2, "WSL2"},
                             {kInLxc, "LXC"}};
  for (const Fix& fix : rule.fixes) {
    std::string places;
    for (const Name& name : kNames)
      if ((fix.places & name.place) != 0) places += (places.empty() ? "" : ", ") + std::string(name.name);
    if (fix.places == kAnywhere) places = "everywhere";
    text += fmt::format("\n## Fix: {}\n\n", places) + wrap(fmt::format("Done {}.", fix.where), kWidth, "") + "\n";
    for (const char* step : fix.steps)
      text +=
          std::string_view(step).starts_with("$ ") ? "    " + std::string(step + 2) + "\n" : wrap(step, kWidth, "- ");
  }
  text += "\n" + wrap(fmt::format("What does not help, or is no sign of it: {}.", rule.ignore), kWidth, "");
  return text + "\n" +
         wrap(fmt::format("Number {} of the catalogue ({}). See {}.", rule.number, rule.area, rule.references), kWidth,
              "");
}

std::string explain(const CauseWords& words) {
  constexpr size_t kWidth = 80;
  return fmt::format("# {}\n\n", words.id) + wrap(words.what + ".", kWidth, "") + "\n" +
         wrap(fmt::format("What to do: {}.", words.remedy), kWidth, "") + "\n" +
         wrap("Hearth reports this itself; what stands in braces is in its message.", kWidth, "");
}

}  // namespace hearth::doctor
