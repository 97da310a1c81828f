// The figures of a process, and the page of them that Prometheus reads
// (https://prometheus.io/docs/instrumenting/exposition_formats/). Written here and not taken from prometheus-cpp, of
// which Debian has no static library: a release would need it beside libc.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

// Goes up only. Any thread, like all here.
class Counter {
 public:
  void add(double amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  // `bounds` rise; what is larger than the last is counted too.
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  void observe(double value);

  const std::vector<double>& bounds() const { return bounds_; }
  uint64_t count(size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }  // of one alone
  double sum() const { return sum_.value(); }

 private:
  const std::vector<double> bounds_;
  std::vector<std::atomic<uint64_t>> counts_;
  Counter sum_;
};

// What a source adds when the page is made.
class Page {
 public:
  void gauge(const std::string& name, const std::string& help, double value, const Labels& labels = {});
  void counter(const std::string& name, const std::string& help, double value, const Labels& labels = {});
  void histogram(const std::string& name, const std::string& help, const Histogram& values, const Labels& labels = {});
  std::string text() const;

 private:
  struct Family {
    std::string type, help, samples;
  };
  void add(const std::string& name, const char* type, const std::string& help, const std::string& suffix,
           const Labels& labels, double value);
  std::map<std::string, Family> families_;
};

class Registry {
 public:
  // The one of these labels, made when it is first asked for; lives as long as the registry.
  Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram& histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                       const Labels& labels = {});
  // Figures that are kept elsewhere.
  void add_source(std::function<void(Page& page)> source);

  std::string page() const;

 private:
  template <class T>
  struct Entry {
    std::string name, help;
    Labels labels;
    std::unique_ptr<T> value;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry<Counter>> counters_;  // by name and labels
  std::map<std::string, Entry<Histogram>> histograms_;
  std::vector<std::function<void(Page&)>> sources_;
};

}  // namespace hearth::metrics
