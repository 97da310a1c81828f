#include "http/connection.h"

#include <fmt/format.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <new>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "http/framing.h"
#include "http/outbox.h"
#include "http/request_reader.h"
#include "http/transport.h"

namespace hearth::http {
namespace {

namespace net = boost::asio;
using tcp = net::ip::tcp;
using Clock = std::chrono::steady_clock;
using Code = boost::system::error_code;

constexpr size_t kId_digits = 32;
constexpr size_t kWrite_bytes = 64 << 10;

class ConnectionImpl : public Connection, public std::enable_shared_from_this<ConnectionImpl> {
 public:
  ConnectionImpl(std::shared_ptr<Shared> shared, tcp::socket socket)
      : shared_(std::move(shared)),
        settings_(shared_->settings),
        transport_(std::move(socket), shared_->tls()),
        timer_(transport_.executor()),
        ping_timer_(transport_.executor()),
        reader_(settings_) {}
  ~ConnectionImpl() override {
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->connections.erase(this);
    }
    end_exchange();
  }

  void begin() {
    Code ignored;
    transport_.socket().set_option(tcp::no_delay(true), ignored);
    transport_.socket().set_option(net::socket_base::keep_alive(true), ignored);
    describe_ends();
    if (!transport_.encrypted()) return expect_request();
    set_deadline(settings_.header);
    transport_.handshake([self = shared_from_this()](const Code& error) {
      if (self->phase_ == Phase::kClosed) return;
      if (error) return self->close();
      self->expect_request();
    });
  }

  void drain() override {
    on_strand([](ConnectionImpl& c) {
      if (c.phase_ == Phase::kBody) return c.refuse({503, "the server is shutting down"});
      if (c.phase_ == Phase::kHandshake || c.phase_ == Phase::kIdle || c.phase_ == Phase::kHeader) c.close();
    });
  }
  void shed() override {
    on_strand([](ConnectionImpl& c) {
      if (c.phase_ == Phase::kIdle && c.served_) c.close();
    });
  }
  void close_now() override {
    on_strand([](ConnectionImpl& c) { c.close(); });
  }

 private:
  enum class Phase { kHandshake, kIdle, kHeader, kBody, kAnswering, kLingering, kClosed };

  template <class Call>
  void on_strand(Call call) {
    net::post(transport_.executor(), [self = shared_from_this(), call] { call(*self); });
  }

  void describe_ends() {
    Code error;
    const tcp::endpoint remote = transport_.socket().remote_endpoint(error);
    if (!error) {
      ends_.remote_address = remote.address().to_string();
      ends_.remote_loopback = remote.address().is_loopback();
    }
    const tcp::endpoint local = transport_.socket().local_endpoint(error);
    if (!error) ends_.local_loopback = local.address().is_loopback();
  }

  // --- times

  void set_deadline(std::chrono::milliseconds from_now) {
    deadline_ = Clock::now() + from_now;
    if (!timer_armed_ || deadline_ < timer_.expiry()) arm_timer();
  }
  void clear_deadline() { deadline_ = Clock::time_point::max(); }

  void arm_timer() {
    timer_armed_ = true;
    timer_.expires_at(deadline_);
    timer_.async_wait([self = shared_from_this()](const Code& error) {
      if (error) return;  // it was armed again, or the connection is closed
      self->timer_armed_ = false;
      if (self->deadline_ == Clock::time_point::max()) return;
      if (Clock::now() < self->deadline_) return self->arm_timer();
      self->on_deadline();
    });
  }

  void on_deadline() {
    switch (phase_) {
      case Phase::kHeader:
      case Phase::kBody:
        return refuse({408, "the request did not arrive in time"});
      default:
        close();
    }
  }

  void arm_ping() {
    if (ping_.interval.count() == 0 || ping_.bytes.empty() || framing_->drops_content()) return;
    ping_timer_.expires_at(last_sent_ + ping_.interval);
    ping_timer_.async_wait([self = shared_from_this(), outbox = outbox_](const Code& error) {
      if (error || self->outbox_ != outbox || outbox == nullptr) return;
      if (Clock::now() - self->last_sent_ >= self->ping_.interval) {
        if (!self->writing_) self->send_ping();
        self->last_sent_ = Clock::now();
      }
      self->arm_ping();
    });
  }

  // --- reading

  void expect_request() {
    phase_ = Phase::kIdle;
    reader_.expect();
    if (shared_->draining) return close();
    set_deadline(served_ ? settings_.idle : settings_.header);
    on_bytes();
  }

  void read_more() {
    if (reading_ || phase_ == Phase::kClosed || read_ended_) return;
    if (phase_ == Phase::kAnswering && reader_.waiting_bytes() >= settings_.pipelined_bytes) return;
    reading_ = true;
    transport_.read_some(reader_.space(), [self = shared_from_this()](const Code& error, size_t bytes) {
      self->reading_ = false;
      if (error) return self->on_read_end();
      self->on_chunk(bytes);
    });
  }

  // The client has closed its side, or all of the connection; the system does not say which.
  void on_read_end() {
    read_ended_ = true;
    switch (phase_) {
      case Phase::kAnswering:
        if (outbox_) {
          const auto outbox = outbox_;
          outbox->set_gone();
        }
        return;
      case Phase::kClosed:
        return;
      default:
        close();
    }
  }

  void on_chunk(size_t bytes) {
    try {
      reader_.commit(bytes);
      on_bytes();
    } catch (const std::bad_alloc&) {
      refuse({503, "there is not enough memory to read the request"});
    }
  }

  void on_bytes() {
    switch (phase_) {
      case Phase::kIdle:
        if (reader_.waiting_bytes() == 0) return read_more();
        phase_ = Phase::kHeader;
        set_deadline(settings_.header);
        return parse();
      case Phase::kHeader:
      case Phase::kBody:
        return parse();
      case Phase::kAnswering:
        return read_more();
      case Phase::kLingering:
        reader_.drop_waiting();
        return read_more();
      case Phase::kHandshake:
      case Phase::kClosed:
        return;
    }
  }

  void parse() {
    using Progress = RequestReader::Progress;
    for (;;) {
      const Progress progress = reader_.advance();
      if (progress == Progress::kRefused) return refuse(reader_.refusal());
      if (progress == Progress::kRequest) return on_request();
      if (progress == Progress::kMore) {
        if (phase_ == Phase::kBody) extend_body_deadline();
        return read_more();
      }
      if (!on_head()) return;
    }
  }

  // False if the request is answered without its body.
  bool on_head() {
    head_ = ends_;
    head_.id = random_hex(kId_digits);
    reader_.read_head(head_);
    asked_framing_ = reader_.framing();
    told_always_ = {};
    if (shared_->draining) {
      refuse({503, "the server is shutting down"});
      return false;
    }
    auto admitted = shared_->handler.admit(head_);
    if (auto* response = std::get_if<Response>(&admitted)) {
      answer_unread(std::move(*response));
      return false;
    }
    auto& admission = std::get<Admission>(admitted);
    told_always_ = std::move(admission.headers);
    if (!reader_.admit_body(admission.most_body_bytes, std::move(admission.body_sink))) {
      refuse(reader_.refusal());
      return false;
    }
    if (!answer_expectation()) return false;
    phase_ = Phase::kBody;
    progress_bytes_ = 0;
    set_deadline(settings_.body_progress);
    return true;
  }

  bool answer_expectation() {
    const std::string_view expectation = head_.headers.get("Expect");
    if (expectation.empty() || asked_framing_.old_version) return true;
    if (!same_ignoring_case(expectation, "100-continue")) {
      refuse({417, "the only expectation that is known is 100-continue"});
      return false;
    }
    if (reader_.waiting_bytes() == 0) send_wire("HTTP/1.1 100 Continue\r\n\r\n");
    return true;
  }

  void extend_body_deadline() {
    progress_bytes_ += reader_.take_body_progress();
    if (progress_bytes_ < settings_.body_progress_bytes) return;
    progress_bytes_ = 0;
    set_deadline(settings_.body_progress);
  }

  // --- answering

  std::shared_ptr<Exchange> open_exchange() {
    phase_ = Phase::kAnswering;
    clear_deadline();
    ++shared_->answering;
    status_ = 0;
    asked_ = Clock::now();
    outbox_ = std::make_shared<Outbox>(
        [weak = weak_from_this(), shared = shared_] {
          const auto self = weak.lock();
          if (self) net::post(self->transport_.executor(), [self] { self->flush(); });
        },
        settings_.unsent_bytes);
    return make_exchange(outbox_, [shared = shared_, head = head_] {
      log_error("{} {}: nobody answered", head.method, head.path);
      return shared->handler.problem(head, 500,
                                     "the request was dropped inside the server; this is an error of hearth's");
    });
  }

  void on_request() {
    ++shared_->requests;
    const auto exchange = open_exchange();
    Body& body = reader_.body();
    if (const Status finished = body.finish(); !finished) {
      const Error& why = finished.error();
      return exchange->send(shared_->handler.problem(head_, RequestReader::status_of(why), why.message));
    }
    try {
      shared_->handler.handle(Request{head_, std::move(body)}, exchange);
    } catch (const std::exception& fault) {
      exchange->send(shared_->handler.problem(head_, 500, fmt::format("the request failed: {}", fault.what())));
    }
    read_more();  // to see whether the client goes
  }

  // Refuses what is not read to its end: the rest is thrown away.
  void refuse(const RequestReader::Refusal& refusal) {
    if (phase_ == Phase::kAnswering || phase_ == Phase::kClosed || phase_ == Phase::kLingering) return close();
    if (!reader_.has_head()) {
      head_ = ends_;
      told_always_ = {};
      asked_framing_ = {};
    }
    answer_unread(shared_->handler.problem(head_, refusal.status, refusal.message));
  }
  void answer_unread(Response response) {
    lingers_ = !reader_.has_body();
    if (lingers_) asked_framing_.keeps_alive = false;
    open_exchange()->send(std::move(response));
    read_more();
  }

  void flush() {
    try {
      send_batches();
    } catch (const std::bad_alloc&) {
      log_error("a connection is closed: there is not enough memory for its answer");
      close();
    }
  }

  // All that there is, as long as the system takes it at once.
  void send_batches() {
    while (phase_ == Phase::kAnswering && !writing_ && outbox_ != nullptr) {
      const auto outbox = outbox_;
      auto batch = outbox->take();
      if (!batch) return;
      if (batch->aborted && batch->bytes.empty()) return close();
      if (batch->head) begin_answer(*batch);
      framing_->append(batch->bytes, wire_);
      if (batch->last) framing_->append_end(wire_);
      last_ = batch->last;
      aborted_ = batch->aborted;
      if (send_some()) on_wire_sent();
    }
  }

  void begin_answer(Outbox::Batch& batch) {
    if (shared_->draining) asked_framing_.keeps_alive = false;
    status_ = batch.head->status;
    framing_.emplace(batch, told_always_, asked_framing_);
    asked_framing_.keeps_alive = framing_->keeps_alive();
    wire_ += framing_->head();
    ping_ = std::move(batch.ping);
    last_sent_ = Clock::now();
    arm_ping();
  }

  void send_ping() {
    framing_->append(ping_.bytes, wire_);
    if (send_some()) on_wire_sent();
  }

  // Before an answer begins.
  void send_wire(std::string_view bytes) {
    CHECK(!writing_);
    wire_ = bytes;
    if (send_some()) on_wire_sent();
  }

  // Whether all of `wire_` is sent; otherwise it goes on when the client reads.
  bool send_some() {
    Code error;
    while (wire_sent_ < wire_.size()) {
      const net::const_buffer rest(wire_.data() + wire_sent_, std::min(wire_.size() - wire_sent_, kWrite_bytes));
      const size_t sent = transport_.write_now(rest, error);
      wire_sent_ += sent;
      if (error == net::error::would_block) {
        wait_to_send(rest);
        return false;
      }
      if (error) {
        close();
        return false;
      }
    }
    return true;
  }

  void wait_to_send(net::const_buffer rest) {
    writing_ = true;
    if (phase_ == Phase::kAnswering) set_deadline(settings_.write_progress);
    transport_.write_some(rest, [self = shared_from_this()](const Code& error, size_t bytes) {
      self->writing_ = false;
      if (error) return self->close();
      self->wire_sent_ += bytes;
      if (!self->send_some()) return;
      self->on_wire_sent();
      self->flush();
    });
  }

  void on_wire_sent() {
    wire_.clear();
    wire_sent_ = 0;
    last_sent_ = Clock::now();
    if (phase_ != Phase::kAnswering) return;
    clear_deadline();
    if (aborted_) return close();
    if (last_) return end_answer();
    if (outbox_) outbox_->sent();
  }

  void end_answer() {
    served_ = true;
    end_exchange();
    last_ = false;
    if (read_ended_) return close();
    const bool keeps_alive = asked_framing_.keeps_alive;
    if (lingers_ || (!keeps_alive && reader_.waiting_bytes() > 0)) return linger();
    if (!keeps_alive) return transport_.encrypted() ? linger() : close();  // a reader would take it for cut off
    expect_request();
  }

  void end_exchange() {
    ping_ = {};
    ping_timer_.cancel();
    if (const auto outbox = std::exchange(outbox_, nullptr)) {
      --shared_->answering;
      outbox->set_gone();
      if (shared_->handler.answered) shared_->handler.answered(head_, status_, Clock::now() - asked_);
    }
  }

  // Closing at once would reset the connection while the client still sends, and it would never read the answer.
  void linger() {
    phase_ = Phase::kLingering;
    transport_.end_writing([self = shared_from_this()] { self->close(); });
    set_deadline(settings_.linger);
    on_bytes();
  }

  void close() {
    if (phase_ == Phase::kClosed) return;
    phase_ = Phase::kClosed;
    transport_.close();
    timer_.cancel();
    end_exchange();
  }

  const std::shared_ptr<Shared> shared_;
  const Settings& settings_;
  Transport transport_;
  net::steady_timer timer_, ping_timer_;
  Clock::time_point deadline_ = Clock::time_point::max(), last_sent_{};
  bool timer_armed_ = false;

  RequestHead ends_;  // what of a head belongs to the connection
  Phase phase_ = Phase::kHandshake;
  RequestReader reader_;
  RequestHead head_;
  Headers told_always_;        // see Admission
  size_t progress_bytes_ = 0;  // of the body, since its deadline was set
  bool reading_ = false, read_ended_ = false;
  bool served_ = false;         // a request was answered
  AskedFraming asked_framing_;  // of the present request; keeps_alive also as the answer has it
  bool lingers_ = false;        // the request's rest is not read

  std::shared_ptr<Outbox> outbox_;
  unsigned status_ = 0;  // of the present answer; 0: it has not begun
  Clock::time_point asked_{};
  Ping ping_;
  std::string wire_;  // what is being written
  size_t wire_sent_ = 0;
  std::optional<Framing> framing_;  // of the present answer, once it has begun
  bool writing_ = false, last_ = false, aborted_ = false;
};

}  // namespace

std::vector<std::shared_ptr<Connection>> Shared::all() {
  std::vector<std::shared_ptr<Connection>> list;
  const std::lock_guard lock(mutex);
  for (const auto& [key, weak] : connections) {
    if (auto connection = weak.lock()) list.push_back(std::move(connection));
  }
  return list;
}

void Connection::start(std::shared_ptr<Shared> shared, tcp::socket socket) {
  const auto executor = socket.get_executor();
  auto connection = std::make_shared<ConnectionImpl>(shared, std::move(socket));
  {
    const std::lock_guard lock(shared->mutex);
    shared->connections[connection.get()] = connection;
  }
  net::dispatch(executor, [connection] { connection->begin(); });
}

}  // namespace hearth::http
