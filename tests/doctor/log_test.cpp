// Lines of real logs, as servers print them and as docker, journald and Kubernetes pass them on.
#include <algorithm>
#include <random>

#include "doctor/log_facts.h"
#include "support/support.h"

namespace hearth::doctor {
namespace {

struct Example {
  const char* pattern;
  const char* line;
};

// The catalogue's examples of L1 to L52, whole.
constexpr Example kExamples[] = {
    {"L1", R"(level=INFO source=types.go:50 msg="inference compute" id=cpu library=cpu compute="" name=cpu)"},
    {"L2", R"(source=gpu.go:377 msg="no compatible GPUs were discovered")"},
    {"L3",
     "Unable to load cudart library /usr/lib/x86_64-linux-gnu/libcuda.so.575.57.08: cuda driver library init failure: "
     "3"},
    {"L4", "cuda driver library failed to get device context 800"},
    {"L5.mismatch",
     "version mismatch between driver and cuda driver library - reboot or upgrade may be required: library "
     "/usr/lib/x/libcuda.so.1"},
    {"L5.unknown",
     "unknown error initializing cuda driver library /usr/lib/x/libcuda.so.1: cuda driver library init failure: 999"},
    {"L6",
     R"(msg="failure during GPU discovery" OLLAMA_LIBRARY_PATH="[/usr/lib/ollama /usr/lib/ollama/cuda_v13]" error="failed to finish discovery before timeout")"},
    {"L7",
     R"(msg="skipping CUDA device - compute capability not in compiled architectures" cc=860 archs="[750 890 1000 1200]" libDirs="[/usr/lib/ollama/cuda_v13]")"},
    {"L8.floor", R"(msg="NVIDIA driver too old" driver=535 required_driver="550 or newer")"},
    {"L8.hook", "unsatisfied condition: cuda>=12.4, please update your driver"},
    {"L8.torch", "RuntimeError: The NVIDIA driver on your system is too old (found version 11040)"},
    {"L9", R"(msg="skipping available library at users request" requested=cuda libDir=/usr/lib/ollama/cuda_v12)"},
    {"L10", R"(msg="user overrode visible devices" CUDA_VISIBLE_DEVICES=1)"},
    {"L11", "load_tensors: offloaded 1/33 layers to GPU"},
    {"L12",
     R"(msg=offload library=cuda layers.requested=-1 layers.model=35 layers.offload=0 layers.split="" memory.available="[3.2 GiB]" memory.gpu_overhead="0 B" memory.required.full="2.6 GiB" memory.required.partial="0 B" memory.required.kv="254.0 MiB")"},
    {"L13", R"(msg="loading model" "model layers"=49 requested=-1)"},
    {"L14.layers", "runner --model /blobs/sha256-aa --ctx-size 131072 --n-gpu-layers 1 --threads 64 --parallel 4"},
    {"L15", "using device CUDA0 (NVIDIA GeForce RTX 4060 Ti) (0000:01:00.0) - 15221 MiB free"},
    {"L16", "llama_context:      CUDA0 compute buffer size =   304.00 MiB"},
    {"L17", "ggml_cuda_init: failed to initialize CUDA: system not yet initialized"},
    {"L18", "warning: no usable GPU found, --gpu-layers option will be ignored"},
    {"L19", "load_backend: loaded CPU backend from /usr/lib/ollama/libggml-cpu-haswell.so"},
    {"L20", "allocating 8609.53 MiB on device 0: cudaMalloc failed: out of memory"},
    {"L21", "CUDA error: no kernel image is available for execution on the device"},
    {"L22", "llama_context: graph splits = 396 (with bs=512), 120 (with bs=1)"},
    {"L23.auto", "llama_context: Flash Attention was auto, set to disabled"},
    {"L23.needed", "llama_init_from_model: V cache quantization requires flash_attn"},
    {"L23.type", R"(msg="kv cache type not supported by model" type="q4_0")"},
    {"L24.cpu", "clip_ctx: CLIP using CPU backend"},
    {"L24.reason", R"(msg="disabling multimodal projector offload" reason=limited-vram)"},
    {"L25", R"(msg="gpu VRAM usage didn't recover within timeout" seconds=5.25 runner.vram="45.8 GiB")"},
    {"L26", "llama runner started in 9.41 seconds"},
    {"L27", "predicted to exceed available memory, evicting"},
    {"L28", "llama runner process has terminated: signal: killed"},
    {"L29", "No platform detected, vLLM is running on UnspecifiedPlatform"},
    {"L30",
     "Free memory on device cuda:0 (7.34/15.49 GiB) on startup is less than desired GPU memory utilization (0.9, 13.94 "
     "GiB)."},
    {"L31.preempted",
     "Sequence group 0 is preempted by PreemptionMode.RECOMPUTE mode because there is not enough KV cache space"},
    {"L32",
     "NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation."},
    {"L33", "Error 803: system has unsupported display driver / cuda driver combination"},
    {"L34.small", "VRAM is less than 4GB, defaulting to CPU"},
    {"L35", R"(could not select device driver "" with capabilities: [[gpu]])"},
    {"L36.xid", "NVRM: Xid (PCI:0000:09:00): 79, pid=1"},
    {"L37", "write /root/.ollama/models/blobs/sha256-aa-partial: no space left on device"},
    {"L38", R"(msg="offloading output layer to CPU")"},
    {"L39", R"(msg="vram-based default context" total_vram="31.3 GiB" default_num_ctx=32768)"},
    {"L40.driver", "nvidia-container-cli: initialization error: nvml error: driver not loaded"},
    {"L41.unknown", "Failed to initialize NVML: Unknown Error"},
    {"L42", "/sbin/ldconfig.real: Can't create temporary cache file /etc/ld.so.cache~: Read-only file system"},
    {"L43", R"(msg="compatible gpu libraries" compatible=[])"},
    {"L44", "load_backend: failed to load /usr/lib/ollama/libggml-cuda.so: libcublas.so.12: file too short"},
    {"L45", "CPU does not have minimum vector extensions, GPU inference disabled"},
    {"L46", "vLLM is built with CPU"},
    {"L47", R"(msg="filtering device which didn't fully initialize" id=MIG-1)"},
    {"L48", R"(msg="llama-server GPU discovery watchdog timed out")"},
    {"L49", R"x(msg="unsupported L4T version" nv_tegra_release="# R39 (release)")x"},
    {"L50", R"(msg=x memory.gpu_overhead="20.0 GiB")"},
    {"L51", "ValueError: invalid literal for int() with base 10: 'GPU-8e3d'"},
    {"L52", "Cudagraph is disabled under eager mode"},
};

// What healthy servers print all day, among it the catalogue's harmless lines.
constexpr const char* kOrdinary[] = {
    R"([GIN] 2026/02/03 - 10:00:00 | 200 |  1.234567s |       127.0.0.1 | POST     "/api/chat")",
    R"(time=2026-02-03T10:00:00Z level=INFO source=server.go:1000 msg="waiting for server to become available" status="llm server not responding")",
    R"(time=2026-02-03T10:00:00Z level=DEBUG source=gguf.go:500 msg="key with type not found" key=general.alignment default=32)",
    R"(time=2026-02-03T10:00:00Z level=INFO msg="entering low vram mode" "total vram"="8.0 GiB" threshold="20.0 GiB")",
    R"(time=2026-02-03T10:00:00Z level=INFO msg="experimental Vulkan support disabled")",
    "llama_context: n_ctx_per_seq (4096) < n_ctx_train (131072) -- the full capacity of the model will not be utilized",
    "tensor 'token_embd.weight' (q4_K) cannot be used with preferred buffer type CUDA_Host, using CPU instead",
    "INFO 02-03 10:00:00 [loggers.py:100] Engine 000: Avg prompt throughput: 110.2 tokens/s, Running: 3 reqs, Waiting: "
    "0 reqs, GPU KV cache usage: 12.3%",
    R"(INFO 02-03 10:00:00 [logger.py:39] Received request chatcmpl-1: prompt: 'why does it say CUDA error: out of memory and signal: killed?', params: SamplingParams(n=1))",
    R"(INFO:     172.17.0.1:41000 - "POST /v1/chat/completions HTTP/1.1" 200 OK)",
    "WARNING 02-03 10:00:00 Using 'pin_memory=False' as WSL is detected. This may slow down the performance.",
    "slot update_slots: id  0 | task 12 | new prompt, n_ctx_slot = 4096, n_keep = 0, n_prompt_tokens = 304",
    "srv  log_server_r: request: POST /completion 127.0.0.1 200",
    "10:00AM INF Success ip=127.0.0.1 latency=1.2s method=POST status=200 url=/v1/chat/completions",
    "nvidia: module verification failed: signature and/or required key missing - tainting kernel",
    R"x(time=2026-02-03T10:00:00Z level=DEBUG msg="jetpack not detected (set JETSON_JETPACK or OLLAMA_LLM_LIBRARY to override)")x",
};

std::string dressed(const std::string& line, size_t how) {
  switch (how % 5) {
    case 1:
      return "2026-02-03T10:00:00.123456789Z " + line;  // docker logs -t
    case 2:
      return "Feb 03 10:00:00 box ollama[1234]: " + line;  // journald
    case 3:
      return "2026-02-03T10:00:00.123456789+01:00 stderr F " + line;  // Kubernetes
    case 4:
      return "\x1b[33m" + line.substr(0, line.size() / 2) + "\x1b[0m\x1b[1;31m" + line.substr(line.size() / 2) +
             "\x1b[0m\r";
    default:
      return line;
  }
}

LogFacts read(const std::string& text) {
  LogFacts facts;
  LogReader().read(text, facts);
  return facts;
}

TEST(Log, EveryExampleIsFoundAmongTenThousandOrdinaryLinesInAnyOrder) {
  std::mt19937 random(7);
  for (size_t round = 0; round < 5; ++round) {
    std::vector<std::string> lines;
    for (size_t i = 0; i < 10000; ++i) lines.push_back(dressed(kOrdinary[random() % std::size(kOrdinary)], round));
    for (const Example& example : kExamples)
      lines.insert(lines.begin() + static_cast<ptrdiff_t>(random() % lines.size()), dressed(example.line, round));
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    const LogFacts facts = read(text);
    EXPECT_EQ(facts.lines, lines.size());
    for (const Example& example : kExamples)
      EXPECT_TRUE(facts.has(example.pattern)) << example.pattern << " of " << dressed(example.line, round);
  }
}

TEST(Log, OrdinaryLinesAreNothing) {
  std::string text;
  for (const char* line : kOrdinary) text += std::string(line) + "\n";
  for (const auto& [name, hits] : read(text).hits) ADD_FAILURE() << name << ": " << hits.front().line;
}

TEST(Log, GluedAndWrappedLinesAreRead) {
  const LogFacts glued =
      read("cuda driver library failed to get device context 800time=2025-03-01T00:00:00Z level=WARN source=x\n");
  ASSERT_NE(glued.last("L4"), nullptr);
  EXPECT_EQ(glued.last("L4")->groups[0], "800");
  const LogFacts docker =
      read(R"({"log":"msg=\"inference compute\" id=cpu library=cpu\n","stream":"stderr","time":"2026"})"
           "\n");
  EXPECT_TRUE(docker.has("L1"));
}

TEST(Log, TellsTheServersSettingsAndItsLoads) {
  const LogFacts facts = read(
      "msg=\"server config\" env=\"map[CUDA_VISIBLE_DEVICES: OLLAMA_GPU_OVERHEAD:0 OLLAMA_ORIGINS:[http://a https://b] "
      "OLLAMA_NUM_PARALLEL:4]\"\n"
      "cmd=\"ollama runner --model /a --ctx-size 8192 --parallel 2 --threads 8\"\n"
      "load_tensors: CUDA0 model buffer size = 100.00 MiB\nCUDA0 KV buffer size = 10.00 MiB\nCUDA0 compute buffer size "
      "= 5.00 MiB\n"
      "load_tensors: CUDA0 model buffer size = 200.00 MiB\n");
  EXPECT_EQ(facts.config.at("CUDA_VISIBLE_DEVICES"), "");
  EXPECT_EQ(facts.config.at("OLLAMA_ORIGINS"), "[http://a https://b]");
  EXPECT_EQ(facts.config.at("OLLAMA_NUM_PARALLEL"), "4");
  ASSERT_EQ(facts.starts.size(), 1u);
  EXPECT_EQ(facts.starts[0].model, "/a");
  EXPECT_EQ(facts.starts[0].context, 8192);
  EXPECT_EQ(facts.starts[0].parallel, 2);
  EXPECT_EQ(facts.buffers.at("CUDA0").at("model"), 200.0 * 1024 * 1024);  // of the last load alone
}

}  // namespace
}  // namespace hearth::doctor
