#include "fleet/picture_queue.h"

#include <algorithm>

#include "base/error.h"

namespace hearth::fleet {
namespace {

Error withdrawn() {
  return error(ErrorKind::kCancelled, "the picture is not wanted any more");
}

}  // namespace

PictureQueue::~PictureQueue() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  arrived_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const auto& picture : waiting_) picture->done(withdrawn());
}

PictureQueue::Id PictureQueue::add(std::vector<image::Picture> views, Done done) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::make_shared<Picture>(Picture{++last_, std::move(views), std::move(done)}));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  arrived_.notify_all();
  return last_;
}

std::shared_ptr<PictureQueue::Picture> PictureQueue::remove(Id id) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(waiting_, id, [](const auto& picture) { return picture->id; });
  if (found == waiting_.end()) return nullptr;
  std::shared_ptr<Picture> picture = std::move(*found);
  waiting_.erase(found);
  return picture;
}

void PictureQueue::withdraw(Id id) {
  if (const auto picture = remove(id)) picture->done(withdrawn());
}

// At least one view; of those behind it as many as are small enough together.
std::vector<PictureQueue::Taken> PictureQueue::take() {
  std::vector<Taken> taken;
  uint32_t rows = 0;
  for (const auto& picture : waiting_)
    for (; picture->taken < picture->views.size(); ++picture->taken) {
      const uint32_t more = encode_.rows(picture->views[picture->taken]);
      if (!taken.empty() && rows + more > vision::kRows_together) return taken;
      rows += more;
      taken.push_back({picture, picture->taken});
    }
  return taken;
}

void PictureQueue::put(const std::vector<Taken>& taken, std::vector<vision::Encoder::Embeddings> results) {
  for (size_t i = 0; i < taken.size(); ++i) {
    Picture& picture = *taken[i].picture;
    if (results[i]) picture.embeddings.push_back(std::move(*results[i]));
    const bool complete = picture.embeddings.size() == picture.views.size();
    if (results[i] && !complete) continue;
    if (remove(picture.id) == nullptr) continue;  // withdrawn, or failed with another view
    picture.done(results[i] ? Result<Embeddings>(std::move(picture.embeddings))
                            : Result<Embeddings>(results[i].error()));
  }
}

void PictureQueue::run() {
  for (;;) {
    std::vector<Taken> taken;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [&] {
        if (!ends_) taken = take();
        return ends_ || !taken.empty();
      });
      if (ends_) return;
    }
    std::vector<const image::Picture*> views;
    for (const Taken& one : taken) views.push_back(&one.picture->views[one.view]);
    std::vector<vision::Encoder::Embeddings> results;
    try {
      results = encode_.run(views);
    } catch (const std::bad_alloc&) {
      results.assign(views.size(), error(ErrorKind::kNoMemory, "memory ran out while a picture was encoded"));
    }
    put(taken, std::move(results));
  }
}

}  // namespace hearth::fleet
