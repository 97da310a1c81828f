#include "doctor/selftest_cases.h"

#include <boost/json.hpp>
#include <charconv>

#include "base/check.h"

namespace hearth::doctor {

extern const std::string_view kSelftest_json;  // data/selftest.json, which the build turns into a source

namespace {

namespace json = boost::json;

template <class T>
std::vector<T> numbers(const json::value& list) {
  return json::value_to<std::vector<T>>(list);
}

SelftestCase read_case(const json::value& value) {
  SelftestCase one{.prompt = std::string(value.at("prompt").as_string()),
                   .prompt_tokens = numbers<int32_t>(value.at("prompt_tokens")),
                   .answer_tokens = numbers<int32_t>(value.at("answer_tokens")),
                   .answer = std::string(value.at("answer").as_string()),
                   .logits = {}};
  for (const json::value& row : value.at("logits").as_array())
    one.logits.push_back({numbers<int32_t>(row.at("tokens")), numbers<float>(row.at("values"))});
  CHECK(one.logits.size() == one.answer_tokens.size());
  return one;
}

SelftestCases read_cases() {
  const json::value all = json::parse(kSelftest_json);
  SelftestCases cases;
  cases.file_bytes = all.at("bytes").to_number<uint64_t>();
  const std::string_view sum = all.at("fnv1a").as_string();
  std::from_chars(sum.data(), sum.data() + sum.size(), cases.checksum, 16);
  for (const json::value& value : all.at("cases").as_array()) cases.cases.push_back(read_case(value));
  return cases;
}

}  // namespace

const SelftestCases& selftest_cases() {
  static const SelftestCases cases = read_cases();
  return cases;
}

}  // namespace hearth::doctor
