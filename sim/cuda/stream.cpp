// Streams, events and capture.
#include <algorithm>
#include <thread>

#include "sim/cuda/functions.h"
#include "sim/cuda/graph.h"
#include "sim/cuda/state.h"

namespace hearth::sim::cuda {
namespace {

const auto kLegacyHandle = reinterpret_cast<CUstream>(0x1);
const auto kPerThreadHandle = reinterpret_cast<CUstream>(0x2);

bool in_capture(const Stream& stream) {
  return stream.capture != nullptr;
}

// Whether a blocking stream of the context is being captured: then the legacy stream may not be used.
bool blocking_capture(const Context& context) {
  bool found = false;
  Driver::instance().streams.for_each([&](CUstream, const std::shared_ptr<Stream>& stream) {
    const bool blocking = (stream->flags & CU_STREAM_NON_BLOCKING) == 0;
    if (in_capture(*stream) && blocking && stream->context.lock().get() == &context) {
      stream->capture->invalid = true;
      found = true;
    }
  });
  return found;
}

}  // namespace

std::uint64_t this_thread() {
  return std::hash<std::thread::id>{}(std::this_thread::get_id());
}

StreamRef stream_of(CUstream handle) {
  Driver& driver = Driver::instance();
  if (handle == nullptr || handle == kLegacyHandle || handle == kPerThreadHandle) {
    Current current = current_context();
    if (current.result != CUDA_SUCCESS) return {current.result, nullptr, nullptr};
    const auto& stream = handle == kPerThreadHandle ? current.context->per_thread : current.context->legacy;
    if (handle != kPerThreadHandle && blocking_capture(*current.context)) {
      return {CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, nullptr, nullptr};
    }
    return {CUDA_SUCCESS, stream, current.context};
  }
  const std::shared_ptr<Stream> stream = driver.streams.find(handle);
  if (stream == nullptr) return {CUDA_ERROR_INVALID_HANDLE, nullptr, nullptr};
  const std::shared_ptr<Context> context = stream->context.lock();
  if (context == nullptr) return {CUDA_ERROR_CONTEXT_IS_DESTROYED, nullptr, nullptr};
  return {driver.state_of(*context), stream, context};
}

CUresult submit(const StreamRef& ref, Operation operation) {
  if (in_capture(*ref.stream)) return capture_operation(*ref.stream, std::move(operation));
  Work work;
  work.step = [operation = std::move(operation)](Context& context, CUresult& result) {
    result = execute(operation, context);
    return true;
  };
  Driver& driver = Driver::instance();
  driver.scheduler.enqueue(ref.stream, std::move(work));
  return CUDA_SUCCESS;
}

CUresult submit_and_wait(const std::shared_ptr<Context>& context, Operation operation) {
  const CUresult forbidden = forbid_unsafe_call();
  if (forbidden != CUDA_SUCCESS) return forbidden;
  if (blocking_capture(*context)) return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  const CUresult queued = submit({CUDA_SUCCESS, context->legacy, context}, std::move(operation));
  if (queued != CUDA_SUCCESS) return queued;
  Driver& driver = Driver::instance();
  driver.scheduler.finish(context->legacy->last);
  return driver.state_of(*context);
}

CUresult synchronize(Context& context) {
  Driver& driver = Driver::instance();
  std::vector<Ticket> tickets{context.legacy->last, context.per_thread->last};
  driver.streams.for_each([&](CUstream, const std::shared_ptr<Stream>& stream) {
    if (stream->context.lock().get() == &context) tickets.push_back(stream->last);
  });
  for (const Ticket& ticket : tickets) driver.scheduler.finish(ticket);
  return driver.state_of(context);
}

CUresult forbid_in_capture(const Stream& stream) {
  if (!in_capture(stream)) return CUDA_SUCCESS;
  stream.capture->invalid = true;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult forbid_unsafe_call() {
  CUresult result = CUDA_SUCCESS;
  Driver::instance().streams.for_each([&](CUstream, const std::shared_ptr<Stream>& stream) {
    if (!in_capture(*stream) || stream->capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED) return;
    const bool ours = stream->capture->thread == this_thread();
    if (!ours && stream->capture->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) return;
    stream->capture->invalid = true;
    result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  });
  return result;
}

namespace api {

CUresult cuStreamCreate(CUstream* out, unsigned int flags) {
  CURRENT_CONTEXT(context);
  if (out == nullptr || (flags & ~static_cast<unsigned>(CU_STREAM_NON_BLOCKING)) != 0) return CUDA_ERROR_INVALID_VALUE;
  Driver& driver = Driver::instance();
  auto stream = std::make_shared<Stream>();
  stream->context = context;
  stream->flags = flags;
  stream->weight = driver.scheduler.new_weight();
  *out = driver.streams.add(std::move(stream));
  return CUDA_SUCCESS;
}

CUresult cuStreamCreateWithPriority(CUstream* out, unsigned int flags, int) {
  return cuStreamCreate(out, flags);
}

CUresult cuStreamDestroy(CUstream handle) {
  const StreamRef ref = stream_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  // The work that is queued is still done: the scheduler keeps the stream until then.
  return Driver::instance().streams.remove(handle) != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuStreamSynchronize(CUstream handle) {
  const StreamRef ref = stream_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  const CUresult forbidden = forbid_in_capture(*ref.stream);
  if (forbidden != CUDA_SUCCESS) return forbidden;
  Driver& driver = Driver::instance();
  driver.scheduler.finish(ref.stream->last);
  return driver.state_of(*ref.context);
}

CUresult cuStreamQuery(CUstream handle) {
  const StreamRef ref = stream_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  const CUresult forbidden = forbid_in_capture(*ref.stream);
  if (forbidden != CUDA_SUCCESS) return forbidden;
  Driver& driver = Driver::instance();
  const Ticket last = ref.stream->last;
  if (last != nullptr && !last->done) driver.scheduler.advance();  // who asks again and again must see progress
  const CUresult state = driver.state_of(*ref.context);
  if (state != CUDA_SUCCESS) return state;
  return last == nullptr || last->done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent event_handle, unsigned int flags) {
  const StreamRef ref = stream_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  Driver& driver = Driver::instance();
  const std::shared_ptr<Event> event = driver.events.find(event_handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (flags > 1) return CUDA_ERROR_INVALID_VALUE;
  Stream& stream = *ref.stream;
  if (event->capture != nullptr) {
    if (in_capture(stream) && stream.capture != event->capture) return CUDA_ERROR_STREAM_CAPTURE_MERGE;
    if (!in_capture(stream)) {
      if (stream.legacy) return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
      stream.capture = event->capture;
      stream.tail.clear();
      event->capture->members.push_back(ref.stream);
    }
    for (const auto& node : event->tail) {
      if (std::find(stream.tail.begin(), stream.tail.end(), node) == stream.tail.end()) stream.tail.push_back(node);
    }
    return CUDA_SUCCESS;
  }
  if (in_capture(stream)) return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  if (event->recorded == nullptr || event->recorded->done) return CUDA_SUCCESS;
  Work work;
  work.waits.push_back(event->recorded);
  work.step = [](Context&, CUresult&) { return true; };
  driver.scheduler.enqueue(ref.stream, std::move(work));
  return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode) {
  const StreamRef ref = stream_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  if (ref.stream->legacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (in_capture(*ref.stream)) return CUDA_ERROR_ILLEGAL_STATE;
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  auto capture = std::make_shared<Capture>();
  capture->origin = ref.stream;
  capture->mode = mode;
  capture->thread = this_thread();
  capture->members.push_back(ref.stream);
  ref.stream->capture = std::move(capture);
  ref.stream->tail.clear();
  return CUDA_SUCCESS;
}

namespace {

// Every node of the capture must be one that the origin's last nodes depend on: else a stream was not joined.
bool all_joined(const Capture& capture, const Stream& origin) {
  std::vector<std::shared_ptr<GraphNode>> open = origin.tail;
  std::set<const GraphNode*> reached;
  while (!open.empty()) {
    const std::shared_ptr<GraphNode> node = open.back();
    open.pop_back();
    if (!reached.insert(node.get()).second) continue;
    open.insert(open.end(), node->dependencies.begin(), node->dependencies.end());
  }
  return reached.size() == capture.graph->nodes.size();
}

}  // namespace

CUresult cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  const StreamRef ref = stream_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *graph = nullptr;
  const std::shared_ptr<Capture> capture = ref.stream->capture;
  if (capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->origin.lock() != ref.stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != this_thread()) {
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  }
  const bool joined = all_joined(*capture, *ref.stream);
  for (const auto& member : capture->members) {
    if (const auto stream = member.lock()) {
      stream->capture = nullptr;
      stream->tail.clear();
    }
  }
  if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (!joined) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  Driver& driver = Driver::instance();
  *graph = driver.graphs.add(capture->graph);
  for (const auto& node : capture->graph->nodes) node->handle = driver.nodes.add(node);
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
  const StreamRef ref = stream_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *status = !in_capture(*ref.stream)       ? CU_STREAM_CAPTURE_STATUS_NONE
            : ref.stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                           : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent* out, unsigned int flags) {
  CURRENT_CONTEXT(context);
  constexpr unsigned kKnown = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING;
  if (out == nullptr || (flags & ~kKnown) != 0) return CUDA_ERROR_INVALID_VALUE;
  auto event = std::make_shared<Event>();
  event->context = context;
  event->flags = flags;
  *out = Driver::instance().events.add(std::move(event));
  return CUDA_SUCCESS;
}

namespace {

struct EventRef {
  CUresult result;
  std::shared_ptr<Event> event;
};
EventRef event_of(CUevent handle) {
  Driver& driver = Driver::instance();
  const std::shared_ptr<Event> event = driver.events.find(handle);
  if (event == nullptr) return {CUDA_ERROR_INVALID_HANDLE, nullptr};
  const std::shared_ptr<Context> context = event->context.lock();
  if (context == nullptr) return {CUDA_ERROR_CONTEXT_IS_DESTROYED, nullptr};
  return {driver.state_of(*context), event};
}

}  // namespace

CUresult cuEventDestroy(CUevent handle) {
  const EventRef ref = event_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  Driver::instance().events.remove(handle);
  return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent handle, CUstream stream) {
  const EventRef found = event_of(handle);
  if (found.result != CUDA_SUCCESS) return found.result;
  const StreamRef ref = stream_of(stream);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  Event& event = *found.event;
  if (event.context.lock() != ref.context) return CUDA_ERROR_INVALID_HANDLE;
  if (in_capture(*ref.stream)) {
    event.capture = ref.stream->capture;
    event.tail = ref.stream->tail;
    return CUDA_SUCCESS;
  }
  event.capture = nullptr;
  event.tail.clear();
  Work work;
  work.step = [](Context&, CUresult&) { return true; };
  event.recorded = Driver::instance().scheduler.enqueue(ref.stream, std::move(work));
  return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent handle) {
  const EventRef ref = event_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  if (ref.event->capture != nullptr) return CUDA_ERROR_CAPTURED_EVENT;
  const Ticket ticket = ref.event->recorded;
  if (ticket == nullptr || ticket->done) return CUDA_SUCCESS;
  Driver::instance().scheduler.advance();
  const CUresult state = event_of(handle).result;
  if (state != CUDA_SUCCESS) return state;
  return ticket->done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent handle) {
  const EventRef ref = event_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  if (ref.event->capture != nullptr) return CUDA_ERROR_CAPTURED_EVENT;
  Driver::instance().scheduler.finish(ref.event->recorded);
  return event_of(handle).result;
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent from_handle, CUevent to_handle) {
  const EventRef from = event_of(from_handle);
  if (from.result != CUDA_SUCCESS) return from.result;
  const EventRef to = event_of(to_handle);
  if (to.result != CUDA_SUCCESS) return to.result;
  if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const unsigned flags = from.event->flags | to.event->flags;
  if ((flags & CU_EVENT_DISABLE_TIMING) != 0 || !from.event->recorded || !to.event->recorded) {
    return CUDA_ERROR_INVALID_HANDLE;
  }
  if (!from.event->recorded->done || !to.event->recorded->done) return CUDA_ERROR_NOT_READY;
  *milliseconds = static_cast<float>(to.event->recorded->time_ms - from.event->recorded->time_ms);
  return CUDA_SUCCESS;
}

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void* data) {
  const StreamRef ref = stream_of(stream);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return submit(ref, HostCall{function, data});
}

}  // namespace api
}  // namespace hearth::sim::cuda
