// Any text as a workflow, as a table and as lines of JSON: what is taken can be queued, and what is not is told.
#include <cstdlib>
#include <sstream>

#include "batch/items.h"
#include "batch/request.h"
#include "batch/workflow_file.h"
#include "fuzz/seeds.h"

using namespace hearth;
using namespace hearth::batch;

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  fuzz::use_seeds(
      {"name = \"w\"\nitems = { file = \"a.csv\", key = \"id\" }\nstep = [\n { name = \"a\", model = \"m\", rounds = 2, "
       "prompt = \"{{ item.x }} {{ b.text }}\" },\n { name = \"b\", model = \"m\", when = \"round > 1\", rounds = 2, "
       "foreach = \"item.l\", prompt = \"{{ each }}{{ a.json }}\", schema = { type = \"object\" }, on_error = "
       "\"fallback:n\" } ]\n",
       "id,x\n1,\"a \"\"b\"\",\nc\"\r\n2,\n", "{\"id\":1,\"l\":[1,\"x\"]}\n\n{\"id\":\"\\u00e4\"}"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const TakeItem take = [](const NewItem& item) -> Status {
    boost::system::error_code failed;
    (void)boost::json::parse(item.data, failed);
    if (failed || item.key.empty()) std::abort();
    return {};
  };
  std::istringstream table(text), lines(text);
  (void)each_csv_item(table, "t.csv", "", take);
  (void)each_json_line(lines, "t.jsonl", "id", take);
  if (text.find("format") != std::string::npos) return 0;  // it names files
  const auto file = parse_workflow(text, "w.toml");
  if (!file) return file.error().message.empty() ? std::abort(), 0 : 0;
  for (size_t i = 0; i < file->compiled->plan.size(); ++i)
    for (const auto& [name, needed] : file->compiled->plan[i].needs)
      if (needed >= i) std::abort();
  return 0;
}
