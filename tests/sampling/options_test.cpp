#include "sampling/options.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "support/support.h"

namespace hearth::sampling {
namespace {

std::string message(const Status& status) {
  return status ? "" : status.error().message;
}

TEST(Options, DefaultsAreValidAndOllamas) {
  EXPECT_TRUE(validate(Options()));
  std::string all;
  for (const Parameter& parameter : parameters())
    all += std::string(parameter.name) + "=" + to_string({}, parameter) + " ";
  EXPECT_EQ(
      all,
      "temperature=0.8 top_k=40 top_p=0.9 min_p=0 typical_p=1 repeat_last_n=64 repeat_penalty=1 "
      "presence_penalty=0 frequency_penalty=0 mirostat=0 mirostat_tau=5 mirostat_eta=0.1 num_predict=-1 seed=-1 ");
}

TEST(Options, EveryParameterIsSetByName) {
  for (const Parameter& parameter : parameters()) {
    Options options;
    ASSERT_TRUE(set(options, parameter.name, "1")) << parameter.name;
    EXPECT_EQ(to_string(options, parameter), "1") << parameter.name;
  }
  Options options;
  ASSERT_TRUE(set(options, "stop", "END"));
  ASSERT_TRUE(set(options, "stop", "\n"));
  EXPECT_EQ(options.stop, (std::vector<std::string>{"END", "\n"}));
  ASSERT_TRUE(set(options, "logit_bias", "5=-2.5"));
  ASSERT_TRUE(set(options, "logit_bias", "7=-inf"));
  EXPECT_EQ(options.logit_bias.at(5), -2.5f);
  EXPECT_EQ(options.logit_bias.at(7), -std::numeric_limits<float>::infinity());
}

TEST(Options, BadTextIsRefusedWithNameValueAndRange) {
  Options options;
  EXPECT_EQ(message(set(options, "temperature", "-1")), "temperature is \"-1\", but must be a number of at least 0");
  EXPECT_EQ(message(set(options, "top_p", "1.5")), "top_p is \"1.5\", but must be a number from 0 to 1");
  EXPECT_EQ(message(set(options, "mirostat", "3")), "mirostat is \"3\", but must be an integer from 0 to 2");
  EXPECT_EQ(message(set(options, "top_k", "4.5")), "top_k is \"4.5\", but must be an integer");
  EXPECT_EQ(message(set(options, "seed", "x")), "seed is \"x\", but must be an integer");
  EXPECT_EQ(message(set(options, "top_k", "2147483648")),
            "top_k is \"2147483648\", but must be an integer of at most 2147483647");
  EXPECT_EQ(message(set(options, "num_predict", "-99999999999999999999")),
            "num_predict is \"-99999999999999999999\", but must be an integer of at least -2147483648");
  EXPECT_NE(message(set(options, "temperature", "1e39")).find("but must be a number of at most 3.4"),
            std::string::npos);
  EXPECT_TRUE(set(options, "seed", "-9007199254740992"));
  EXPECT_EQ(options.seed, -9007199254740992);
  EXPECT_FALSE(set(options, "seed", "9007199254740993")) << "which JSON could not tell from its neighbour";
  for (const char* value : {"", "nan", "inf", "0.5x", " 1", "1e999"}) {
    EXPECT_FALSE(set(options, "temperature", value)) << value;
    EXPECT_FALSE(set(options, "top_k", value)) << value;
  }
  for (const char* value : {"", "5", "=1", "5=", "5=nan", "5=inf", "-1=2", "a=1"}) {
    EXPECT_FALSE(set(options, "logit_bias", value)) << value;
  }
  EXPECT_FALSE(set(options, "stop", ""));
  EXPECT_NE(message(set(options, "heat", "1")).find("unknown parameter \"heat\"; known are temperature, top_k"),
            std::string::npos);
  EXPECT_TRUE(options.logit_bias.empty() && options.stop.empty());
  EXPECT_EQ(options.temperature, Options().temperature);
}

TEST(Options, ValidateRefusesWhatCodePutThere) {
  const auto fails = [](auto change) {
    Options options;
    change(options);
    const Status status = validate(options);
    return !status && status.error().kind == ErrorKind::kUsage;
  };
  EXPECT_TRUE(fails([](Options& o) { o.temperature = std::nanf(""); }));
  EXPECT_TRUE(fails([](Options& o) { o.min_p = -0.1f; }));
  EXPECT_TRUE(fails([](Options& o) { o.repeat_penalty = 0; }));
  EXPECT_TRUE(fails([](Options& o) { o.repeat_last_n = -2; }));
  EXPECT_TRUE(fails([](Options& o) { o.mirostat_tau = std::numeric_limits<float>::infinity(); }));
  EXPECT_TRUE(fails([](Options& o) { o.logit_bias[3] = std::nanf(""); }));
  EXPECT_TRUE(fails([](Options& o) { o.logprobs = -1; }));
}

TEST(Options, WhatARequestMayAskForIsBounded) {
  const auto message_of = [](auto change) {
    Options options;
    change(options);
    return message(validate(options));
  };
  const auto ban = [](Options& options, size_t count) {
    for (size_t i = 0; i < count; ++i) options.logit_bias[static_cast<int32_t>(i)] = -1;
  };
  EXPECT_EQ(message_of([](Options& o) { o.logprobs = 20; }), "");
  EXPECT_EQ(message_of([](Options& o) { o.logprobs = 21; }), "logprobs is 21, but must be an integer from 0 to 20");
  EXPECT_EQ(message_of([](Options& o) { o.stop.assign(64, std::string(1024, 'x')); }), "");
  EXPECT_EQ(message_of([](Options& o) { o.stop.assign(65, "x"); }), "stop has 65 texts, but must have at most 64");
  EXPECT_EQ(message_of([](Options& o) {
              o.stop = {"", std::string(1025, 'x')};
            }),
            "stop has a text of 1025 bytes, but each must have at most 1024");
  EXPECT_EQ(message_of([&](Options& o) { ban(o, 300); }), "");
  EXPECT_EQ(message_of([&](Options& o) { ban(o, 301); }), "logit_bias has 301 tokens, but must have at most 300");

  Options options;
  for (int i = 0; i < 64; ++i) EXPECT_TRUE(set(options, "stop", "x"));
  EXPECT_FALSE(set(options, "stop", "x"));
  EXPECT_FALSE(set(options, "stop", std::string(1025, 'x')));
  for (int i = 0; i < 300; ++i) EXPECT_TRUE(set(options, "logit_bias", fmt::format("{}=1", i)));
  EXPECT_TRUE(set(options, "logit_bias", "7=2")) << "which is among them";
  EXPECT_FALSE(set(options, "logit_bias", "300=1"));
  EXPECT_TRUE(validate(options)) << "what was refused was not set";
}

}  // namespace
}  // namespace hearth::sampling
