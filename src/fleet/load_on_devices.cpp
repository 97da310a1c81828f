#include "fleet/load_on_devices.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/host_owner.h"
#include "base/processors.h"
#include "base/text.h"
#include "cpu/cpu_device.h"
#include "fleet/gpus.h"
#include "fleet/machine.h"
#include "fleet/measurer.h"
#include "placement/gpus.h"
#include "placement/offers.h"

namespace hearth::fleet {
namespace {

using engine::Proposal;

constexpr size_t kMostOffers = 2;  // in one line; "hearth plan" shows all

// Bytes of memory that this machine has in all.
uint64_t physical_bytes() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::string joined(const std::vector<placement::Offer>& offers) {
  std::string text;
  for (size_t i = 0; i < std::min(offers.size(), kMostOffers); ++i) text += (i > 0 ? "; or " : "") + offers[i].text;
  return text;
}

// "GPU 0 (...) has 3.3 GiB to give (others hold 2.5 GiB)": what is free, but for the reserve.
std::string room_of(std::span<const placement::DeviceState> states) {
  std::string text;
  for (size_t i = 0; i + 1 < states.size(); ++i) {
    uint64_t others = 0;
    for (const placement::Process& process : states[i].others) others += process.bytes;
    text += fmt::format("{}{} has {} to give", i > 0 ? " and " : "", states[i].name, size_text(states[i].budget()));
    if (others > 0) text += fmt::format(" (others hold {})", size_text(others));
    if (states[i].kept > 0) text += fmt::format(", as {} is promised to other programs", size_text(states[i].kept));
  }
  return text;
}

// Watches over one model on its way to its devices: refuses what cannot be, explains what falls short, and shows how
// far it is. Kept as long as the model, which may be placed again after a loss.
class LoadSupervisor {
 public:
  LoadSupervisor(const ModelOptions& options, std::shared_ptr<const gguf::File> file, Cause no_gpu,
                 const LoadObserver& observer)
      : file_(std::move(file)),
        policy_(options.gpu),
        mapped_(options.host_weights == HostWeights::kMapped),
        no_gpu_(std::move(no_gpu)),
        observer_(observer) {
    serving_.kv_type = options.kv_type;
    serving_.plan.experts_last = options.experts_last;
  }

  // See engine::PlacedOptions.
  Result<Cause> review(const Proposal& proposal) {
    const models::LoadOptions& load = proposal.load;
    TRY(check_host_memory(proposal, load));
    Cause problem = no_gpu_;
    const bool gpus = proposal.states.size() > 1;
    if (gpus && !proposal.plan.whole()) {
      problem = advise(proposal, load);
      if (policy_ == GpuPolicy::kRequire) return refused(problem);
    }
    if (!loading_) return problem;  // again, after a loss: nobody watches
    start_ = std::chrono::steady_clock::now();
    const placement::Share& host = proposal.plan.shares.back();
    const bool on_host = host.layers == proposal.plan.layers.size();
    started_ = true;
    if (observer_.start)
      observer_.start(fmt::format("{} {}{}", on_host && !load.copy_weights ? "reading" : "loading",
                                  std::filesystem::path(file_->path()).filename().string(),
                                  on_host ? "" : " on the GPU"));
    return problem;
  }

  void update(uint64_t done, uint64_t total) {
    if (started_ && loading_ && observer_.progress) observer_.progress(done, total);
  }

  // The model is there, or will not be. How long that took, from the plan on.
  std::chrono::nanoseconds end() {
    loading_ = false;
    if (observer_.end) observer_.end();
    return std::chrono::steady_clock::now() - start_;
  }

 private:
  placement::ServingOptions serving_for(const models::LoadOptions& load) const {
    placement::ServingOptions serving = serving_;
    serving.context = load.context;
    serving.parallel = std::max(1u, load.sequences);
    return serving;
  }

  // What the host would hold, against what the kernel and the control group leave.
  Status check_host_memory(const Proposal& proposal, const models::LoadOptions& load) const {
    const placement::Share& needed = proposal.plan.shares.back();
    const AvailableMemory available = HostOwner::of_process()->memory().available();
    if (needed.total() <= available.bytes) return {};
    // Weights that the user wants mapped need not be held: the system drops and reads their pages again as it goes.
    if (mapped_ && needed.total() - needed.weights <= available.bytes) {
      if (observer_.note)
        observer_.note(
            fmt::format("{} needs {} of memory, but {}, so weights are read from the disk again "
                        "and again, which is slow; a smaller model or quantisation would be faster",
                        file_->path(), size_text(needed.total()), to_string(available)));
      return {};
    }
    std::vector<placement::DeviceState> states = proposal.states;
    states.back().free = available.bytes;
    const Measurer measurer(file_, states.size() - 1, proposal.host, load);
    std::string help =
        joined(placement::offers_to_fit_host(measurer.function(), states, serving_for(load), offered_recipes()));
    if (help.empty()) help = "use a smaller model";
    if (needed.total() < physical_bytes() && available.limited_by == "this machine")
      help += "; or close other programs";
    return with_remedy(ErrorKind::kNoMemory,
                       fmt::format("{} needs {} of memory (weights {}, cache of {} tokens {}, workspace {}), but {}",
                                   file_->path(), size_text(needed.total()), size_text(needed.weights), load.context,
                                   size_text(needed.cache), size_text(needed.workspace), to_string(available)),
                       help);
  }

  // Why it does not fit, and what would help.
  Cause advise(const Proposal& proposal, const models::LoadOptions& load) const {
    std::vector<placement::DeviceState> states = proposal.states;
    add_processes(states);
    const placement::ServingOptions serving = serving_for(load);
    const Measurer measurer(file_, states.size() - 1, proposal.host, load);
    std::string help = joined(placement::offers(measurer.function(), states, serving, offered_recipes()));
    const bool none = help.empty();
    if (none) help = "only a smaller model would fit";
    if (const auto missing = placement::shortfall(proposal.sizes, states, serving.plan); missing && none)
      help = fmt::format("{} more free memory on {} would hold it", size_text(*missing), states[0].name);
    const placement::Arrangement on_first = placement::all_on(0, proposal.plan.layers.size());
    const placement::Share whole = placement::shares_of(on_first, proposal.sizes, states)[0];
    return {"model-too-large-for-vram",
            {{"needed", size_text(whole.total())}, {"room", room_of(states)}, {"help", help}}};
  }

  const std::shared_ptr<const gguf::File> file_;
  const GpuPolicy policy_;
  const bool mapped_;  // --mmap on
  const Cause no_gpu_;
  placement::ServingOptions serving_;
  const LoadObserver observer_;
  bool loading_ = true, started_ = false;
  std::chrono::steady_clock::time_point start_;
};

Status load_on(std::vector<engine::DeviceFactory> devices, Cause no_gpu, const ModelOptions& options,
               const models::LoadOptions& load, const LoadObserver& observer, LoadedModel& loaded) {
  const auto supervisor = std::make_shared<LoadSupervisor>(options, loaded.file, std::move(no_gpu), observer);
  engine::PlacedOptions placed;
  placed.host = HostOwner::of_process()->join(options.threads > 0 ? options.threads : usable_processors());
  devices.push_back(
      [host = placed.host, options] { return cpu::create_device({.host = host, .isa = options.cpu_isa}); });
  placed.load = load;
  placed.load.progress = [supervisor](uint64_t done, uint64_t total) { supervisor->update(done, total); };
  placed.reserve_bytes = placement::kReserve_bytes;
  placed.rebalance.plan.experts_last = options.experts_last;
  placed.book = card_book();
  placed.gpu_wanted = options.gpu != GpuPolicy::kOff;
  placed.moves = options.gpu != GpuPolicy::kRequire;  // to the CPU, that is
  placed.review = [supervisor](const Proposal& proposal) { return supervisor->review(proposal); };
  auto model = engine::PlacedModel::load(loaded.file, std::move(devices), std::move(placed));
  loaded.read_duration = supervisor->end();
  ASSIGN_OR_RETURN(loaded.placed, std::move(model));
  return {};
}

}  // namespace

Status load_on_devices(const ModelOptions& options, const models::LoadOptions& load, const LoadObserver& observer,
                       LoadedModel& loaded) {
  if (options.gpu == GpuPolicy::kOff) return load_on({}, {}, options, load, observer, loaded);
  GpuSearch search = find_gpus(observer.compiling, loaded.found.name);
  if (!search.gpus.empty()) {
    const Status status = load_on(std::move(search.gpus), {}, options, load, observer, loaded);
    if (status || !is_gpu_fault(status.error())) return status;
    search.problem = cause_of(status.error());
  }
  if (options.gpu == GpuPolicy::kRequire) return refused(search.problem);
  return load_on({}, search.problem, options, load, observer, loaded);
}

}  // namespace hearth::fleet
