// Dimensions and behaviours of one encoder of pictures, read from its metadata by its family's file.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "device/types.h"
#include "vision/keys.h"

namespace hearth::vision {

struct Spec {
  std::string projector;
  uint32_t image_size = 0, patch = 0;  // pixels of a side
  uint32_t width = 0, heads = 0, layers = 0;
  uint32_t out = 0;  // of an embedding: the text model's width
  float epsilon = 0;
  device::NormKind norm = device::NormKind::kLayer;
  device::Activation activation = device::Activation::kQuickGelu;
  std::array<float, 3> mean{}, deviation{};  // of the values 0 to 1 that pixels are

  bool class_token = false;
  bool two_frames = false;   // a picture is two equal frames of a film: two matrices on its patches
  bool pre_norm = false;     // before the first block
  bool norm_values = false;  // the values' heads, without weights
  float attention_scale = 0;
  device::Rope rope;           // dims 0: none; axis 1: rows, 2: columns
  uint32_t whole_every = 0;    // of so many blocks the last sees all, the others see windows; 0: all see all
  std::vector<uint32_t> seen;  // behind which blocks (0: before the first) the projector reads x besides

  uint32_t head() const { return width / heads; }
};

// What all families have.
Result<Spec> read_spec(const Keys& keys);

}  // namespace hearth::vision
