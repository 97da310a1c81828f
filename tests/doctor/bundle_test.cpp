// Bundles: what they refuse, and that nothing of a person is in one that is passed on.
#include "doctor/bundle.h"

#include "doctor/anonymise.h"
#include "doctor/collect.h"
#include "doctor/diagnose.h"
#include "doctor/report.h"
#include "doctor/scenario.h"

namespace hearth::doctor {
namespace {

TEST(Bundle, RefusesWhatIsNone) {
  for (const char* text :
       {"", "[]", "{}", "{\"hearth_bundle\": \"1\"}", "{\"hearth_bundle\": 2}", "{\"hearth_bundle\": 1"})
    EXPECT_FALSE(Bundle::parse(text).ok()) << text;
  EXPECT_TRUE(Bundle::parse("{\"hearth_bundle\": 1}").ok());
}

TEST(Bundle, OddTypesDoNoHarm) {
  for (
      const char* text :
      {R"({"hearth_bundle":1,"files":7,"cuda":[],"nvml":{"devices":{"a":1}},"logs":[],"api":{"/api/ps":{"models":7}},"compose":{"a":3},"service":[]})",
       R"({"hearth_bundle":1,"files":{"/proc/1/status":{"mode":"99999999999"},"":"","/proc/x":null},"cuda":{"cuInit":"x","devices":[1,null]},"disks":{"/":[]}})",
       R"({"hearth_bundle":1,"nvml":{"devices":[{"nvmlDeviceGetMemoryInfo":{"total":1e300,"free":-1}}]},"clocks":{"boottime_s":"a"}})"}) {
    const auto bundle = Bundle::parse(text);
    ASSERT_TRUE(bundle.ok()) << text;
    const Facts facts = read_facts(*bundle);
    EXPECT_NE(report(facts, diagnose(facts), *bundle, {.verbose = true}), "");
    EXPECT_NE(report_json(facts, diagnose(facts), *bundle, true), "");
  }
}

TEST(Bundle, DiagnosesTheSameAfterItWasPassedOn) {
  for (const auto& file : cause_files()) {
    const boost::json::value cause = read_json(file);
    for (const boost::json::value& scenario : cause.at("fires").as_array()) {
      const Bundle bundle = bundle_of(scenario);
      if (bundle.all.contains("notes")) continue;  // the user's words do not travel
      const Diagnosis here = diagnose(read_facts(bundle));
      const auto there = Bundle::parse(anonymised(bundle, {"miriam", "workbox"}).text());
      ASSERT_TRUE(there.ok());
      const Diagnosis again = diagnose(read_facts(*there));
      ASSERT_FALSE(again.findings.empty()) << file << scenario.at("name");
      EXPECT_EQ(here.findings[0].rule->id, again.findings[0].rule->id) << scenario.at("name");
    }
  }
}

TEST(Bundle, TellsNothingOfAPerson) {
  constexpr char command[] =
      "vllm\0--api-key\0sk-verysecret12345\0--host\0"
      "192.168.1.77";
  Bundle bundle;
  bundle.part("logs")["server"] =
      "Feb 03 10:00:00 workbox ollama[1]: load_tensors: offloaded 1/33 layers to GPU\n"
      "completion request: dear diary, my secret\n"
      "Received request 1: prompt: 'CUDA error: out of memory for miriam', params\n"
      "CUDA error: out of memory at /home/miriam/models/x token hf_abcdefghijklmnop\n";
  bundle.part("files")["/proc/9/cmdline"] = std::string(command, sizeof command);
  bundle.part("files")["/home/miriam/.ollama/models"] = {{"size", 1}};
  bundle.part("environment")["OLLAMA_MODELS"] = "/home/miriam/.ollama/models";
  bundle.all["compose"] =
      "services:\n  ollama:\n    image: ollama/ollama\n    environment:\n      - OLLAMA_NUM_PARALLEL=2\n      - "
      "HF_TOKEN=hf_qwertyuiop\n      MY_PASSWORD: hunter22\n      mail: me@example.org\n";
  bundle.all["notes"] = "miriam says it is slow";
  const std::string text = anonymised(bundle, {"miriam", "workbox"}).text();
  for (const char* secret :
       {"miriam", "workbox", "diary", "hf_", "sk-very", "192.168", "hunter22", "qwerty", "example.org"})
    EXPECT_EQ(text.find(secret), std::string::npos) << secret << " in " << text;
  for (const char* kept : {"offloaded 1/33", "OLLAMA_NUM_PARALLEL=2", "ollama/ollama"})
    EXPECT_NE(text.find(kept), std::string::npos) << kept << " in " << text;
}

TEST(Bundle, KeepsVariablesThatTellAndNoKeys) {
  for (const char* name : {"OLLAMA_NUM_PARALLEL", "CUDA_VISIBLE_DEVICES", "LD_PRELOAD", "KUBERNETES_SERVICE_HOST"})
    EXPECT_TRUE(is_telling_variable(name)) << name;
  for (const char* name : {"VLLM_API_KEY", "HF_TOKEN", "OLLAMA_HOST", "HOME", "USER", "LOCALAI_SECRET"})
    EXPECT_FALSE(is_telling_variable(name)) << name;
}

TEST(Report, FitsEightyColumnsSaveForCommands) {
  for (const auto& file : cause_files()) {
    const boost::json::value cause = read_json(file);
    for (const boost::json::value& scenario : cause.at("fires").as_array()) {
      const Bundle bundle = bundle_of(scenario);
      const Facts facts = read_facts(bundle);
      for (const std::string& line : split(report(facts, diagnose(facts), bundle, {}), "\n")) {
        const bool breakable = line.find("$ ") == std::string::npos && line.find('/') == std::string::npos &&
                               line.find('"') == std::string::npos;
        if (breakable) {
          EXPECT_LE(line.size(), 80u) << line;
        }
      }
    }
  }
}

TEST(Report, IsJsonThatNamesTheCause) {
  const Bundle bundle =
      bundle_of(boost::json::value(read_json(scenarios() / "os-call-failed-304.json").at("fires").as_array()[0]));
  const Facts facts = read_facts(bundle);
  const boost::json::value json = boost::json::parse(report_json(facts, diagnose(facts), bundle, false));
  EXPECT_EQ(json.at("outcome"), "findings");
  const boost::json::value first = json.at("findings").as_array()[0];
  EXPECT_EQ(first.at("id"), "os-call-failed-304");
  EXPECT_EQ(first.at("confidence"), "certain");
  EXPECT_FALSE(first.at("evidence").as_array().empty());
  EXPECT_FALSE(first.at("fix").as_array().empty());
}

}  // namespace
}  // namespace hearth::doctor
