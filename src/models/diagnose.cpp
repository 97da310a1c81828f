#include "models/diagnose.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/finite.h"
#include "models/sound.h"
#include "models/transformer.h"

namespace hearth::models {
namespace {

// A stage of the forward pass after which the residual stream can be looked at.
struct Stage {
  std::string name;
  std::vector<std::string> tensors;  // their names begin so
  uint32_t device;
  std::function<void(const DeviceStep&)> run;
};

std::vector<Stage> stages_of(const LoadPlan& load_plan, const Shards& shards) {
  const placement::Arrangement& arrangement = shards.arrangement();
  std::vector<Stage> list;
  list.push_back({"the token embeddings", {"token_embd.", "position_embd."}, arrangement.embedding, embed});
  list.push_back({"the inputs of the layers", {"per_layer_", "altup_proj."}, arrangement.embedding, begin_residual});
  for (uint32_t i = 0; i < load_plan.spec.layers; ++i) {
    const std::string block = fmt::format("blk.{}.", i);
    list.push_back({fmt::format("layer {} (attention)", i),
                    {block + "attn", block + "post_attention_norm", block + "altup_", block + "laurel_"},
                    arrangement.layers[i].layer,
                    [&shards, i](const DeviceStep& step) { attention(step, i, shards.cache(i)); }});
    list.push_back({fmt::format("layer {} (feed-forward)", i),
                    {block + "ffn", block + "post_ffw_norm", block + "altup_", block + "inp_gate.", block + "proj.",
                     block + "post_norm"},
                    arrangement.layers[i].experts,
                    [i](const DeviceStep& step) { feed_forward(step, i); }});
  }
  list.push_back({"the sum of the streams", {"altup_unembd_proj."}, arrangement.output, end_residual});
  return list;
}

// The residual stream travels through `x`.
Status run(const LoadPlan& load_plan, const Shards& shards, const device::Batch& batch, const Stage& stage,
           std::span<float> x) {
  device::Device& device = shards.device(stage.device);
  const Workspace& workspace = shards.workspace(stage.device);
  TRY(device::upload_floats(device, x, workspace.x));
  device.begin(batch);
  stage.run({device, load_plan.spec, shards.weights(), workspace, batch});
  const Status fetched = device::download_floats(device, workspace.x, x);
  TRY(device.finish());
  return fetched;
}

// What stands in the place of the embeddings of some rows.
Status replace(const device::Batch& batch, uint32_t width, std::vector<float>& x) {
  for (const device::EmbeddedRows& part : batch.embedded) {
    const std::span values(part.values, size_t{part.rows} * width);
    if (!all_finite(values))
      return error(ErrorKind::kInvalidData, "the rows that were given in place of tokens are not finite numbers");
    std::ranges::copy(values, x.begin() + ptrdiff_t{part.first_row} * width);
  }
  return {};
}

Error blame(const gguf::File& file, const std::string& stage, const std::vector<std::string>& tensors) {
  for (const gguf::Tensor& tensor : file.tensors()) {
    const auto begins = [&](const std::string& name) { return tensor.name.starts_with(name); };
    if (std::ranges::none_of(tensors, begins)) continue;
    std::vector<std::byte> bytes(tensor.bytes);
    if (const Status read = file.read(tensor, 0, bytes); !read) return read.error();
    if (const Status sound = check_sound(file, tensor, bytes); !sound)
      return error(sound.error().kind, "the model's results are not finite numbers from {} on: {}", stage,
                   sound.error().message);
  }
  return error(ErrorKind::kInvalidData,
               "{}: the model's results are not finite numbers from {} on, though its weights there are; the text may "
               "lead to numbers beyond the range of the cache (try --kv-type f32), or memory is faulty",
               file.path(), stage);
}

}  // namespace

Error diagnose(const LoadPlan& load_plan, const Shards& shards, const device::Batch& batch) {
  std::vector<float> x(size_t{batch.rows()} * residual_width(load_plan.spec));
  bool embeddings = true;
  for (const Stage& stage : stages_of(load_plan, shards)) {
    if (const Status status = run(load_plan, shards, batch, stage, x); !status) return status.error();
    if (!all_finite(x)) return blame(shards.file(), stage.name, stage.tensors);
    if (embeddings)
      if (const Status replaced = replace(batch, load_plan.spec.width, x); !replaced) return replaced.error();
    embeddings = false;
  }
  std::vector<std::string> output{"output"};
  if (!has_own_output(shards.file())) output.push_back("token_embd.");
  return blame(shards.file(), "the output layer", output);
}

}  // namespace hearth::models
