// Where a Jinja template's variables live. Scoping is Jinja's: a loop, a macro and a block have scopes of their own, an
// `if` has not; what a scope assigns it forgets at its end; a name that a scope assigns starts there with the value of
// the scope around it. Names are resolved to slots once, when the template is compiled.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace hearth::templates {

// One call frame: the template itself, a macro, a recursive loop. Its scopes share one array of slots.
struct Function {
  Function* parent = nullptr;
  uint32_t slots = 0;
};

struct Address {
  uint32_t frames = 0;  // how many frames out from the running one
  uint32_t slot = 0;
};

// What is done to a slot when its scope is entered.
struct Load {
  enum class From : uint8_t { kNothing, kInput, kOuter, kParameter };
  From from = From::kNothing;
  uint32_t input = 0;  // number of the name, for kInput
  Address outer;
};
using Loads = std::map<uint32_t, Load>;  // by slot

// The names that a template takes from outside, numbered.
class InputNames {
 public:
  uint32_t number(const std::string& name) {
    const auto [entry, added] = numbers_.try_emplace(name, static_cast<uint32_t>(names_.size()));
    if (added) names_.push_back(name);
    return entry->second;
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::map<std::string, uint32_t> numbers_;
  std::vector<std::string> names_;
};

// The names of one scope. First all statements of the scope declare what they load and store, then addresses are asked
// for.
class Symbols {
 public:
  Symbols(Function& function, Symbols* parent, InputNames& inputs)
      : function_(&function),
        parent_(parent),
        inputs_(&inputs),
        slots_(std::make_shared<std::map<std::string, uint32_t>>()) {}

  void load(const std::string& name);
  void store(const std::string& name);
  uint32_t parameter(const std::string& name);

  // For the branches of an `if`: each is declared in a copy, which are then joined.
  Symbols branch() const { return *this; }
  void join(const std::vector<Symbols>& branches);

  Address address(const std::string& name) const;  // of a name that was declared here or further out
  const Loads& loads() const { return loads_; }
  Function& function() const { return *function_; }
  Symbols* parent() const { return parent_; }
  InputNames& inputs() const { return *inputs_; }

 private:
  bool knows(const std::string& name) const;
  uint32_t define(const std::string& name, Load load);

  Function* function_;
  Symbols* parent_;
  InputNames* inputs_;
  std::shared_ptr<std::map<std::string, uint32_t>> slots_;  // shared with branches, which give a name the same slot
  std::set<std::string> names_, stores_;
  Loads loads_;
};

}  // namespace hearth::templates
