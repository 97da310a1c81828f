#include <gtest/gtest.h>

#include <fstream>

#include "config/load.h"
#include "config/network.h"
#include "config/origin.h"
#include "config/table.h"
#include "support/support.h"

namespace hearth::config {
namespace {

using namespace std::chrono_literals;

class Config : public ::testing::Test {
 protected:
  Result<Loaded> load_with(const std::string& toml, std::map<std::string, std::string> environment = {},
                           std::vector<Flag> flags = {}) {
    const std::string file = path("config.toml");
    std::ofstream(file) << toml;
    return load({.file = file, .environment = std::move(environment), .flags = std::move(flags)});
  }
  std::string path(const std::string& name) const { return folder_ / name; }

 private:
  test::TemporaryFolder folder_;
};

TEST_F(Config, AFlagCountsBeforeOurVariableBeforeOllamasBeforeTheFile) {
  const std::string toml = "parallel = 1\nqueue = 2\nmax_models = 3\ncontext = 4\n";
  std::map<std::string, std::string> variables = {{"OLLAMA_NUM_PARALLEL", "10"},
                                                  {"OLLAMA_MAX_QUEUE", "20"},
                                                  {"OLLAMA_MAX_LOADED_MODELS", "30"},
                                                  {"HEARTH_PARALLEL", "100"},
                                                  {"HEARTH_QUEUE", "200"}};
  const auto loaded = load_with(toml, variables, {{"parallel", "7", "--parallel"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->settings.parallel, 7u);
  EXPECT_EQ(loaded->settings.queue, 200u);
  EXPECT_EQ(loaded->settings.max_models, 30u);
  EXPECT_EQ(loaded->settings.context, 4u);
  EXPECT_EQ(loaded->origins.at("parallel"), "--parallel");
  EXPECT_EQ(loaded->origins.at("queue"), "HEARTH_QUEUE");
  EXPECT_EQ(loaded->origins.at("max_models"), "OLLAMA_MAX_LOADED_MODELS");
  EXPECT_EQ(loaded->origins.at("context"), path("config.toml") + ", line 4");
}

TEST_F(Config, WhatItDescribesIsAFileWithTheSameSettings) {
  const auto first = load_with(
      "listen = [\"127.0.0.1:1\", \":2\", \"[::1]:3\"]\norigins = [\"http://a.example\"]\nkeep_alive = \"-1\"\n"
      "models = \"C:\\\\a \\\"b\\\"\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n[limits]\nmemory_body = \"64 KiB\"\n");
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->settings.http.memory_body_bytes, 65536u);
  const auto second = load_with(describe(*first));
  ASSERT_TRUE(second) << second.error().message << describe(*first);
  for (const Setting& setting : table()) EXPECT_EQ(setting.show(first->settings), setting.show(second->settings));
}

TEST_F(Config, AnUnknownNameIsAnErrorWithTheNearest) {
  const auto loaded = load_with("\n[tls]\nkee = \"x\"\n");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().kind, ErrorKind::kUsage);
  EXPECT_EQ(loaded.error().message,
            path("config.toml") + ", line 3: there is no setting \"tls.kee\"; did you mean \"tls.key\"?");
}

TEST_F(Config, WrongValuesNameTheirPlace) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"parallel = 0", "line 1: \"0\" is no number from 1 to 256"},
      {"parallel = 1.5", "line 1: \"parallel\" can be a text, a whole number"},
      {"open = 3", "\"3\" is neither true nor false"},
      {"gpu = \"on\"", "\"on\" is none of auto, require, off"},
      {"keep_alive = \"5 minutes\"", "\"5 minutes\" is no duration"},
      {"limits.header = \"1 KiB\"", "\"1 KiB\" is no size of 4 KiB or more"},
      {"origins = [\"evil\"]", "\"evil\" has none of the schemes"},
      {"trusted_proxies = [\"10.0.0.0/33\"]", "is no address and no network"},
      {"listen = [\"ftp://x\"]", "it can begin with http:// or https://"},
      {"tls.key = \"k\"", "tls.certificate and tls.key belong together"},
      {"listen = [\"https://localhost\"]", "there is no certificate"},
      {"parallel = ", "line 1"}};
  for (const auto& [toml, message] : cases) {
    const auto loaded = load_with(toml);
    ASSERT_FALSE(loaded) << toml;
    EXPECT_EQ(loaded.error().kind, ErrorKind::kUsage) << toml;
    EXPECT_NE(loaded.error().message.find(message), std::string::npos) << toml << ": " << loaded.error().message;
  }
}

TEST_F(Config, OllamasVariablesAreReadAsOllamaReadsThem) {
  const auto loaded = load_with("", {{"OLLAMA_HOST", " \"0.0.0.0\" "},
                                     {"OLLAMA_KEEP_ALIVE", "90"},
                                     {"OLLAMA_NUM_PARALLEL", "many"},
                                     {"OLLAMA_MAX_LOADED_MODELS", "0"},
                                     {"OLLAMA_DEBUG", "2"},
                                     {"OLLAMA_LLM_LIBRARY", "cpu"},
                                     {"OLLAMA_ORIGINS", "http://a.example, app://b"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  const Settings& settings = loaded->settings;
  EXPECT_EQ(host_text(settings.http.listen.at(0)), "0.0.0.0:11434");
  EXPECT_EQ(settings.keep_alive, 90s);
  EXPECT_EQ(settings.parallel, Settings().parallel);
  EXPECT_EQ(settings.max_models, Settings().max_models);
  EXPECT_EQ(settings.log, LogLevel::kDebug);
  EXPECT_EQ(settings.gpu, "off");
  EXPECT_EQ(settings.origins.size(), 2u);
  ASSERT_EQ(loaded->warnings.size(), 2u);
  EXPECT_NE(loaded->warnings[0].find("OLLAMA_NUM_PARALLEL"), std::string::npos);
  EXPECT_NE(loaded->warnings[1].find("OLLAMA_LLM_LIBRARY"), std::string::npos);
}

TEST_F(Config, VariablesThatNeverDidAnythingAreAnsweredWithWhatWorks) {
  const auto loaded = load_with("", {{"OLLAMA_NUM_CTX", "8192"}, {"HEARTH_PARALEL", "3"}});
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->warnings.size(), 2u);
  EXPECT_EQ(loaded->warnings[0],
            "OLLAMA_NUM_CTX does nothing, in Ollama neither; what works is OLLAMA_CONTEXT_LENGTH "
            "or HEARTH_CONTEXT");
  EXPECT_EQ(loaded->warnings[1], "HEARTH_PARALEL is no setting and does nothing; did you mean HEARTH_PARALLEL?");
}

TEST_F(Config, AReloadTakesWhatItCanAndNamesTheRest) {
  auto running = load_with("keep_alive = \"1m\"\nparallel = 2\n");
  const auto read = load_with("keep_alive = \"2m\"\nparallel = 3\n");
  ASSERT_TRUE(running && read);
  const auto lines = reload(*running, *read);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "keep_alive is \"2m0s\" now");
  EXPECT_EQ(lines[1], "parallel stays \"2\" until hearth is started again");
  EXPECT_EQ(running->settings.keep_alive, 2min);
  EXPECT_EQ(running->settings.parallel, 2u);
}

TEST(ConfigHost, IsReadAsOllamaReadsIt) {
  const std::vector<std::tuple<const char*, const char*, bool>> cases = {{"", "localhost:11434", false},
                                                                         {"1.2.3.4", "1.2.3.4:11434", false},
                                                                         {":1234", ":1234", false},
                                                                         {"1.2.3.4:99", "1.2.3.4:99", false},
                                                                         {"http://1.2.3.4", "1.2.3.4:80", false},
                                                                         {"https://1.2.3.4/path", "1.2.3.4:443", true},
                                                                         {"[::1]:5", "[::1]:5", false},
                                                                         {"::1", "[::1]:11434", false},
                                                                         {"\"a.b:7\"", "a.b:7", false},
                                                                         {"a.b:seven", "a.b:11434", false}};
  for (const auto& [text, expected, tls] : cases) {
    const auto host = parse_host(text);
    ASSERT_TRUE(host) << text;
    EXPECT_EQ(host_text(host->address), expected) << text;
    EXPECT_EQ(host->tls, tls) << text;
  }
}

TEST(ConfigNetwork, HasTheAddressesOfItsPrefix) {
  const std::vector<std::string> networks = {"10.0.0.0/8", "192.168.1.7", "172.16.0.0/12", "fd00::/8"};
  for (const char* inside : {"10.255.0.1", "192.168.1.7", "172.31.255.255", "fdab::1", "::ffff:10.0.0.1"})
    EXPECT_TRUE(in_networks(inside, networks)) << inside;
  for (const char* outside : {"11.0.0.1", "192.168.1.8", "172.32.0.0", "fe80::1", "nobody", ""})
    EXPECT_FALSE(in_networks(outside, networks)) << outside;
}

TEST(ConfigOrigin, IsASchemeWithAtMostOneStar) {
  for (const char* good : {"*", "http://a.example", "https://*.example", "chrome-extension://*"})
    EXPECT_TRUE(check_origin_entry(good)) << good;
  for (const char* bad : {"a.example", "http://*.*", "ftp://a"}) EXPECT_FALSE(check_origin_entry(bad)) << bad;
}

TEST(ConfigNetwork, KnowsWhatEverybodyCanReach) {
  for (const char* address : {"1.1.1.1", "9.255.255.255", "100.63.0.1", "172.32.0.1", "192.167.1.1", "223.255.255.255",
                              "2606:4700::1111", "2a00:1450::5", "::ffff:1.1.1.1"})
    EXPECT_TRUE(is_public(address)) << address;
  for (const char* address : {"0.0.0.0",
                              "127.0.0.1",
                              "127.9.9.9",
                              "10.1.2.3",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.168.0.1",
                              "169.254.169.254",
                              "100.64.0.1",
                              "100.100.100.200",
                              "168.63.129.16",
                              "224.0.0.1",
                              "239.1.1.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "192.0.2.1",
                              "198.18.0.1",
                              "::",
                              "::1",
                              "fe80::1",
                              "fe80::1%1",
                              "fc00::1",
                              "fd00:ec2::254",
                              "ff02::1",
                              "2001:db8::1",
                              "2001::1",
                              "2002:7f00:1::",
                              "64:ff9b::7f00:1",
                              "::ffff:127.0.0.1",
                              "::ffff:169.254.169.254",
                              "::127.0.0.1",
                              "localhost",
                              ""})
    EXPECT_FALSE(is_public(address)) << address;
}

TEST(ConfigSite, IsASchemeAndAHostWithAtMostOneStar) {
  for (const char* good : {"https://a.example", "http://a.example:8080/", "https://*.example", "https://*"})
    EXPECT_TRUE(check_site(good)) << good;
  for (const char* bad : {"a.example", "https://", "https:///", "*", "https://*.*", "https://a/path", "https://u@a",
                          "ftp://a", "https://a b"})
    EXPECT_FALSE(check_site(bad)) << bad;
  EXPECT_TRUE(is_meant("https://*.example", "https://a.example"));
  EXPECT_FALSE(is_meant("https://*.example", "http://a.example"));
  EXPECT_FALSE(is_meant("https://*.example", "https://a.example:81"));
  EXPECT_FALSE(is_meant("https://a.example", "https://a.example.evil"));
}

}  // namespace
}  // namespace hearth::config
