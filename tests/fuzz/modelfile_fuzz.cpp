// Any text as a Modelfile; what it names is used for nothing here.
#include <cstdlib>

#include "fuzz/seeds.h"
#include "store/found_models.h"
#include "store/model_name.h"
#include "store/modelfile.h"

using namespace hearth;
using namespace hearth::store;

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  fuzz::use_seeds(
      {"FROM a\nSYSTEM \"\"\"\nx\n\"\"\"\nPARAMETER stop \"a b\"\nPARAMETER top_k 3\nMESSAGE user hi\nLICENSE MIT\n",
       "# c\nfrom ./x.gguf\nTEMPLATE \"{{ .Prompt }}\"\nREQUIRES 0.6.1\nPARAMETER use_mmap true\nADAPTER y\n",
       "big-Q4_K_M-00001-of-00003.gguf"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto parsed = parse_modelfile(text); parsed && parsed->from.empty()) std::abort();
  const NameAndTag name = split_file_name(text);
  if (!ModelName::parse(name.name + ":" + name.tag)) std::abort();
  return 0;
}
