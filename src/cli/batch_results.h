// Results of a job as files.
#pragma once

#include <string>

#include "cli/batch_client.h"

namespace hearth::cli {

// `format`: "jsonl"; "csv" (RFC 4180: the key, then a column for the text of each step); "sqlite" (a new file with the
// table result(key, item, step, text, json, finish_reason, error)). To `path`, which appears whole or not at all; "-":
// standard output. Says so where the job still runs. Errors: also kUsage, where a file of SQLite's is there already.
Status write_results(const BatchClient& client, const std::string& key, const std::string& format,
                     const std::string& path);

}  // namespace hearth::cli
