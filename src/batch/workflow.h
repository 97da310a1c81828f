// What a job does with each of its items: steps, each a request to a model, written as Jinja templates that may mention
// the item and other steps. What a template mentions its step waits for. docs/batch.md describes it for users.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "template/jinja.h"

namespace hearth::batch {

inline constexpr size_t kMost_steps = 512;      // of an item, with all rounds
inline constexpr size_t kMost_elements = 1000;  // of a foreach

struct Step {
  std::string name, model;
  std::string prompt, system, when, foreach;  // templates; `when` and `foreach` are expressions
  std::vector<std::string> images;            // templates of base64 or data URLs
  boost::json::object options;                // further members of the request
  std::string schema;                         // of its answer, JSON; empty: free text
  int64_t rounds = 1, retries = 3;
  enum class OnError { kFail, kSkip, kFallback };
  OnError on_error = OnError::kFail;
  std::string fallback;  // the model, with kFallback
};

struct Workflow {
  std::string name;
  bool by_item = false;  // items are finished one after the other; else models are changed as rarely as can be
  std::string endpoint;  // not empty: each item is a request to this path, and there are no steps
  std::vector<Step> steps;
};

// Where a member of a workflow stands in the file it comes from, as the beginning of a message: "debate.toml:5:3: ". By
// path: "step[1].prompt".
using Where = std::function<std::string(const std::string& path)>;

// Of JSON as to_json() makes it. Errors: kUsage, with the place of what is wrong.
Result<Workflow> workflow_from_json(const boost::json::value& value, const Where& where);
boost::json::object to_json(const Workflow& workflow);

// A step of an item as it is queued: of a step with rounds there are several.
struct Planned {
  std::string name;  // "pro", "pro#2"
  size_t step = 0;   // of Workflow::steps
  int64_t round = 1;
  std::map<std::string, size_t> needs = {};  // by the variable's name: an earlier Planned
  std::vector<std::string> empty = {};       // variables that have no value in the first round
};

// With its templates read; immutable.
struct Compiled {
  struct Templates {
    std::optional<templates::JinjaTemplate> prompt, system, when, foreach;
    std::vector<templates::JinjaTemplate> images;
  };
  Workflow workflow;
  std::vector<Templates> templates;  // of each step
  std::vector<Planned> plan;         // what is needed comes before what needs it

  const Planned* find(const std::string& name) const;
};
// Errors: kUsage, with the place: a template that is none, a name that nothing has, steps that wait for each other, a
// schema that cannot be held.
Result<std::shared_ptr<const Compiled>> compile(Workflow workflow, const Where& where);

}  // namespace hearth::batch
