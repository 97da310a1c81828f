// What is told of a server to all who look: the page for browsers, the one for Prometheus, `hearth gpu`, and who asks
// for JSON. Filled in by serve/observer.h, every second.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "metrics/registry.h"

namespace hearth::metrics {

// What is not as it should be. The words are the doctor's.
struct FindingFigures {
  std::string id, cause, remedy, cause_id;
};

// The one sentence about all. Tone: "good" (all is on GPUs), "idle" (nothing is loaded, or a CPU is all there is),
// "warning", "bad" (requests fail).
struct Headline {
  std::string tone = "idle", id, cause, remedy, cause_id;
};

// A part of a GPU's memory. Kind: "weights", "cache" or "workspace" of the model `owner`, "context" (the driver's, for
// this process), or "process", another's.
struct GpuPart {
  std::string owner, kind;
  uint64_t bytes = 0, pid = 0;
};

// What is absent is not known: where the driver does not tell, and while nobody looks and nothing is loaded, since
// asking would keep the GPU of a laptop awake.
struct GpuFigures {
  std::string id, name;  // "GPU-8e3d...", "NVIDIA GeForce RTX 4090"
  int64_t ordinal = -1;  // the driver's number
  uint64_t total_bytes = 0;
  std::optional<uint64_t> free_bytes;
  std::vector<GpuPart> parts;
  double busy_seconds = 0;                  // since the start, measured: in which it computed for this process
  double busy_ratio = 0;                    // of the last second
  std::optional<double> utilization_ratio;  // NVML's average: in which any kernel of anybody ran
  std::optional<double> sm_hertz, sm_max_hertz, memory_hertz, memory_max_hertz;
  std::optional<double> power_watts, power_limit_watts, temperature_celsius;
  std::vector<std::string> throttled;  // why the clocks are held down: "power limit", ...
  std::optional<uint64_t> pcie_generation, pcie_generation_max, pcie_lanes, pcie_lanes_max;
};

// A model's part on one device.
struct ModelPlace {
  std::string device, gpu_id;  // the id is empty for the host
  uint64_t weights_bytes = 0, cache_bytes = 0, workspace_bytes = 0;
  uint64_t promised_bytes = 0, taken_bytes = 0;  // by the plan; by the load. 0: not known
};

// A loaded model.
struct ModelFigures {
  std::string name;
  uint64_t context_tokens = 0;
  uint64_t layers = 0, layers_on_gpu = 0;  // with one for the output
  std::vector<ModelPlace> places;
  uint64_t gpu_bytes = 0, host_bytes = 0;
  std::string placement, cause, cause_id, remedy;  // the cause of layers that are not on a GPU
  uint64_t running = 0, waiting = 0, pages = 0, pages_free = 0;
  uint64_t steps = 0, tokens_prefilled = 0, tokens_cached = 0, tokens_generated = 0;  // since the load, as those below
  uint64_t preemptions = 0, devices_lost = 0, changes = 0;
  double computing_seconds = 0;                                // in its steps
  double read_bytes = 0;                                       // of weights, by its steps
  double tokens_per_second = 0, prompt_tokens_per_second = 0;  // of the last second
  double bytes_per_second = 0, batch = 0;                      // likewise; sequences in a step, on average
  double limit_bytes_per_second = 0;                           // at which its memory can be read; 0: not known
  std::optional<double> expires_seconds;                       // from now; absent: it stays
  std::string last_change;
};

struct StoreFigures {
  std::string name, level;  // "green", "yellow", "orange", "red"
  uint64_t total_bytes = 0, free_bytes = 0, keep_free_bytes = 0, promised_bytes = 0, usable_bytes = 0,
           partial_bytes = 0;
  std::vector<std::string> findings = {};  // ids of what is wrong with its disk
};

// A pull or a push that runs.
struct TransferFigures {
  std::string kind, model, status;
  uint64_t total_bytes = 0, done_bytes = 0;  // of the file that it is at
};

// A request that is being answered.
struct RequestFigures {
  std::string id, user, model, state;  // "waiting", "running"
  double age_seconds = 0;
  uint64_t prompt_tokens = 0, pieces = 0;  // of its answer, about as many as tokens
};

struct Figures {
  std::string version;
  double time = 0, started = 0;  // seconds since 1970
  bool ready = false;
  Headline headline;
  std::vector<FindingFigures> findings;
  std::vector<GpuFigures> gpus;
  std::vector<ModelFigures> models;
  std::vector<std::string> loading;
  std::vector<StoreFigures> stores;
  std::vector<TransferFigures> transfers;
  uint64_t running = 0, waiting = 0;  // requests, of all models
};

// The last ten minutes, a value a second, the newest last.
struct History {
  std::vector<double> tokens_per_second;
  std::map<std::string, std::vector<double>> busy_ratio;  // by a GPU's id
};

// As one line of JSON; with the history as its member "history" where that is given.
std::string to_json(const Figures& figures, const History* history = nullptr);
std::string to_json(const std::vector<RequestFigures>& requests);
// What to_json() has written, also of another version: what is missing keeps its default. Errors: kInvalidData.
Result<Figures> figures_from_json(std::string_view text);
Result<std::vector<RequestFigures>> requests_from_json(std::string_view text);

// What Prometheus reads of them.
void add_to(Page& page, const Figures& figures);

}  // namespace hearth::metrics
