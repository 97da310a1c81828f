// What the doctor reads of others: logs of servers, compose files, bundles. The first byte says which.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "doctor/anonymise.h"
#include "doctor/bundle.h"
#include "doctor/diagnose.h"
#include "doctor/report.h"
#include "fuzz/seeds.h"

using namespace hearth::doctor;

namespace {

void judge(const Bundle& bundle) {
  const Facts facts = read_facts(bundle);
  const Diagnosis diagnosis = diagnose(facts);
  CHECK(diagnosis.outcome != Outcome::kFindings || !diagnosis.findings.empty());
  CHECK(!report(facts, diagnosis, bundle, {}).empty());
  CHECK(!report_json(facts, diagnosis, bundle, true).empty());
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  hearth::fuzz::use_seeds(
      {"Lload_tensors: offloaded 1/33 layers to GPU\nggml_cuda_init: failed to initialize CUDA: no CUDA-capable device\n",
       "Ltime=2025-03-01T10:00:00Z level=INFO source=types.go msg=\"inference compute\" library=cpu total=\"15.6 GiB\"\n",
       "Cservices:\n  ollama:\n    image: ollama/ollama\n    environment:\n      - OLLAMA_GPU_LAYERS=33\n    deploy: &d\n",
       "B{\"hearth_bundle\":1,\"cuda\":{\"cuInit\":304},\"logs\":{\"server\":\"offloaded 0/33 layers to GPU\"},\"nvml\":{}}"},
      argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  Bundle bundle;
  if (data[0] == 'L') {
    bundle.part("logs")["server"] = std::string(text);
    bundle.part("service")["name"] = "ollama";
  } else if (data[0] == 'C') {
    bundle.part("compose")["compose.yml"] = std::string(text);
    bundle.part("service")["name"] = "vllm";
  } else {
    auto parsed = Bundle::parse(text);
    if (!parsed) return 0;
    bundle = std::move(*parsed);
    CHECK(Bundle::parse(anonymised(bundle, {}).text()).ok());
  }
  judge(bundle);
  return 0;
}
