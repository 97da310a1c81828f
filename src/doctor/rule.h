// One cause of the catalogue: when it applies, how it is judged from facts, and its words. An entry registers itself:
// causes/*.cpp hold them by area, docs/adding-a-cause.md says how to add one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cause.h"
#include "base/registry.h"
#include "doctor/facts.h"

namespace hearth::doctor {

// certain: the evidence identifies the cause by definition or arithmetic; high: no other known cause fits; medium:
// typical; low: possible.
enum class Confidence { kLow, kMedium, kHigh, kCertain };
std::string_view confidence_name(Confidence confidence);

struct Verdict {
  Confidence confidence = Confidence::kLow;
  std::vector<Evidence> evidence;
  std::string what;     // in place of the rule's title, with the figures of this case; empty: the title
  std::string decider;  // in place of the rule's: the observation that would settle it
};

// Where steps are to be done, as a set.
enum PlaceSet : unsigned {
  kOnHost = 1,  // bare metal or a virtual machine
  kInDocker = 2,
  kInCompose = 4,
  kInKubernetes = 8,
  kInWsl2 = 16,
  kInLxc = 32,  // without steps of its own those for a host are given
  kContainers = kInDocker | kInCompose,
  kAnywhere = 63,
};

struct Fix {
  unsigned places;                 // of PlaceSet
  const char* where;               // "on the host, as root; then restart the server"
  std::vector<const char*> steps;  // commands begin with "$ "
};

struct Rule {
  const char* id;
  int number;         // in the catalogue
  const char* area;   // "driver"
  const char* title;  // what is wrong, in one sentence without its period
  const char* explanation;
  const char* decider;  // what would settle it where it is not certain
  std::vector<Fix> fixes;
  const char* ignore;      // what does not help or is not a sign of it
  const char* references;  // public threads and sources
  int weight;              // among equal confidence the higher comes first
  bool (*applies)(const Facts& facts);
  std::optional<Verdict> (*judge)(const Facts& facts);
  // What to do, in one line without its period, for causes that hearth itself meets and reports by their id: they are
  // worded by the title and this. Null: it reports no such.
  const char* remedy = nullptr;
};

// With the words of its cause.
class RegisterRule {
 public:
  explicit RegisterRule(const Rule* rule);
  static const std::vector<const Rule*>& all() { return Register<Rule>::all(); }

 private:
  Register<Rule> rule_;
  CauseWords words_;
  std::optional<RegisterCauseWords> registered_;
};

// All rules in the catalogue's order.
std::vector<const Rule*> rules();
const Rule* find_rule(std::string_view id);  // by id or number; null if there is none

}  // namespace hearth::doctor
