#include "config/table.h"

#include <algorithm>
#include <charconv>
#include <deque>

#include "base/duration.h"
#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "config/alias.h"
#include "config/kept.h"
#include "config/network.h"
#include "config/origin.h"
#include "neighbours/neighbours.h"

namespace hearth::config {
namespace {

constexpr uint16_t kPort = 11434;
constexpr std::string_view kLevels[] = {"debug", "info", "warn", "error", "off"};

template <class T>
using Member = T& (*)(Settings& settings);

// A member of what is not to be changed.
template <class T>
const T& read(Member<T> member, const Settings& settings) {
  return member(const_cast<Settings&>(settings));
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> parse_list(std::string_view text) {
  std::vector<std::string> list;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view entry = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (!entry.empty()) list.emplace_back(entry);
  }
  return list;
}

Setting text(const char* key, Member<std::string> member, const char* summary) {
  return {.key = key,
          .ollama = {},
          .summary = summary,
          .set = [member](std::string_view value, Settings& settings) -> Status {
            member(settings) = value;
            return {};
          },
          .show = [member](const Settings& settings) { return read(member, settings); }};
}

Setting choice(const char* key, Member<std::string> member, std::vector<std::string> values, const char* summary) {
  Setting row = text(key, member, summary);
  row.set = [member, values = std::move(values)](std::string_view value, Settings& settings) -> Status {
    if (std::ranges::find(values, value) == values.end()) {
      return error(ErrorKind::kUsage, "\"{}\" is none of {}", printable(value), fmt::join(values, ", "));
    }
    member(settings) = value;
    return {};
  };
  return row;
}

Setting list(const char* key, Member<std::vector<std::string>> member, Status (*check)(std::string_view),
             const char* summary) {
  return {
      .key = key,
      .ollama = {},
      .summary = summary,
      .kind = Setting::Kind::kList,
      .set = [member, check](std::string_view value, Settings& settings) -> Status {
        std::vector<std::string> entries = parse_list(value);
        for (const std::string& entry : entries) TRY(check(entry));
        member(settings) = std::move(entries);
        return {};
      },
      .show = [member](const Settings& settings) { return fmt::format("{}", fmt::join(read(member, settings), ",")); }};
}

template <class T>
Setting number(const char* key, Member<T> member, uint64_t least, uint64_t most, const char* summary) {
  return {.key = key,
          .ollama = {},
          .summary = summary,
          .kind = Setting::Kind::kNumber,
          .set = [member, least, most](std::string_view value, Settings& settings) -> Status {
            const auto parsed = parse_number<uint64_t>(value);
            if (!parsed || *parsed < least || *parsed > most) {
              return error(ErrorKind::kUsage, "\"{}\" is no number from {} to {}", printable(value), least, most);
            }
            member(settings) = static_cast<T>(*parsed);
            return {};
          },
          .show = [member](const Settings& settings) { return std::to_string(read(member, settings)); }};
}

Setting toggle(const char* key, Member<bool> member, const char* summary) {
  return {.key = key,
          .ollama = {},
          .summary = summary,
          .kind = Setting::Kind::kSwitch,
          .set = [member](std::string_view value, Settings& settings) -> Status {
            const auto is = [&](std::string_view word) { return same_ignoring_case(value, word); };
            const bool on = is("true") || is("1") || is("on") || is("yes");
            if (!on && !is("false") && !is("0") && !is("off") && !is("no"))
              return error(ErrorKind::kUsage, "\"{}\" is neither true nor false", printable(value));
            member(settings) = on;
            return {};
          },
          .show = [member](const Settings& settings) { return read(member, settings) ? "true" : "false"; }};
}

// Also a number of seconds, as Ollama's variables have it.
template <class T>
Setting duration(const char* key, Member<T> member, bool may_be_negative, const char* summary) {
  using std::chrono::nanoseconds;
  return {.key = key,
          .ollama = {},
          .summary = summary,
          .kind = Setting::Kind::kDuration,
          .set = [member, may_be_negative](std::string_view value, Settings& settings) -> Status {
            const auto whole = parse_number<int64_t>(value);
            const auto parsed = whole ? from_seconds(static_cast<double>(*whole)) : parse_duration(value);
            if (!parsed || (!may_be_negative && parsed->count() < 0)) {
              return error(ErrorKind::kUsage, "\"{}\" is no duration; write one such as \"90s\" or \"1h30m\"",
                           printable(value));
            }
            const nanoseconds taken = parsed->count() < 0 || *parsed == nanoseconds::max() ? nanoseconds(-1) : *parsed;
            member(settings) = std::chrono::duration_cast<T>(may_be_negative ? taken : *parsed);
            return {};
          },
          .show =
              [member](const Settings& settings) {
                const nanoseconds value = read(member, settings);
                return value.count() < 0 ? std::string("-1") : format_duration(value);
              }};
}

// "64 KiB", "1 GiB", "20 MB", or bytes.
std::optional<uint64_t> parse_size(std::string_view value) {
  const size_t digits = std::min(value.find_first_not_of("0123456789"), value.size());
  const auto count = parse_number<uint64_t>(value.substr(0, digits));
  const std::string_view unit = trimmed(value.substr(digits));
  constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
      {"", 1},          {"B", 1},      {"KiB", 1 << 10},  {"MiB", 1 << 20},
      {"GiB", 1 << 30}, {"kB", 1'000}, {"MB", 1'000'000}, {"GB", 1'000'000'000}};
  for (const auto& [name, bytes] : kUnits) {
    if (same_ignoring_case(name, unit) && count && *count <= INT64_MAX / bytes) return *count * bytes;
  }
  return std::nullopt;
}

Setting size(const char* key, Member<size_t> member, size_t least, const char* summary) {
  return {.key = key,
          .ollama = {},
          .summary = summary,
          .kind = Setting::Kind::kSize,
          .set = [member, least](std::string_view value, Settings& settings) -> Status {
            const auto bytes = parse_size(value);
            if (!bytes || *bytes < least) {
              return error(ErrorKind::kUsage, "\"{}\" is no size of {} or more; write one such as \"64 KiB\"",
                           printable(value), size_text(least));
            }
            member(settings) = *bytes;
            return {};
          },
          .show =
              [member](const Settings& settings) {
                const size_t bytes = read(member, settings);
                if (bytes >= 1 << 20 && bytes % (1 << 20) == 0) return fmt::format("{} MiB", bytes >> 20);
                if (bytes >= 1 << 10 && bytes % (1 << 10) == 0) return fmt::format("{} KiB", bytes >> 10);
                return std::to_string(bytes);
              }};
}

Setting listen(const char* summary) {
  return {.key = "listen",
          .ollama = {},
          .summary = summary,
          .kind = Setting::Kind::kList,
          .set = [](std::string_view value, Settings& settings) -> Status {
            std::vector<http::Address> addresses;
            bool tls = false;
            for (const std::string& entry : parse_list(value)) {
              ASSIGN_OR_RETURN(const Host host, parse_host(entry));
              addresses.push_back(host.address);
              tls = tls || host.tls;
            }
            if (addresses.empty()) return error(ErrorKind::kUsage, "there is no address to listen on");
            settings.http.listen = std::move(addresses);
            settings.listens_with_tls = tls;
            return {};
          },
          .show =
              [](const Settings& settings) {
                std::vector<std::string> texts;
                for (const http::Address& address : settings.http.listen) texts.push_back(host_text(address));
                return fmt::format("{}", fmt::join(texts, ","));
              }};
}

Setting log_level(const char* summary) {
  return {.key = "log",
          .ollama = {},
          .summary = summary,
          .set = [](std::string_view value, Settings& settings) -> Status {
            const auto at = std::ranges::find(kLevels, value);
            if (at == std::end(kLevels))
              return error(ErrorKind::kUsage, "\"{}\" is none of {}", printable(value), fmt::join(kLevels, ", "));
            settings.log = static_cast<LogLevel>(at - std::begin(kLevels));
            return {};
          },
          .show = [](const Settings& s) { return std::string(kLevels[static_cast<size_t>(s.log)]); }};
}

Setting named(const char* ollama, Setting row) {
  row.ollama = ollama;
  return row;
}
Setting reloading(Setting row) {
  row.reloads = true;
  return row;
}

std::vector<Setting> make_table() {
  using S = Settings;
  using Milliseconds = std::chrono::milliseconds;
  using Nanoseconds = std::chrono::nanoseconds;
  return {
      named("OLLAMA_HOST", listen("Where to listen: HOST:PORT each; \":PORT\" is all addresses")),
      toggle(
          "open", [](S& s) -> bool& { return s.open; }, "Answer without keys, also where other machines can connect"),
      reloading(named("OLLAMA_ORIGINS",
                      list(
                          "origins", [](S & s) -> auto& { return s.origins; }, check_origin_entry,
                          "Web pages that may ask, beside this machine's: scheme://host[:port], with one *"))),
      reloading(list(
          "trusted_proxies", [](S & s) -> auto& { return s.trusted_proxies; }, check_network,
          "Addresses or networks whose X-Forwarded-For tells who the client is")),
      reloading(list(
          "pictures_from", [](S & s) -> auto& { return s.pictures_from; }, check_site,
          "Sites whose pictures are fetched where a request has an address: scheme://host[:port], with one *")),
      named("OLLAMA_MODELS", text(
                                 "models", [](S & s) -> auto& { return s.models; },
                                 "Folder of models (default: Ollama's, ~/.ollama/models)")),
      list(
          "aliases", [](S & s) -> auto& { return s.aliases; }, check_alias,
          "NAME=MODEL each, NAME with at most one *: the model that answers where none here has the name"),
      list(
          "keep", [](S & s) -> auto& { return s.keep; }, check_kept,
          "Models that are loaded at the start and stay, each NAME [context=N] [parallel=N] [kv_type=q8_0]"),
      text(
          "default_model", [](S & s) -> auto& { return s.default_model; },
          "The model that answers for claude-* and anthropic/*, names that some clients have fixed"),
      text(
          "state", [](S & s) -> auto& { return s.state; },
          "Folder for keys and what else is kept (default: /var/lib/hearth if it can be written, else "
          "~/.local/state/hearth)"),
      reloading(log_level("What the log shows: debug, info, warn, error or off")),
      reloading(
          named("OLLAMA_KEEP_ALIVE", duration<Nanoseconds>(
                                         "keep_alive", [](S & s) -> auto& { return s.keep_alive; }, true,
                                         "How long a model stays loaded after its last request; negative: for ever"))),
      named("OLLAMA_NUM_PARALLEL", number<uint32_t>(
                                       "parallel", [](S & s) -> auto& { return s.parallel; }, 1, 256,
                                       "Answers of one model at the same time")),
      named("OLLAMA_MAX_LOADED_MODELS", number<uint32_t>(
                                            "max_models", [](S & s) -> auto& { return s.max_models; }, 1, 1024,
                                            "Models that are loaded at the same time")),
      named("OLLAMA_MAX_QUEUE",
            number<uint32_t>(
                "queue", [](S & s) -> auto& { return s.queue; }, 1, 1 << 20, "Requests that may wait for one model")),
      named("OLLAMA_CONTEXT_LENGTH", number<uint32_t>(
                                         "context", [](S & s) -> auto& { return s.context; }, 0, 1 << 30,
                                         "Tokens of context of one answer; 0: what the model brings along, else 4096")),
      named("OLLAMA_KV_CACHE_TYPE", choice(
                                        "kv_type", [](S & s) -> auto& { return s.kv_type; }, {"f16", "q8_0", "f32"},
                                        "Type of the key and value cache: f16, q8_0 or f32")),
      choice(
          "gpu", [](S & s) -> auto& { return s.gpu; }, {"auto", "require", "off"},
          "auto: GPUs as far as they hold the model; require: wholly on GPUs, or fail; off: the CPU"),
      number<uint32_t>(
          "threads", [](S & s) -> auto& { return s.threads; }, 0, 4096, "Threads; 0: all that this process may use"),
      text(
          "cpu_isa", [](S & s) -> auto& { return s.cpu_isa; }, "Force an instruction set: amx, avx512, avx2 or generic"),
      choice(
          "mmap", [](S & s) -> auto& { return s.mmap; }, {"auto", "on", "off"},
          "Weights on the CPU: off copies them into memory, on reads them in the mapped file"),
      toggle(
          "experts_last", [](S & s) -> auto& { return s.experts_last; },
          "Where the GPU is too small: expert weights to the CPU before whole layers"),
      list(
          "neighbours", [](S & s) -> auto& { return s.neighbours; }, neighbours::check_neighbour,
          "KIND=URL each: other servers on the GPUs that are asked to unload when memory is short (ollama, hearth, "
          "vllm, "
          "sglang, "
          "localai, comfyui, llama-server, llama-swap, lmstudio)"),
      toggle(
          "ask_busy_neighbours", [](S& s) -> bool& { return s.ask_busy_neighbours; },
          "Ask neighbours also while they answer, or do not tell whether they do"),
      text(
          "tls.certificate", [](S & s) -> auto& { return s.tls_certificate; },
          "File of the certificate and its chain (PEM); with it HTTPS is served"),
      text(
          "tls.key", [](S & s) -> auto& { return s.tls_key; }, "File of the certificate's key (PEM)"),
      reloading(duration<Nanoseconds>(
          "times.deadline", [](S & s) -> auto& { return s.deadline; }, false,
          "From a request's arrival to its end; 0: no limit")),
      named("OLLAMA_LOAD_TIMEOUT", duration<Nanoseconds>(
                                       "times.load", [](S & s) -> auto& { return s.load_wait; }, true,
                                       "How long a request waits for its model to be loaded; 0 or negative: no limit")),
      duration<Nanoseconds>(
          "times.slice", [](S & s) -> auto& { return s.slice; }, false,
          "For which a model in use keeps its place while another waits for it; 0: 20 times what its load took"),
      duration<Nanoseconds>(
          "times.place", [](S & s) -> auto& { return s.place_wait; }, false,
          "How long a model waits at most for the place of another that is in use"),
      reloading(duration<Nanoseconds>(
          "times.drain", [](S & s) -> auto& { return s.drain; }, false,
          "For requests that run when the server is to end")),
      duration<Milliseconds>(
          "times.idle", [](S & s) -> auto& { return s.http.idle; }, false, "Between two requests of a connection"),
      duration<Milliseconds>(
          "times.header", [](S & s) -> auto& { return s.http.header; }, false,
          "From a request's first byte to the end of its header"),
      duration<Milliseconds>(
          "times.body_progress", [](S & s) -> auto& { return s.http.body_progress; }, false,
          "In which a kilobyte of a request's body must come"),
      duration<Milliseconds>(
          "times.write_progress", [](S & s) -> auto& { return s.http.write_progress; }, false,
          "In which a client must read something of its answer"),
      number<size_t>(
          "limits.connections", [](S & s) -> auto& { return s.http.connections; }, 1, 1 << 20,
          "Connections at the same time"),
      size(
          "limits.header", [](S & s) -> auto& { return s.http.header_bytes; }, 4 << 10, "Of a request's header"),
      size(
          "limits.memory_body", [](S & s) -> auto& { return s.http.memory_body_bytes; }, 0,
          "Of a request's body in memory; longer ones go to a file"),
      text(
          "limits.body_folder", [](S & s) -> auto& { return s.http.body_folder; }, "Folder for such files"),
  };
}

// The host of what follows a scheme, up to the path; its port, if it has one, in `port`.
std::string host_and_port(std::string_view rest, uint16_t& port) {
  const size_t bracket = rest.starts_with('[') ? rest.find(']') : std::string_view::npos;
  const size_t first = rest.find(':'), last = rest.rfind(':');
  const bool bare_v6 = bracket == std::string_view::npos && first != last;
  size_t colon = bare_v6 ? std::string_view::npos : last;
  if (bracket != std::string_view::npos && colon < bracket) colon = std::string_view::npos;
  std::string_view host = rest.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view text = rest.substr(colon + 1);
    if (const auto number = parse_number<uint16_t>(text))
      port = *number;
    else
      log_warn("\"{}\" is no port; {} is taken", printable(text), port);
  }
  if (bracket != std::string_view::npos && host.size() >= 2) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

}  // namespace

std::string Setting::variable() const {
  std::string name = "HEARTH_" + key;
  std::ranges::transform(name, name.begin(), [](char c) {
    return c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return name;
}

std::span<const Setting> table() {
  static const std::vector<Setting> rows = make_table();
  return rows;
}

Result<const Setting*> find_setting(std::string_view key) {
  std::vector<std::string_view> keys;
  for (const Setting& setting : table()) {
    if (setting.key == key) return &setting;
    keys.emplace_back(setting.key);
  }
  const std::string_view meant = nearest(key, keys);
  return error(
      ErrorKind::kUsage, "there is no setting \"{}\"; {}", printable(key),
      meant.empty() ? std::string("\"hearth config\" lists them all") : fmt::format("did you mean \"{}\"?", meant));
}

Result<Host> parse_host(std::string_view text) {
  std::string_view rest = trimmed(text);
  Host host{.address = {.host = "localhost", .port = kPort}};
  if (const size_t scheme = rest.find("://"); scheme != std::string_view::npos) {
    host.tls = rest.substr(0, scheme) == "https";
    if (!host.tls && rest.substr(0, scheme) != "http") {
      return error(ErrorKind::kUsage, "\"{}\": it can begin with http:// or https://", printable(text));
    }
    host.address.port = host.tls ? 443 : 80;
    rest.remove_prefix(scheme + 3);
  }
  rest = rest.substr(0, rest.find('/'));
  if (rest.empty()) return host;
  host.address.host = host_and_port(rest, host.address.port);
  if (host.address.host.empty()) host.address.host = "*";
  return host;
}

std::string host_text(const http::Address& address) {
  if (address.host == "*") return fmt::format(":{}", address.port);
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), address.host, address.port);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kAround = " \t\r\n\"'";
  const size_t begin = text.find_first_not_of(kAround);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kAround) - begin + 1);
}

}  // namespace hearth::config
