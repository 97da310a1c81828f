// From a workflow to the steps of an item: templates are read, and what they mention gives the order.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "batch/workflow.h"
#include "grammar/compose.h"

namespace hearth::batch {
namespace {

constexpr std::string_view kVariables[] = {"item", "run", "round", "each"};

class Compiler {
 public:
  Compiler(Workflow workflow, const Where& where) : where_(where) { made_->workflow = std::move(workflow); }

  Result<std::shared_ptr<const Compiled>> compile() {
    const std::vector<Step>& steps = made_->workflow.steps;
    for (size_t i = 0; i < steps.size(); ++i) TRY(read(i));
    if (steps.empty()) made_->plan.push_back({.name = "request"});
    TRY(unroll());
    TRY(sort());
    return std::shared_ptr<const Compiled>(std::move(made_));
  }

 private:
  Error fault(size_t step, const char* member, const std::string& message) const {
    return Error{ErrorKind::kUsage,
                 fmt::format("{}step \"{}\": {}: {}", where_(fmt::format("step[{}].{}", step, member)),
                             made_->workflow.steps[step].name, member, message)};
  }

  Status parse(size_t step, const char* member, const std::string& text,
               std::optional<templates::JinjaTemplate>& target) {
    if (text.empty()) return {};
    auto parsed = templates::JinjaTemplate::parse(text);
    if (!parsed) return fault(step, member, parsed.error().message);
    for (const std::string& name : parsed->mentions()) {
      if (std::ranges::find(kVariables, name) != std::end(kVariables)) {
        if (name == "each" && made_->workflow.steps[step].foreach.empty())
          return fault(step, member, "\"each\" is an element of foreach, which this step does not have");
        continue;
      }
      if (index_of(name) == SIZE_MAX) return fault(step, member, unknown(name));
      mentions_[step].insert(name);
    }
    target = std::move(*parsed);
    return {};
  }

  std::string unknown(const std::string& name) const {
    std::vector<std::string_view> known(std::begin(kVariables), std::end(kVariables));
    for (const Step& step : made_->workflow.steps) known.emplace_back(step.name);
    const std::string_view near = nearest(name, known);
    return fmt::format("\"{}\" is neither a step nor item{}", name,
                       near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
  }

  size_t index_of(const std::string& name) const {
    const auto& steps = made_->workflow.steps;
    const auto at = std::ranges::find(steps, name, &Step::name);
    return at == steps.end() ? SIZE_MAX : static_cast<size_t>(at - steps.begin());
  }

  Status read(size_t i) {
    const Step& step = made_->workflow.steps[i];
    Compiled::Templates& templates = made_->templates.emplace_back();
    mentions_.emplace_back();
    TRY(parse(i, "prompt", step.prompt, templates.prompt));
    TRY(parse(i, "system", step.system, templates.system));
    const std::string when = step.when.empty() ? "" : "{% if " + step.when + " %}1{% endif %}";
    TRY(parse(i, "when", when, templates.when));
    const std::string foreach = step.foreach.empty() ? "" : "{{ (" + step.foreach + ") | tojson }}";
    TRY(parse(i, "foreach", foreach, templates.foreach));
    for (const std::string& image : step.images) {
      std::optional<templates::JinjaTemplate> one;
      TRY(parse(i, "images", image, one));
      if (one) templates.images.push_back(std::move(*one));
    }
    if (step.schema.empty()) return {};
    const auto grammar = grammar::compile_schema(step.schema, {}, nullptr);
    return grammar ? Status() : Status(fault(i, "schema", grammar.error().message));
  }

  // The place in the plan, before it is sorted, of a step's round.
  size_t place(size_t step, int64_t round) const { return first_[step] + static_cast<size_t>(round - 1); }

  Status unroll() {
    const std::vector<Step>& steps = made_->workflow.steps;
    for (size_t i = 0; i < steps.size(); ++i) {
      first_.push_back(made_->plan.size());
      for (int64_t round = 1; round <= steps[i].rounds; ++round) {
        const std::string name = steps[i].rounds == 1 ? steps[i].name : fmt::format("{}#{}", steps[i].name, round);
        made_->plan.push_back({.name = name, .step = i, .round = round});
      }
    }
    if (made_->plan.size() > kMost_steps)
      return Error{ErrorKind::kUsage, fmt::format("{}{} steps for one item are too many; at most {} are possible",
                                                  where_("step"), made_->plan.size(), kMost_steps)};
    for (Planned& one : made_->plan)
      if (!steps.empty()) connect(one);
    return {};
  }

  // Of steps with rounds, one that mentions another means that of the same round where it stands above, else that of
  // the round before.
  void connect(Planned& one) {
    const std::vector<Step>& steps = made_->workflow.steps;
    const bool repeats = steps[one.step].rounds > 1;
    for (const std::string& name : mentions_[one.step]) {
      const size_t other = index_of(name);
      int64_t round = steps[other].rounds;
      if (repeats && round > 1) round = std::min(round, other < one.step ? one.round : one.round - 1);
      if (round == 0)
        one.empty.push_back(name);
      else
        one.needs.emplace(name, place(other, round));
    }
  }

  // What is needed first; else as they stand in the file.
  Status sort() {
    std::vector<size_t> order, state(made_->plan.size(), 0), path;
    for (size_t i = 0; i < made_->plan.size(); ++i)
      if (!visit(i, state, path, order)) return cycle(path);
    std::vector<size_t> at(order.size());
    for (size_t i = 0; i < order.size(); ++i) at[order[i]] = i;
    std::vector<Planned> sorted;
    for (const size_t i : order) {
      Planned one = std::move(made_->plan[i]);
      for (auto& [name, needed] : one.needs) needed = at[needed];
      sorted.push_back(std::move(one));
    }
    made_->plan = std::move(sorted);
    return {};
  }

  bool visit(size_t i, std::vector<size_t>& state, std::vector<size_t>& path, std::vector<size_t>& order) const {
    constexpr size_t kOpen = 1, kClosed = 2;
    if (state[i] == kClosed) return true;
    path.push_back(i);
    if (state[i] == kOpen) return false;
    state[i] = kOpen;
    for (const auto& [name, needed] : made_->plan[i].needs)
      if (!visit(needed, state, path, order)) return false;
    state[i] = kClosed;
    path.pop_back();
    order.push_back(i);
    return true;
  }

  Error cycle(const std::vector<size_t>& path) const {
    std::string text;
    const auto begin = std::ranges::find(path, path.back());
    for (auto at = begin; at != path.end(); ++at) text += (text.empty() ? "" : " -> ") + made_->plan[*at].name;
    return Error{ErrorKind::kUsage,
                 fmt::format("{}steps wait for each other: {}; rounds = N lets steps go in turns",
                             where_(fmt::format("step[{}].prompt", made_->plan[path.back()].step)), text)};
  }

  const Where& where_;
  std::shared_ptr<Compiled> made_ = std::make_shared<Compiled>();
  std::vector<std::set<std::string>> mentions_;  // other steps, by step
  std::vector<size_t> first_;                    // a step's first round in the plan
};

}  // namespace

Result<std::shared_ptr<const Compiled>> compile(Workflow workflow, const Where& where) {
  return Compiler(std::move(workflow), where).compile();
}

}  // namespace hearth::batch
