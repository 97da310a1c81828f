// What the doctor finds in every scenario: causes where they are, near misses, healthy machines, the users' stories.
#include <algorithm>
#include <set>

#include "doctor/diagnose.h"
#include "doctor/report.h"
#include "doctor/scenario.h"

namespace hearth::doctor {
namespace {

std::vector<std::string> ids(const Diagnosis& diagnosis) {
  std::vector<std::string> list;
  for (const Finding& finding : diagnosis.findings) list.push_back(finding.rule->id);
  return list;
}

std::string shown(const Diagnosis& diagnosis) {
  std::string text = diagnosis.unknown;
  for (const Finding& finding : diagnosis.findings)
    text += fmt::format("{} ({}) ", finding.rule->id, confidence_name(finding.verdict.confidence));
  return text;
}

Diagnosis diagnose_scenario(const boost::json::value& scenario) {
  return diagnose(read_facts(bundle_of(scenario)));
}

size_t place_of(const Diagnosis& diagnosis, const std::string& id) {
  const std::vector<std::string> found = ids(diagnosis);
  return static_cast<size_t>(std::ranges::find(found, id) - found.begin());
}

TEST(Scenarios, EveryCauseIsFoundWhereItIs) {
  size_t all = 0, first = 0;
  for (const auto& file : cause_files()) {
    const boost::json::value cause = read_json(file);
    const std::string id(cause.at("cause").as_string());
    EXPECT_NE(find_rule(id), nullptr) << id;
    EXPECT_FALSE(cause.at("fires").as_array().empty()) << id;
    for (const boost::json::value& scenario : cause.at("fires").as_array()) {
      const Diagnosis diagnosis = diagnose_scenario(scenario);
      const size_t place = place_of(diagnosis, id);
      ++all;
      first += place == 0 ? 1u : 0u;
      EXPECT_LT(place, 3u) << id << ", " << scenario.at("name") << ": " << shown(diagnosis);
      if (place != 0)
        fmt::print("not first: {}, {}: {}\n", id, scenario.at("name").as_string().c_str(), shown(diagnosis));
      if (place < diagnosis.findings.size()) {
        EXPECT_FALSE(diagnosis.findings[place].verdict.evidence.empty()) << id;
        for (const Evidence& evidence : diagnosis.findings[place].verdict.evidence) {
          EXPECT_NE(evidence.text, "") << id << ", " << scenario.at("name");
          EXPECT_NE(evidence.source, "") << id << ", " << scenario.at("name");
        }
      }
    }
  }
  EXPECT_GE(static_cast<double>(first), 0.95 * static_cast<double>(all)) << first << " of " << all;
}

TEST(Scenarios, ANearMissIsNotTakenForTheCause) {
  for (const auto& file : cause_files()) {
    const boost::json::value cause = read_json(file);
    const std::string id(cause.at("cause").as_string());
    EXPECT_FALSE(cause.at("silent").as_array().empty()) << id;
    for (const boost::json::value& scenario : cause.at("silent").as_array()) {
      const Diagnosis diagnosis = diagnose_scenario(scenario);
      EXPECT_EQ(place_of(diagnosis, id), diagnosis.findings.size())
          << id << ", " << scenario.at("name") << ": " << shown(diagnosis);
    }
  }
}

TEST(Scenarios, HealthyMachinesHaveNoFindings) {
  for (const char* machine : {"laptop", "desktop", "server", "container", "wsl2", "kubernetes", "no-gpu", "amd"}) {
    const Diagnosis diagnosis = diagnose(read_facts(bundle_of({{"on", machine}, {"bundle", boost::json::object()}})));
    EXPECT_EQ(shown(diagnosis), "") << machine;
    EXPECT_EQ(diagnosis.outcome, Outcome::kHealthy) << machine;
    EXPECT_FALSE(diagnosis.checked.empty()) << machine;
  }
}

TEST(Scenarios, TheUsersStoriesAreReadAsTheCatalogueReadsThem) {
  for (const auto& entry : std::filesystem::directory_iterator(scenarios() / "stories")) {
    const boost::json::value story = read_json(entry.path());
    const Diagnosis diagnosis = diagnose_scenario(story);
    SCOPED_TRACE(entry.path().filename().string() + ": " + shown(diagnosis));
    ASSERT_FALSE(diagnosis.findings.empty());
    if (const auto* any = story.as_object().if_contains("first_of")) {
      EXPECT_TRUE(std::ranges::any_of(
          any->as_array(), [&](const auto& id) { return id.as_string() == diagnosis.findings[0].rule->id; }));
    }
    if (const auto* order = story.as_object().if_contains("order")) {
      for (size_t i = 0; i < order->as_array().size(); ++i)
        EXPECT_EQ(place_of(diagnosis, std::string(order->as_array()[i].as_string())), i);
    }
    if (const auto* also = story.as_object().if_contains("also")) {
      for (const auto& id : also->as_array())
        EXPECT_LT(place_of(diagnosis, std::string(id.as_string())), diagnosis.findings.size()) << id;
    }
  }
}

// The first 84 are those of the catalogue.
TEST(Rules, AreNumberedWithoutGaps) {
  std::set<int> numbers;
  std::set<std::string> names;
  for (const Rule* rule : rules()) {
    numbers.insert(rule->number);
    names.insert(rule->id);
    EXPECT_TRUE(std::filesystem::exists(scenarios() / (std::string(rule->id) + ".json"))) << rule->id;
    EXPECT_FALSE(rule->fixes.empty()) << rule->id;
    EXPECT_NE(*rule->references, 0) << rule->id;
    EXPECT_FALSE(std::string_view(rule->title).ends_with('.')) << rule->id;
    for (const Fix& fix : rule->fixes) EXPECT_FALSE(fix.steps.empty()) << rule->id;
  }
  EXPECT_EQ(numbers.size(), 90u);
  EXPECT_EQ(*numbers.rbegin(), 90);
  EXPECT_EQ(names.size(), 90u);
}

// The catalogue's section 6: settings without effect, and harmful ones.
TEST(Rules, AdviseNothingWithoutEffect) {
  for (const Rule* rule : rules()) {
    for (const Fix& fix : rule->fixes) {
      for (const char* step : fix.steps) {
        const std::string text = step;
        for (const char* forbidden :
             {"OLLAMA_NUM_GPU", "OLLAMA_GPU_MEMORY_FRACTION", "OLLAMA_GPU_LAYERS", "OLLAMA_FORCE_GPU", "OLLAMA_USE_GPU",
              "OLLAMA_NUM_THREAD", "OLLAMA_MAX_VRAM", "OLLAMA_LLM_LIBRARY=cuda ", "OLLAMA_LLM_LIBRARY=cuda,",
              "CUDA_VISIBLE_DEVICES=0", "down -v", "525.60", "GGML_CUDA_ENABLE_UNIFIED_MEMORY=", "--privileged",
              "--pid=host"})
          EXPECT_EQ(text.find(forbidden), std::string::npos) << rule->id << ": " << text;
        EXPECT_FALSE(text.ends_with("OLLAMA_LLM_LIBRARY=cuda")) << rule->id;
      }
    }
  }
}

TEST(Rules, HaveAFixForEveryPlace) {
  for (const Rule* rule : rules()) {
    for (const Place place : {Place::kBareMetal, Place::kDocker, Place::kCompose, Place::kKubernetes, Place::kWsl2,
                              Place::kLxc, Place::kUnknown}) {
      EXPECT_FALSE(fixes_for(*rule, place).empty()) << rule->id;
    }
    EXPECT_NE(explain(*rule).find("## Fix"), std::string::npos);
  }
}

TEST(Rules, SayWhereLxcIsTold) {
  for (const char* id :
       {"container-without-gpu", "driver-capabilities-exclude-compute", "device-cgroup-lost", "nvidia-uvm-missing"}) {
    const std::vector<const Fix*> fixes = fixes_for(*find_rule(id), Place::kLxc);
    ASSERT_EQ(fixes.size(), 1u) << id;
    EXPECT_EQ(fixes[0]->places, kInLxc) << id;
  }
  EXPECT_NE(fixes_for(*find_rule("blackwell-needs-open-module"), Place::kLxc)[0]->places & kOnHost, 0u);
}

}  // namespace
}  // namespace hearth::doctor
