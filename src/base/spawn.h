// What posix_spawn(3) is told of a child that runs beside this process.
#pragma once

#include <spawn.h>

namespace hearth {

// A process group of its own, so that all of it can be ended, and signals as a new program expects them.
class SpawnSettings {
 public:
  SpawnSettings();
  ~SpawnSettings();
  SpawnSettings(const SpawnSettings&) = delete;

  // In the child descriptor `to` is what `from` is here.
  void give(int from, int to) { ::posix_spawn_file_actions_adddup2(&actions_, from, to); }
  posix_spawn_file_actions_t* actions() { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace hearth
