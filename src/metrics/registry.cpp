#include "metrics/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace hearth::metrics {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::string labels_text(const Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels)
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", name, escaped(value));
  return text.empty() ? text : "{" + text + "}";
}

std::string number_text(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

}  // namespace

void Histogram::observe(double value) {
  const auto at = std::ranges::lower_bound(bounds_, value);
  counts_[static_cast<size_t>(at - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.add(value);
}

void Page::add(const std::string& name, const char* type, const std::string& help, const std::string& suffix,
               const Labels& labels, double value) {
  Family& family = families_[name];
  family.type = type;
  family.help = help;
  family.samples += fmt::format("{}{}{} {}\n", name, suffix, labels_text(labels), number_text(value));
}

void Page::gauge(const std::string& name, const std::string& help, double value, const Labels& labels) {
  add(name, "gauge", help, "", labels, value);
}

void Page::counter(const std::string& name, const std::string& help, double value, const Labels& labels) {
  add(name, "counter", help, "", labels, value);
}

void Page::histogram(const std::string& name, const std::string& help, const Histogram& values, const Labels& labels) {
  uint64_t below = 0;
  for (size_t i = 0; i <= values.bounds().size(); ++i) {
    below += values.count(i);
    Labels with_bound = labels;
    with_bound.emplace_back("le", i < values.bounds().size() ? number_text(values.bounds()[i]) : "+Inf");
    add(name, "histogram", help, "_bucket", with_bound, static_cast<double>(below));
  }
  add(name, "histogram", help, "_sum", labels, values.sum());
  add(name, "histogram", help, "_count", labels, static_cast<double>(below));
}

std::string Page::text() const {
  std::string text;
  for (const auto& [name, family] : families_)
    text += fmt::format("# HELP {} {}\n# TYPE {} {}\n{}", name, family.help, name, family.type, family.samples);
  return text;
}

Counter& Registry::counter(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(mutex_);
  auto& entry = counters_[name + labels_text(labels)];
  if (!entry.value) entry = {name, help, labels, std::make_unique<Counter>()};
  return *entry.value;
}

Histogram& Registry::histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                               const Labels& labels) {
  const std::lock_guard lock(mutex_);
  auto& entry = histograms_[name + labels_text(labels)];
  if (!entry.value) entry = {name, help, labels, std::make_unique<Histogram>(bounds)};
  return *entry.value;
}

void Registry::add_source(std::function<void(Page& page)> source) {
  const std::lock_guard lock(mutex_);
  sources_.push_back(std::move(source));
}

std::string Registry::page() const {
  Page page;
  std::vector<std::function<void(Page&)>> sources;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, entry] : counters_) page.counter(entry.name, entry.help, entry.value->value(), entry.labels);
    for (const auto& [key, entry] : histograms_) page.histogram(entry.name, entry.help, *entry.value, entry.labels);
    sources = sources_;
  }
  for (const auto& source : sources) source(page);  // may ask whatever it likes
  return page.text();
}

}  // namespace hearth::metrics
