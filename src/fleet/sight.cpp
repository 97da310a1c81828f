#include "fleet/sight.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/host_owner.h"
#include "base/log.h"
#include "base/processors.h"
#include "base/sha256.h"
#include "base/text.h"
#include "chat/picture_marks.h"
#include "cpu/cpu_device.h"
#include "cuda/sizing.h"
#include "fleet/gpus.h"
#include "image/decoder_process.h"

namespace hearth::fleet {
namespace {

constexpr uint64_t kMost_kept_bytes = 256u << 20;

// What stands for a row in the prompt: penalties on tokens of the prompt fall on it, so that it had better be one that
// no answer needs.
text::Token placeholder(const text::Tokenizer& tokenizer) {
  for (const char* name : {"<|image_pad|>", "<image_soft_token>", "<image>", "[IMG]", "<|image|>", "<unk>"})
    if (const text::Token token = tokenizer.find(name); token != text::kNoToken) return token;
  return 0;
}

struct Place {
  std::unique_ptr<device::Device> device;
  Cause cause;
};

// The first GPU that has the room.
Result<Place> find_place(const gguf::File& file, const std::string& model, const ModelOptions& options) {
  Place place;
  std::string room;
  if (options.gpu != GpuPolicy::kOff) {
    GpuSearch search = find_gpus({}, model);
    if (search.gpus.empty()) place.cause = search.problem;
    for (const engine::DeviceFactory& open : search.gpus) {
      auto device = open();
      if (!device) continue;
      ASSIGN_OR_RETURN(const vision::Memory needed, vision::Encoder::estimate(file, **device));
      const placement::DeviceState state = engine::state_of(**device);
      if (needed.total() <= state.budget()) return Place{std::move(*device), {}};
      room += fmt::format("{}{} has {} to give", room.empty() ? "" : " and ", state.name, size_text(state.budget()));
      place.cause = {"vision-encoder-on-cpu", {{"needed", size_text(needed.total())}, {"room", room}}};
    }
  }
  auto host = HostOwner::of_process()->join(options.threads > 0 ? options.threads : usable_processors());
  ASSIGN_OR_RETURN(place.device, cpu::create_device({.host = std::move(host), .isa = options.cpu_isa}));
  return place;
}

}  // namespace

bool Sight::has(const store::ModelFiles& found, const gguf::File& file) {
  return !found.projector.empty() || vision::has_encoder(file);
}

Result<std::unique_ptr<Sight>> Sight::load(const store::ModelFiles& found, std::shared_ptr<const gguf::File> file,
                                           std::shared_ptr<const text::Tokenizer> tokenizer, uint32_t width,
                                           const ModelOptions& options) {
  std::unique_ptr<Sight> sight(new Sight);
  if (!found.projector.empty()) {
    ASSIGN_OR_RETURN(file, gguf::File::open(found.projector));
  }
  ASSIGN_OR_RETURN(Place place, find_place(*file, found.name, options));
  sight->device_ = std::move(place.device);
  sight->cause_ = std::move(place.cause);
  sight->tokenizer_ = std::move(tokenizer);
  ASSIGN_OR_RETURN(sight->memory_, vision::Encoder::estimate(*file, *sight->device_));
  ASSIGN_OR_RETURN(sight->encoder_, vision::Encoder::load(file, *sight->device_));
  if (sight->encoder_->width() != width)
    return error(ErrorKind::kUnsupported,
                 "{}: the encoder of pictures makes embeddings of {} numbers, but the model reads {}: it belongs to "
                 "another model",
                 file->path(), sight->encoder_->width(), width);
  if (!sight->cause_.empty())
    log_warn("{}: the encoder of pictures runs on the CPU: {}", found.name, text_of(sight->cause_));
  return sight;
}

void Sight::add_to(engine::DeviceStatus* devices) const {
  if (devices->cause.empty()) devices->cause = cause_;
  const device::Facts facts = device_->facts();
  const auto same = std::ranges::find(devices->devices, facts.id, &engine::DeviceStatus::Device::id);
  engine::DeviceStatus::Device& at =
      same != devices->devices.end()
          ? *same
          : devices->devices.emplace_back(engine::DeviceStatus::Device{
                .name = facts.name, .gpu = on_gpu(), .ordinal = facts.ordinal, .id = facts.id});
  at.memory.weights += memory_.weights;
  at.memory.workspace += memory_.run;
}

std::shared_ptr<const SeenPicture> Sight::find(const std::string& hash) {
  const std::lock_guard lock(mutex_);
  const auto kept = std::ranges::find(kept_, hash, &Kept::hash);
  if (kept == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, kept);
  return kept->picture;
}

void Sight::keep(const std::string& hash, std::shared_ptr<const SeenPicture> picture) {
  const std::lock_guard lock(mutex_);
  kept_bytes_ += picture->bytes;
  kept_.push_front({hash, std::move(picture)});
  while (kept_bytes_ > kMost_kept_bytes && kept_.size() > 1) {
    kept_bytes_ -= kept_.back().picture->bytes;
    kept_.pop_back();
  }
}

SeenPicture Sight::parts_of(std::vector<vision::Piece> pieces, const std::string& hash) const {
  SeenPicture seen;
  const uint64_t key = std::strtoull(hash.substr(0, 16).c_str(), nullptr, 16);
  const size_t row = size_t{encoder_->width()} * (1 + encoder_->deep());
  for (vision::Piece& piece : pieces) {
    SeenPicture::Part part;
    if (piece.embeddings.empty()) {
      part.tokens = tokenizer_->encode(piece.text, {.add_special = false, .parse_special = true});
    } else {
      part.tokens.resize(piece.embeddings.size() / row, placeholder(*tokenizer_));
      seen.bytes += piece.embeddings.size() * sizeof(float);
      part.embedded.values = std::make_shared<const std::vector<float>>(std::move(piece.embeddings));
      part.embedded.key = key + seen.parts.size();
      part.embedded.deep = encoder_->deep();
      part.embedded.together = encoder_->see_each_other();
      part.embedded.columns = piece.columns;
      part.embedded.rows = piece.rows;
    }
    seen.tokens += static_cast<uint32_t>(part.tokens.size());
    seen.parts.push_back(std::move(part));
  }
  return seen;
}

Result<std::shared_ptr<const SeenPicture>> Sight::look(std::string_view file) {
  const std::string hash = sha256_hex(file);
  if (auto seen = find(hash)) return seen;
  ASSIGN_OR_RETURN(const image::Picture picture,
                   image::decode_confined(std::as_bytes(std::span(file.data(), file.size()))));
  const std::lock_guard lock(encoding_);
  if (auto seen = find(hash)) return seen;
  ASSIGN_OR_RETURN(std::vector<vision::Piece> pieces, encoder_->read(picture));
  auto seen = std::make_shared<const SeenPicture>(parts_of(std::move(pieces), hash));
  keep(hash, seen);
  return std::shared_ptr<const SeenPicture>(std::move(seen));
}

Result<std::string> plan_encoder(const store::ModelFiles& found, const std::shared_ptr<const gguf::File>& file,
                                 std::vector<placement::DeviceState>* devices) {
  if (!Sight::has(found, *file)) return std::string();
  std::shared_ptr<const gguf::File> encoder = file;
  if (!found.projector.empty()) {
    ASSIGN_OR_RETURN(encoder, gguf::File::open(found.projector));
  }
  ASSIGN_OR_RETURN(const vision::Memory needed, vision::Encoder::estimate(*encoder, cuda::CudaSizing()));
  for (placement::DeviceState& device : *devices) {
    if (device.host || needed.total() > device.budget()) continue;
    device.free -= needed.total();
    return fmt::format("encoder of pictures: {} on {}", size_text(needed.total()), device.name);
  }
  placement::DeviceState& host = devices->back();
  host.free -= std::min(host.free, needed.total());
  if (devices->size() == 1) return fmt::format("encoder of pictures: {} on the CPU", size_text(needed.total()));
  const Cause cause{
      "vision-encoder-on-cpu",
      {{"needed", size_text(needed.total())},
       {"room", fmt::format("{} has {} to give", (*devices)[0].name, size_text((*devices)[0].budget()))}}};
  return fmt::format("encoder of pictures: {} on the CPU: {}", size_text(needed.total()), text_of(cause));
}

void put_pictures(std::span<const std::shared_ptr<const SeenPicture>> pictures, engine::Request* request) {
  std::vector<text::Token> prompt;
  for (const text::Token token : request->prompt) {
    const std::optional<size_t> index = chat::picture_of(token);
    if (!index) {
      prompt.push_back(token);
      continue;
    }
    if (*index >= pictures.size()) continue;
    for (const SeenPicture::Part& part : pictures[*index]->parts) {
      if (part.embedded.values != nullptr) {
        request->embedded.push_back(part.embedded);
        request->embedded.back().first = static_cast<uint32_t>(prompt.size());
      }
      prompt.insert(prompt.end(), part.tokens.begin(), part.tokens.end());
    }
  }
  request->prompt = std::move(prompt);
}

}  // namespace hearth::fleet
