#include "serve/long_work.h"

#include <system_error>

namespace hearth::serve {

void LongWork::collect_done() {
  for (auto piece = pieces_.begin(); piece != pieces_.end();) {
    if (!piece->done) {
      ++piece;
      continue;
    }
    piece->thread.join();
    piece = pieces_.erase(piece);
  }
}

std::optional<api::Cancel> LongWork::start(Work work) {
  const std::lock_guard lock(mutex_);
  collect_done();
  if (ends_ || pieces_.size() >= most_) return std::nullopt;
  Piece& piece = pieces_.emplace_back();
  const auto cancelled = piece.cancelled;
  try {
    piece.thread = std::thread([&piece, cancelled, work = std::move(work)] {
      work(*cancelled);
      piece.done = true;
    });
  } catch (const std::system_error&) {
    pieces_.pop_back();
    return std::nullopt;
  }
  return [cancelled] { *cancelled = true; };
}

void LongWork::stop() {
  std::unique_lock lock(mutex_);
  ends_ = true;
  for (Piece& piece : pieces_) *piece.cancelled = true;
  for (Piece& piece : pieces_) piece.thread.join();
  pieces_.clear();
}

}  // namespace hearth::serve
