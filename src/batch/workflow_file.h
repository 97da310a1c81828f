// A workflow as users write it: TOML. What is wrong is told with the line and the column.
#pragma once

#include "batch/items.h"
#include "batch/workflow.h"

namespace hearth::batch {

struct WorkflowFile {
  Workflow workflow;
  std::shared_ptr<const Compiled> compiled;
  ItemSource items;
  std::string key;  // of the job; empty: what is in it names it
};

// Paths in it are relative to its folder. A step's `format` names a file with its schema. Errors: kUsage, kNotFound,
// kIo.
Result<WorkflowFile> read_workflow_file(const std::string& path);
// The same of a text; `path` for messages, and for the folder.
Result<WorkflowFile> parse_workflow(std::string_view text, const std::string& path);

}  // namespace hearth::batch
