// The words of causes that hearth reports of itself.
#include <gtest/gtest.h>

#include <set>

#include "base/cause.h"
#include "doctor/report.h"
#include "doctor/rule.h"
#include "driver/errors.h"

namespace hearth::doctor {
namespace {

TEST(Words, EveryCauseHasThemOnceAndWhole) {
  std::set<std::string> ids, texts;
  for (const CauseWords* words : RegisterCauseWords::all()) {
    EXPECT_TRUE(ids.insert(words->id).second) << words->id << " is there twice";
    if (words->what != "{error}") {
      EXPECT_TRUE(texts.insert(words->what).second) << words->what;
    }
    EXPECT_FALSE(words->what.empty() || words->remedy.empty()) << words->id;
    for (const std::string& text : {words->what, words->remedy}) {
      EXPECT_NE(text.back(), '.') << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
  }
  EXPECT_GT(ids.size(), 80u);
}

// One sentence for a finding of the doctor and for what hearth says itself.
TEST(Words, OfTheCataloguesCausesAreItsTitles) {
  const Rule* rule = find_rule("fabric-manager-not-ready");
  ASSERT_NE(rule, nullptr);
  const std::string said = what_of(driver::problem_of(CUDA_ERROR_SYSTEM_NOT_READY).why);
  EXPECT_EQ(said, "t" + std::string(rule->title).substr(1));
  EXPECT_EQ(remedy_of(driver::problem_of(CUDA_ERROR_SYSTEM_NOT_READY).why), rule->remedy);
  EXPECT_EQ(what_of({"driver-library-mismatch"}), find_rule("driver-library-mismatch")->title)
      << "NVIDIA's, not nVIDIA's";
}

TEST(Words, ArePagesOfExplainToo) {
  const CauseWords* words = find_cause_words("gpu-memory-full");
  ASSERT_NE(words, nullptr);
  const std::string page = explain(*words);
  EXPECT_EQ(page.find("# gpu-memory-full\n"), 0u) << page;
  EXPECT_NE(page.find("by itself when memory becomes free"), std::string::npos) << page;
}

}  // namespace
}  // namespace hearth::doctor
