// What a model sees with: the encoder of its pictures, on a device of its own, and the pictures that it saw last.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cause.h"
#include "engine/engine.h"
#include "fleet/model_options.h"
#include "fleet/picture_queue.h"
#include "gguf/file.h"
#include "models/spec.h"
#include "placement/plan.h"
#include "store/ollama_models.h"
#include "text/tokenizer.h"
#include "vision/encoder.h"

namespace hearth::fleet {

// What a picture becomes in a prompt.
struct SeenPicture {
  struct Part {
    std::vector<text::Token> tokens = {};  // text beside the picture, or for each row any token
    engine::EmbeddedPart embedded = {};    // without values: only text
  };
  std::vector<Part> parts;
  uint32_t tokens = 0;  // in all
  uint64_t bytes = 0;   // of memory
};

class Sight {
 public:
  // Whether a model has an encoder, beside it or in its file.
  static bool has(const store::ModelFiles& found, const gguf::File& file);

  // Loads it to a GPU, if the policy wants one and it has the room, else to the CPU: then cause() says why. `spec`: of
  // the text model. Errors: those of Encoder::load(); kUnsupported where the encoder's embeddings have another width.
  static Result<std::unique_ptr<Sight>> load(const store::ModelFiles& found, std::shared_ptr<const gguf::File> file,
                                             std::shared_ptr<const text::Tokenizer> tokenizer, const models::Spec& spec,
                                             const ModelOptions& options);

  using Seen = Result<std::shared_ptr<const SeenPicture>>;
  // Looks at the picture in a file of any kind that image::decode() reads, by a process of its own. One that was seen
  // lately, or is being looked at for others, is not encoded again. `done` is called once: before this returns, or on a
  // thread that others wait for. Returns a number for withdraw(). Any thread. Errors: those of image::decode_confined()
  // and of the encoder.
  uint64_t look(std::string_view file, std::function<void(Seen)> done);
  // `done` gets kCancelled, unless it has been called or is about to be; others are not disturbed.
  void withdraw(uint64_t look);
  Seen look(std::string_view file);  // waits

  std::string device() const { return device_->facts().name; }
  bool on_gpu() const { return device_->facts().ordinal >= 0; }
  const Cause& cause() const { return cause_; }  // why it is on the CPU; empty: it is not, or no GPU was wanted
  const vision::Memory& memory() const { return memory_; }
  // Where the model is told to be, with the encoder: its memory, and why it is on the CPU, unless more of the model is.
  void add_to(engine::DeviceStatus* devices) const;
  const vision::Spec& spec() const { return encoder_->spec(); }

 private:
  struct Kept {
    std::string hash;
    std::shared_ptr<const SeenPicture> picture;
  };
  // A picture that is being encoded, and who wants it.
  struct Pending {
    PictureQueue::Id queued = 0;
    std::map<uint64_t, std::function<void(Seen)>> wanted;
  };
  Sight() = default;
  std::shared_ptr<const SeenPicture> find(const std::string& hash);  // under the mutex
  std::shared_ptr<const SeenPicture> find_or_join(const std::string& hash, uint64_t look,
                                                  std::function<void(Seen)>& done);
  void keep(const std::string& hash, std::shared_ptr<const SeenPicture> picture);
  void encoded(const std::string& hash, const std::shared_ptr<Pending>& pending, const vision::Views& views,
               Result<PictureQueue::Embeddings> embeddings);
  SeenPicture parts_of(std::vector<vision::Piece> pieces, const std::string& hash) const;

  std::unique_ptr<device::Device> device_;
  std::unique_ptr<vision::Encoder> encoder_;  // after its device: it ends first
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  text::Token placeholder_ = 0;  // for rows of embeddings
  Cause cause_;
  vision::Memory memory_;

  std::mutex mutex_;
  std::list<Kept> kept_;  // the newest first
  uint64_t kept_bytes_ = 0;
  std::map<std::string, std::shared_ptr<Pending>> pending_;  // by hash
  uint64_t last_look_ = 0;

  std::optional<PictureQueue> queue_;  // ends first
};

// Where the encoder of a model would be, in one line, and takes its memory off what is free there, so that a plan
// reckons with it; empty: the model has none. `devices`: GPUs, then the host, whose plan reads its weights in the file.
Result<std::string> plan_encoder(const store::ModelFiles& found, const std::shared_ptr<const gguf::File>& file,
                                 std::vector<placement::DeviceState>* devices);

// How many tokens the picture in a file is in the prompts of a model, which need not be loaded for that. Errors: those
// of image::decode() and of Encoder::load(); kUsage where the model does not see.
Result<uint32_t> count_picture(const store::ModelFiles& found, std::shared_ptr<const gguf::File> file,
                               const text::Tokenizer& tokenizer, std::string_view picture);

// Puts the pictures where their tokens (chat/picture_marks.h) stand in the prompt.
void put_pictures(std::span<const std::shared_ptr<const SeenPicture>> pictures, engine::Request* request);

}  // namespace hearth::fleet
