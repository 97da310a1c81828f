// What the rules judge: the raw facts of a bundle in types. A field that could not be found out is absent (an empty
// optional, an empty text); why not stands in the bundle beside its source, where --verbose shows it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cause.h"
#include "doctor/bundle.h"
#include "doctor/files.h"
#include "doctor/log_facts.h"

namespace hearth::doctor {

// One observation and where it is from: "cuInit answered 304 (CUDA_ERROR_OPERATING_SYSTEM)", "CUDA driver".
struct Evidence {
  std::string text, source;
};

enum class Service { kNone, kOllama, kVllm, kLocalai, kLlamaCpp, kHearth };
std::string_view service_name(Service service);  // "ollama"; "" for kNone
Service service_of(std::string_view name);  // as --service takes it, or a part of an image's name; kNone if unknown

// Where the fix is to be done.
enum class Place { kUnknown, kBareMetal, kDocker, kCompose, kKubernetes, kWsl2, kLxc };
std::string_view place_name(Place place);  // "Docker"

struct PciGpu {
  std::string address;
  unsigned vendor = 0, device = 0, subsystem_vendor = 0;
  std::string driver;  // bound to it; empty: none
  bool driver_known = false;
  std::optional<unsigned> width, max_width;
  std::optional<uint64_t> largest_bar_bytes;
  bool nvidia() const { return vendor == 0x10de; }
};

struct Node {
  std::string path, open;  // "ok", "EACCES", "EPERM", ...; empty: not tried
  std::optional<unsigned> mode, uid, gid;
};

struct Hardware {
  bool pci_known = false;    // the bus was looked at
  std::vector<PciGpu> gpus;  // of any maker
  bool nvidia = false;       // one of them is NVIDIA's
  bool wsl = false, dxg = false, container = false, podman = false, kubernetes = false, lxc = false, hypervisor = false,
       tegra = false;
  std::optional<bool> avx;
  std::string kernel_module;  // version of the loaded one; empty: none
  std::optional<bool> open_module;
  bool modules_known = false, nvidia_loaded = false, uvm_loaded = false;
  std::optional<bool> secure_boot;
  std::string module_file;  // of nvidia.ko for the running kernel
  std::vector<Node> nodes;  // /dev/nvidia..., without nvidia-caps
  bool nodes_known = false;
  std::optional<double> suspended_s;  // since boot
  const Node* node(std::string_view path) const;
  bool any_node() const { return !nodes.empty(); }
  const Node* refused(std::string_view error) const;  // the first whose opening failed so
};

struct Library {
  std::optional<bool> loads;
  std::string path, problem;
};

struct CudaDevice {
  std::string name, uuid, bus;
  int capability = 0;  // 86: 8.6
  std::optional<uint64_t> total_bytes, free_bytes;
  std::string failed_step;  // "cuDevicePrimaryCtxRetain"
  int code = 0;             // of that step
  std::optional<bool> kernel_right;
};

// The calls from cuInit() to a kernel, in a child process.
struct CudaChain {
  bool asked = false, timed_out = false;
  std::string failed_step;  // empty: none failed
  int code = 0;
  int version = 0;  // 12080
  std::optional<int> count;
  std::optional<double> init_s;
  std::vector<CudaDevice> devices;
  bool works() const;  // at least one device, and all steps that were tried on one went well
};

struct GpuProcess {
  unsigned pid = 0;
  std::string name;
  std::optional<uint64_t> bytes;
  bool graphics = false;
};

struct NvmlDevice {
  std::string name, uuid, bus;
  int capability = 0;
  std::optional<uint64_t> total_bytes, free_bytes, used_bytes;
  std::optional<int64_t> compute_mode, mig_mode, virtualization, fabric_state, utilization, display, power_limit_mw,
      default_power_limit_mw, sm_mhz, max_sm_mhz, temperature_c, width, max_width, ecc_errors, remap_pending,
      remap_failed, persistence;
  std::optional<uint64_t> clocks_reasons;
  bool processes_known = false;
  std::vector<GpuProcess> processes;
  int failed_code = 0;  // the first of 15 (lost) and 16 (reset required) that a question got
  std::string failed_call;
};

struct NvmlFacts {
  bool asked = false, timed_out = false;
  int code = 0;  // of nvmlInit
  std::string driver;
  std::vector<NvmlDevice> devices;
  bool works() const { return asked && !timed_out && code == 0; }
};

struct Process {
  unsigned pid = 0, parent = 0;
  std::string name, exe, state;
  std::vector<std::string> arguments;
  bool environment_known = false;
  std::map<std::string, std::string> environment;
  bool maps_known = false;
  std::vector<std::string> maps;  // files
  std::optional<int> threads;
  std::optional<unsigned> uid;
  std::vector<unsigned> groups;
  std::optional<std::string> argument(std::initializer_list<std::string_view> names) const;  // "-c 4096", "-c=4096"
  bool flag(std::string_view wanted) const;
  const std::string* mapped(std::string_view part) const;  // a file whose path has that part
};

struct Disk {
  std::string path, type;  // "ext4", "overlay", "9p"
  std::optional<double> total_bytes, free_bytes, inodes, free_inodes, read_bytes_per_s;
  std::optional<bool> rotational;
  std::vector<Cause> findings;         // of a folder of models, as src/disk finds them
  std::optional<double> used() const;  // share of 1
  bool full() const;
};

struct ComposeService {
  std::string file, name, image, command;
  std::map<std::string, std::string> environment;
  bool gpu_requested = false;  // by any of the ways there are
  bool count_zero = false;
  bool nvidia_runtime = false;
  std::optional<std::vector<std::string>> capabilities;  // of the device request
  std::vector<std::string> device_ids, volumes;
  std::optional<double> cpus, memory_bytes;
  Service service = Service::kNone;
};

struct ComposeFacts {
  bool given = false;
  std::string problem;                   // why it could not be read
  std::vector<ComposeService> services;  // those that serve models
};

struct RunningModel {  // /api/ps
  std::string name, quantization;
  double bytes = 0, vram_bytes = 0, parameters = 0;
  std::optional<double> context;
};

struct Reply {  // the timing of an answer
  std::string model;
  double total_s = 0, load_s = 0, prompt_s = 0, eval_s = 0, prompt_tokens = 0, eval_tokens = 0;
  std::optional<double> started_s;  // since the epoch
  double eval_rate() const { return eval_s > 0 ? eval_tokens / eval_s : 0; }
  double prompt_rate() const { return prompt_s > 0 ? prompt_tokens / prompt_s : 0; }
};

struct ApiFacts {
  bool running_known = false;
  std::vector<RunningModel> running;
  std::vector<Reply> replies;
  std::map<std::string, double> metrics;  // sums over labels
  std::string show_parameters;            // the Modelfile's PARAMETER lines
  std::optional<int> slots, busy_slots;
  std::string problem;  // why it does not answer
};

// The limits of the control group and the memory of the machine.
struct HostFacts {
  std::optional<double> cpu_quota, throttled_share;  // processors; of the periods
  std::optional<double> memory_limit_bytes, memory_bytes, available_bytes;
  std::optional<int64_t> oom_kills;
  bool oom_kills_rising = false;
  std::optional<double> memory_pressure, io_pressure;  // percent of the last 10 s
  std::optional<double> major_faults_per_s, swapped_in_per_s;
};

// Of the model that was loaded last: what it takes if all of it were on the GPU, and what there was.
struct Placement {
  std::optional<int> layers, of_layers;  // on the GPU, of all with the output layer
  std::optional<int> requested;          // -1: automatic
  std::string requested_source;
  std::optional<double> needed_bytes, model_bytes, kv_bytes, free_bytes, total_bytes;
  std::optional<int> context, parallel;
  std::string source;
  bool partial() const { return layers && of_layers && *layers < *of_layers; }
  bool full() const { return layers && of_layers && *of_layers > 0 && *layers >= *of_layers; }
  // How many layers would find room; nothing where the figures are missing (the catalogue's rule 7).
  std::optional<double> layers_that_fit() const;
};

// A value of the server's environment, and where it was seen.
struct Setting {
  std::string value, source;
};

struct Facts {
  Place place = Place::kUnknown;
  Service service = Service::kNone;
  std::string version;         // of the service
  bool machine_known = false;  // there are facts of a machine, not of files alone
  Hardware hardware;
  Library cuda_library, nvml_library;
  std::map<std::string, Library> libraries;  // all that were tried
  CudaChain cuda, cuda_unrestricted;         // the second: without CUDA_VISIBLE_DEVICES
  std::vector<CudaChain> cuda_each;          // every GPU alone
  NvmlFacts nvml;
  std::optional<Process> server;
  std::vector<Process> children;  // of the server, at any depth
  std::vector<Process> processes;
  std::map<std::string, std::string> environment;  // of the doctor
  Files files;
  std::vector<Disk> disks;
  HostFacts host;
  LogFacts log;
  bool log_given = false, kernel_log_known = false;
  std::string kernel_log_problem;
  ComposeFacts compose;
  ApiFacts api;
  Placement placement;
  std::string notes;  // what the user says, in small letters

  std::map<int, Evidence> codes;  // of the CUDA driver, from the calls and the logs

  // What the server has in its environment: of its process, the log's "server config", the compose file, or of the
  // container or shell that the doctor is in, whichever is known first.
  std::optional<Setting> setting(const std::string& name) const;
  // The first argument of the server or its children, the log's command line or the compose file's command.
  std::optional<Setting> argument(std::initializer_list<std::string_view> names) const;
  bool flag(std::string_view name, Evidence& evidence) const;
  const Disk* disk_of(std::string_view path) const;  // the one with the longest path above it
  std::string model_folder() const;                  // of the service; empty if not known
  std::string library_folder() const;                // Ollama's lib/ollama that exists; empty if none is known
  const Evidence* code(int number) const;
  bool gpu_found_by_server() const;                                // the log says that it uses one
  bool no_gpu_for_server() const;                                  // the log says that it uses none
  int capability() const;                                          // of the first GPU; 0: unknown
  bool says(std::initializer_list<std::string_view> words) const;  // the user's notes have one of them
};

Facts read_facts(const Bundle& bundle);

}  // namespace hearth::doctor
