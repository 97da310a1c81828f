#include "fleet/sight.h"

#include <algorithm>
#include <cstdlib>
#include <future>

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
// no answer needs. Where layers have inputs of their own by token, those of a picture's rows are the first token's, the
// padding's (Hugging Face's Gemma3nModel and Gemma4Model).
text::Token placeholder(const text::Tokenizer& tokenizer, const models::Spec& spec) {
  if (spec.layer_inputs != 0) return 0;
  for (const char* name : {"<|image_pad|>", "<image_soft_token>", "<image>", "[IMG]", "<|image|>", "<unk>"})
    if (const text::Token token = tokenizer.find(name); token != text::kNoToken) return token;
  return 0;
}

// Of text that stands beside embeddings.
std::vector<text::Token> tokens_beside(const text::Tokenizer& tokenizer, const std::string& text) {
  return tokenizer.encode(text, {.add_special = false, .parse_special = true});
}

struct Place {
  std::unique_ptr<device::Device> device;
  Cause cause;
  std::function<std::chrono::nanoseconds()> bound;  // of a step
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
      if (needed.total() <= state.budget())
        return Place{std::move(*device), {}, [] { return engine::kStep_bound_gpu; }};
      room += fmt::format("{}{} has {} to give", room.empty() ? "" : " and ", state.name, size_text(state.budget()));
      place.cause = {"vision-encoder-on-cpu", {{"needed", size_text(needed.total())}, {"room", room}}};
    }
  }
  auto host = HostOwner::of_process()->join(options.threads > 0 ? options.threads : usable_processors());
  ASSIGN_OR_RETURN(place.device, cpu::create_device({.host = host, .isa = options.cpu_isa}));
  place.bound = [host] { return std::chrono::nanoseconds(engine::kStep_bound_cpu) / host->sharers(); };
  return place;
}

}  // namespace

bool Sight::has(const store::ModelFiles& found, const gguf::File& file) {
  return !found.projector.empty() || vision::has_encoder(file);
}

Result<std::unique_ptr<Sight>> Sight::load(const store::ModelFiles& found, std::shared_ptr<const gguf::File> file,
                                           std::shared_ptr<const text::Tokenizer> tokenizer, const models::Spec& spec,
                                           const ModelOptions& options) {
  std::unique_ptr<Sight> sight(new Sight);
  if (!found.projector.empty()) {
    ASSIGN_OR_RETURN(file, gguf::File::open(found.projector));
  }
  ASSIGN_OR_RETURN(Place place, find_place(*file, found.name, options));
  sight->device_ = std::move(place.device);
  sight->cause_ = std::move(place.cause);
  sight->placeholder_ = placeholder(*tokenizer, spec);
  sight->tokenizer_ = std::move(tokenizer);
  ASSIGN_OR_RETURN(sight->memory_, vision::Encoder::estimate(*file, *sight->device_));
  ASSIGN_OR_RETURN(sight->encoder_, vision::Encoder::load(file, *sight->device_, std::move(place.bound)));
  if (sight->encoder_->width() != spec.width)
    return error(ErrorKind::kUnsupported,
                 "{}: the encoder of pictures makes embeddings of {} numbers, but the model reads {}: it belongs to "
                 "another model",
                 file->path(), sight->encoder_->width(), spec.width);
  if (!sight->cause_.empty())
    log_warn("{}: the encoder of pictures runs on the CPU: {}", found.name, text_of(sight->cause_));
  vision::Encoder& encoder = *sight->encoder_;
  sight->queue_.emplace(PictureQueue::Encode{[&encoder](const image::Picture& view) { return encoder.rows_of(view); },
                                             [&encoder](PictureQueue::Views views) { return encoder.encode(views); }});
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
  const auto kept = std::ranges::find(kept_, hash, &Kept::hash);
  if (kept == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, kept);
  return kept->picture;
}

void Sight::keep(const std::string& hash, std::shared_ptr<const SeenPicture> picture) {
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
      part.tokens = tokens_beside(*tokenizer_, piece.text);
    } else {
      part.tokens.resize(piece.embeddings.size() / row, placeholder_);
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

// Null: it is neither kept nor on its way; else `done` is taken where it is on its way.
std::shared_ptr<const SeenPicture> Sight::find_or_join(const std::string& hash, uint64_t look,
                                                       std::function<void(Seen)>& done) {
  if (auto seen = find(hash)) return seen;
  if (const auto pending = pending_.find(hash); pending != pending_.end())
    pending->second->wanted.emplace(look, std::exchange(done, nullptr));
  return nullptr;
}

uint64_t Sight::look(std::string_view file, std::function<void(Seen)> done) {
  const std::string hash = sha256_hex(file);
  std::shared_ptr<const SeenPicture> seen;
  uint64_t look = 0;
  {
    const std::lock_guard lock(mutex_);
    look = ++last_look_;
    seen = find_or_join(hash, look, done);
  }
  if (done != nullptr && seen == nullptr) {
    auto picture = image::decode_confined(std::as_bytes(std::span(file.data(), file.size())));
    if (!picture) {
      done(picture.error());
      return look;
    }
    vision::Views views = encoder_->prepare(*picture);
    const std::lock_guard lock(mutex_);
    seen = find_or_join(hash, look, done);  // somebody may have been quicker
    if (done != nullptr && seen == nullptr) {
      const auto pending = std::make_shared<Pending>();
      pending->wanted.emplace(look, std::exchange(done, nullptr));
      pending_.emplace(hash, pending);
      std::vector<image::Picture> pictures;  // of `views` only sizes are left
      for (image::Picture& view : views.pictures)
        pictures.push_back({view.width, view.height, std::exchange(view.rgb, {})});
      pending->queued =
          queue_->add(std::move(pictures), [this, hash, pending, views = std::move(views)](auto embeddings) {
            encoded(hash, pending, views, std::move(embeddings));
          });
    }
  }
  if (done != nullptr) done(std::move(seen));
  return look;
}

void Sight::encoded(const std::string& hash, const std::shared_ptr<Pending>& pending, const vision::Views& views,
                    Result<PictureQueue::Embeddings> embeddings) {
  Seen seen =
      embeddings
          ? Seen(std::make_shared<const SeenPicture>(parts_of(encoder_->assemble(views, std::move(*embeddings)), hash)))
          : Seen(embeddings.error());
  std::map<uint64_t, std::function<void(Seen)>> wanted;
  {
    const std::lock_guard lock(mutex_);
    wanted.swap(pending->wanted);
    if (const auto found = pending_.find(hash); found != pending_.end() && found->second == pending)
      pending_.erase(found);
    if (seen) keep(hash, *seen);
  }
  for (auto& [look, done] : wanted) done(seen);
}

void Sight::withdraw(uint64_t look) {
  std::function<void(Seen)> done;
  PictureQueue::Id unwanted = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::ranges::find_if(pending_, [&](const auto& one) { return one.second->wanted.contains(look); });
    if (found == pending_.end()) return;
    const std::shared_ptr<Pending> pending = found->second;
    done = std::move(pending->wanted.extract(look).mapped());
    if (pending->wanted.empty()) {
      unwanted = pending->queued;
      pending_.erase(found);
    }
  }
  if (unwanted != 0) queue_->withdraw(unwanted);
  done(error(ErrorKind::kCancelled, "the picture is not wanted any more"));
}

Sight::Seen Sight::look(std::string_view file) {
  std::promise<Seen> seen;
  look(file, [&](Seen result) { seen.set_value(std::move(result)); });
  return seen.get_future().get();
}

Result<uint32_t> count_picture(const store::ModelFiles& found, std::shared_ptr<const gguf::File> file,
                               const text::Tokenizer& tokenizer, std::string_view picture) {
  if (!Sight::has(found, *file))
    return error(ErrorKind::kUsage, "\"{}\" does not see pictures; use a model whose capabilities have \"vision\"",
                 found.name);
  if (!found.projector.empty()) {
    ASSIGN_OR_RETURN(file, gguf::File::open(found.projector));
  }
  ASSIGN_OR_RETURN(const image::Picture decoded,
                   image::decode_confined(std::as_bytes(std::span(picture.data(), picture.size()))));
  ASSIGN_OR_RETURN(const vision::Encoder::Outline outline, vision::Encoder::outline(*file, decoded));
  size_t tokens = 0;
  for (const vision::Piece& piece : outline.pieces)
    tokens += piece.embeddings.empty() ? tokens_beside(tokenizer, piece.text).size()
                                       : piece.embeddings.size() / outline.values;
  return static_cast<uint32_t>(tokens);
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
