#include "template/symbols.h"

#include "base/check.h"

namespace hearth::templates {

bool Symbols::knows(const std::string& name) const {
  for (const Symbols* scope = this; scope != nullptr; scope = scope->parent_) {
    if (scope->names_.contains(name)) return true;
  }
  return false;
}

uint32_t Symbols::define(const std::string& name, Load load) {
  const auto [slot, added] = slots_->try_emplace(name, function_->slots);
  if (added) ++function_->slots;
  names_.insert(name);
  loads_[slot->second] = load;
  return slot->second;
}

void Symbols::load(const std::string& name) {
  if (!knows(name)) define(name, {Load::From::kInput, inputs_->number(name), {}});
}

void Symbols::store(const std::string& name) {
  stores_.insert(name);
  if (names_.contains(name)) return;
  if (parent_ != nullptr && parent_->knows(name)) {
    Address outer = parent_->address(name);
    if (parent_->function_ != function_) ++outer.frames;
    define(name, {Load::From::kOuter, 0, outer});
  } else {
    define(name, {Load::From::kNothing, 0, {}});
  }
}

uint32_t Symbols::parameter(const std::string& name) {
  stores_.insert(name);
  return define(name, {Load::From::kParameter, 0, {}});
}

void Symbols::join(const std::vector<Symbols>& branches) {
  std::map<std::string, size_t> stored;
  for (const Symbols& branch : branches) {
    for (const std::string& name : branch.stores_) {
      if (!stores_.contains(name)) ++stored[name];
    }
  }
  for (const Symbols& branch : branches) {
    names_.insert(branch.names_.begin(), branch.names_.end());
    stores_.insert(branch.stores_.begin(), branch.stores_.end());
    for (const auto& [slot, load] : branch.loads_) loads_[slot] = load;
  }
  // What only some branches assign has the outer value in the others.
  for (const auto& [name, count] : stored) {
    if (count == branches.size()) continue;
    if (parent_ != nullptr && parent_->knows(name)) {
      Address outer = parent_->address(name);
      if (parent_->function_ != function_) ++outer.frames;
      define(name, {Load::From::kOuter, 0, outer});
    } else {
      define(name, {Load::From::kInput, inputs_->number(name), {}});
    }
  }
}

Address Symbols::address(const std::string& name) const {
  uint32_t frames = 0;
  for (const Symbols* scope = this; scope != nullptr; scope = scope->parent_) {
    if (scope->names_.contains(name)) return {frames, scope->slots_->at(name)};
    if (scope->parent_ != nullptr && scope->parent_->function_ != scope->function_) ++frames;
  }
  CHECK(!"a name was not declared");
  return {};
}

}  // namespace hearth::templates
