// Pictures that wait for the encoder, of all requests, and the thread on which it works: views that are small go
// through it together, whosever they are, in the order in which they came.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "vision/encoder.h"

namespace hearth::fleet {

class PictureQueue {
 public:
  using Id = uint64_t;
  using Embeddings = std::vector<std::vector<float>>;    // of each view of a picture
  using Done = std::function<void(Result<Embeddings>)>;  // on the queue's thread
  using Views = std::span<const image::Picture* const>;
  struct Encode {
    std::function<uint32_t(const image::Picture&)> rows;  // Encoder::rows_of()
    std::function<std::vector<vision::Encoder::Embeddings>(Views)> run;
  };

  explicit PictureQueue(Encode encode) : encode_(std::move(encode)) {}
  // What is being encoded ends; for those that wait `done` gets kCancelled.
  ~PictureQueue();
  PictureQueue(const PictureQueue&) = delete;

  // `done` is called once. Any thread.
  Id add(std::vector<image::Picture> views, Done done);
  // Nobody wants it any more: what is not encoded yet will not be, and `done` gets kCancelled before this returns,
  // unless it was called or is about to be. Others are not disturbed.
  void withdraw(Id id);

 private:
  struct Picture {
    Id id;
    std::vector<image::Picture> views;
    Done done;
    size_t taken = 0;  // of the views, from the first
    Embeddings embeddings = {};
  };
  struct Taken {
    std::shared_ptr<Picture> picture;
    size_t view;
  };

  void run();
  std::vector<Taken> take();  // under the mutex
  void put(const std::vector<Taken>& taken, std::vector<vision::Encoder::Embeddings> results);
  std::shared_ptr<Picture> remove(Id id);

  const Encode encode_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::list<std::shared_ptr<Picture>> waiting_;  // of which not all views are encoded
  Id last_ = 0;
  bool ends_ = false;
  std::thread thread_;  // started with the first picture
};

}  // namespace hearth::fleet
