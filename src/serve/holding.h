// What a request has of a model: its lease, and the engine's requests that are made of it. Any thread may cancel it.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "fleet/fleet.h"

namespace hearth::serve {

class Holding {
 public:
  using Lease = fleet::Fleet::Lease;

  // False: it was cancelled before, and takes nothing.
  bool take(std::shared_ptr<Lease> lease);
  // The engine has these now; they are cancelled at once if it was cancelled meanwhile.
  void started(std::span<const engine::RequestId> ids);
  void cancel();
  // The model may go from now on.
  void release();

 private:
  std::mutex mutex_;
  bool cancelled_ = false;
  std::shared_ptr<Lease> lease_;
  std::vector<engine::RequestId> ids_;
};

}  // namespace hearth::serve
