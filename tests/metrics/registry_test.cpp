#include "metrics/registry.h"

#include <gtest/gtest.h>

namespace hearth::metrics {
namespace {

TEST(Metrics, APageHasEveryFamilyOnceWithItsSamples) {
  Registry registry;
  registry.counter("b_total", "Things.", {{"path", "/a\"b\\\n"}, {"status", "200"}}).add();
  registry.counter("b_total", "Things.", {{"path", "/c"}, {"status", "404"}}).add(2);
  registry.counter("b_total", "Things.", {{"path", "/c"}, {"status", "404"}}).add(0.5);
  registry.add_source([](Page& page) { page.gauge("a", "Now.", 3); });
  EXPECT_EQ(registry.page(),
            "# HELP a Now.\n# TYPE a gauge\na 3\n"
            "# HELP b_total Things.\n# TYPE b_total counter\n"
            "b_total{path=\"/a\\\"b\\\\\\n\",status=\"200\"} 1\n"
            "b_total{path=\"/c\",status=\"404\"} 2.5\n");
}

TEST(Metrics, AHistogramsBucketsCountWhatIsNotLarger) {
  Registry registry;
  Histogram& times = registry.histogram("t_seconds", "Times.", {0.1, 1}, {{"m", "x"}});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) times.observe(value);
  EXPECT_EQ(registry.page(),
            "# HELP t_seconds Times.\n# TYPE t_seconds histogram\n"
            "t_seconds_bucket{m=\"x\",le=\"0.1\"} 2\nt_seconds_bucket{m=\"x\",le=\"1\"} 3\n"
            "t_seconds_bucket{m=\"x\",le=\"+Inf\"} 4\nt_seconds_sum{m=\"x\"} 7.65\nt_seconds_count{m=\"x\"} 4\n");
}

}  // namespace
}  // namespace hearth::metrics
