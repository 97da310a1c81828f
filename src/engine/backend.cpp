#include "engine/backend.h"

#include "models/model.h"

namespace hearth::engine {

Backend backend_of(models::Model& model) {
  Backend backend;
  backend.vocabulary = model.spec().vocabulary;
  backend.context = model.options().context;
  backend.pages = model.options().pages;
  backend.page_group = model.page_group();
  backend.batch_rows = model.options().batch_rows;
  backend.logit_rows = model.options().logit_rows;
  backend.sequences = model.options().sequences;
  backend.width = model.spec().width;
  backend.forward = [&model](const device::Batch& batch, device::Readout& readout) {
    return model.forward(batch, readout);
  };
  backend.diagnose = [&model](const device::Batch& batch) { return model.diagnose(batch); };
  backend.most_candidates = [&model] { return model.most_candidates(); };
  backend.read_logits = [&model](uint32_t row, std::span<float> logits) { return model.read_logits(row, logits); };
  backend.keep_pages = [&model](const std::vector<bool>& live) { model.keep_pages(live); };
  backend.rearrange = [&model](const placement::Arrangement& target) { return model.rearrange(target); };
  return backend;
}

}  // namespace hearth::engine
