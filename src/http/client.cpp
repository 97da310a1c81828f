#include "http/client.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "base/error.h"
#include "http/target.h"

namespace hearth::http {
namespace {

constexpr int kMost_redirects = 3;

// The functions in use; their types are those of curl/curl.h (https://curl.se/libcurl/c/).
struct Curl {
  decltype(&::curl_global_init) global_init = nullptr;
  decltype(&::curl_easy_init) init = nullptr;
  decltype(&::curl_easy_setopt) set = nullptr;
  decltype(&::curl_easy_perform) perform = nullptr;
  decltype(&::curl_easy_getinfo) info = nullptr;
  decltype(&::curl_easy_strerror) message = nullptr;
  decltype(&::curl_easy_cleanup) cleanup = nullptr;
  decltype(&::curl_easy_reset) reset = nullptr;
  decltype(&::curl_slist_append) append = nullptr;
  decltype(&::curl_slist_free_all) free_list = nullptr;
};

template <class Function>
bool look_up(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

Result<Curl> open_curl() {
  void* library = nullptr;
  for (const char* name : {"libcurl.so.4", "libcurl-gnutls.so.4"})
    if (library == nullptr) library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return error(ErrorKind::kUnsupported, "libcurl is not on this machine; install it (Debian, Ubuntu: libcurl4)");
  }
  Curl curl;
  const bool whole =
      look_up(library, "curl_global_init", curl.global_init) && look_up(library, "curl_easy_init", curl.init) &&
      look_up(library, "curl_easy_setopt", curl.set) && look_up(library, "curl_easy_perform", curl.perform) &&
      look_up(library, "curl_easy_getinfo", curl.info) && look_up(library, "curl_easy_strerror", curl.message) &&
      look_up(library, "curl_easy_cleanup", curl.cleanup) && look_up(library, "curl_easy_reset", curl.reset) &&
      look_up(library, "curl_slist_append", curl.append) && look_up(library, "curl_slist_free_all", curl.free_list);
  if (!whole || curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return error(ErrorKind::kUnsupported, "the libcurl of this machine lacks a function; install a newer one");
  return curl;
}

// What an answer's callbacks fill.
struct Reception {
  const Curl& curl;
  CURL* handle;
  const ClientRequest& request;
  const std::function<bool(std::string_view)>& take;
  Response response = {};
  bool head_told = false, refused = false, too_long = false, no_memory = false;
  std::string forbidden = {};  // an address that there was to be no connection to

  long status() const {
    long code = 0;
    curl.info(handle, CURLINFO_RESPONSE_CODE, &code);
    return code;
  }
  bool receive(std::string_view piece) {
    const long code = status();
    response.head.status = static_cast<unsigned>(code);
    if (request.head && !std::exchange(head_told, true)) refused = !request.head(response.head);
    if (refused) return false;
    if (take && code >= 200 && code < 300) {
      refused = !take(piece);
      return !refused;
    }
    too_long = response.body.size() + piece.size() > request.most_body_bytes;
    if (!too_long) response.body += piece;
    return !too_long;
  }
};

size_t on_body(char* data, size_t size, size_t count, void* to) {
  auto& reception = *static_cast<Reception*>(to);
  try {
    return reception.receive({data, size * count}) ? size * count : 0;
  } catch (const std::bad_alloc&) {
    reception.no_memory = true;
    return 0;
  }
}

size_t on_header(char* data, size_t size, size_t count, void* to) {
  auto& reception = *static_cast<Reception*>(to);
  std::string_view line(data, size * count);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) reception.response.head.headers = {};  // of an answer before, which led here
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size * count;
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  reception.response.head.headers.add(std::string(line.substr(0, colon)), std::string(value));
  return size * count;
}

// See CURLOPT_OPENSOCKETFUNCTION.
curl_socket_t on_socket(void* asked, curlsocktype, curl_sockaddr* to) {
  auto& reception = *static_cast<Reception*>(asked);
  std::array<char, NI_MAXHOST> text{};
  if (::getnameinfo(&to->addr, static_cast<socklen_t>(to->addrlen), text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) != 0 ||
      !reception.request.may_connect(text.data())) {
    reception.forbidden = text.data();
    return CURL_SOCKET_BAD;
  }
  return ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

int on_progress(void* asked, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<const std::function<bool()>*>(asked))() ? 1 : 0;
}

// Where systems keep the certificates that they trust, first of all where Debian's libcurl looks by itself: one that
// was brought along looks there on every system. (The list of Go's crypto/x509 for Linux.)
const char* certificates_of_system() {
  for (const char* path :
       {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem"})
    if (::access(path, R_OK) == 0) return path;
  return nullptr;
}

// As curl's command reads them (curl(1), ENVIRONMENT); the library itself does not.
void set_authorities(const Curl& curl, CURL* handle) {
  const auto value = [](const char* name) -> const char* {
    const char* text = std::getenv(name);
    return text != nullptr && *text != '\0' ? text : nullptr;
  };
  const char* bundle = value("CURL_CA_BUNDLE");
  const char* folder = value("SSL_CERT_DIR");
  if (bundle == nullptr && folder != nullptr) curl.set(handle, CURLOPT_CAPATH, folder);
  if (bundle == nullptr) bundle = value("SSL_CERT_FILE");
  if (bundle == nullptr && folder == nullptr) bundle = certificates_of_system();
  if (bundle != nullptr) curl.set(handle, CURLOPT_CAINFO, bundle);
}

void set_certificates(const Curl& curl, CURL* handle, const std::string& own) {
  if (own.empty()) return set_authorities(curl, handle);
  curl.set(handle, CURLOPT_CAINFO, own.c_str());
  curl.set(handle, CURLOPT_SSL_VERIFYHOST, 0L);
}

// No proxy leads to this machine, as Go's clients have it, Ollama's among them.
void set_proxy(const Curl& curl, CURL* handle, std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme != std::string_view::npos && is_loopback_host(url.substr(scheme + 3)))
    curl.set(handle, CURLOPT_NOPROXY, "*");
}

Error failure(const Curl& curl, CURLcode code, const ClientRequest& request, const char* detail,
              const std::string& forbidden) {
  const std::string_view cause = *detail != '\0' ? detail : curl.message(code);
  switch (code) {
    case CURLE_COULDNT_CONNECT:
      if (!forbidden.empty())
        return error(ErrorKind::kRefused, "{} is at {}, where no connection may go", request.url, forbidden);
      return error(ErrorKind::kNotFound, "nobody answers at {}", request.url);
    case CURLE_ABORTED_BY_CALLBACK:
      return error(ErrorKind::kCancelled, "the transfer from {} was ended", request.url);
    case CURLE_OPERATION_TIMEDOUT:
      return error(ErrorKind::kTimeout, "{}: {}", request.url, cause);
    case CURLE_PEER_FAILED_VERIFICATION:
      return error(ErrorKind::kIo,
                   "{}: {}; if its certificate is of an authority of your own, name that one's file: SSL_CERT_FILE=...",
                   request.url, cause);
    default:
      return error(ErrorKind::kIo, "{}: {}", request.url, cause);
  }
}

// One request; `leads_to`: the whole address of a redirect, if they are asked for.
Result<Response> fetch_one(const ClientRequest& request, const std::function<bool(std::string_view)>& take,
                           std::string* leads_to) {
  static const Result<Curl> opened = open_curl();
  if (!opened) return opened.error();
  const Curl& curl = *opened;
  thread_local const std::unique_ptr<CURL, decltype(curl.cleanup)> owner(curl.init(), curl.cleanup);
  CURL* const handle = owner.get();
  if (handle == nullptr) return error(ErrorKind::kNoMemory, "there is no memory for a connection");
  curl.reset(handle);
  Reception reception{curl, handle, request, take};
  std::array<char, CURL_ERROR_SIZE> detail{};
  std::unique_ptr<curl_slist, decltype(curl.free_list)> lines(nullptr, curl.free_list);
  const auto add = [&](const std::string& line) {
    if (curl_slist* longer = curl.append(lines.get(), line.c_str()); longer != nullptr) {
      (void)lines.release();
      lines.reset(longer);
    }
  };
  for (const Header& header : request.headers) add(header.name + ": " + header.value);
  add("Expect:");
  curl.set(handle, CURLOPT_URL, request.url.c_str());
  curl.set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl.set(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (request.method == "HEAD") curl.set(handle, CURLOPT_NOBODY, 1L);
  const std::string_view body = request.content.empty() ? std::string_view(request.body) : request.content;
  const bool has_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (has_body || !body.empty()) {
    curl.set(handle, CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
    curl.set(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  }
  curl.set(handle, CURLOPT_HTTPHEADER, lines.get());
  curl.set(handle, CURLOPT_USERAGENT, "hearth/" HEARTH_VERSION);
  curl.set(handle, CURLOPT_NOSIGNAL, 1L);
  curl.set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect.count()));
  if (request.silence.count() > 0) {
    curl.set(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl.set(handle, CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(request.silence.count() / 1000)));
  }
  set_certificates(curl, handle, request.own_certificate);
  set_proxy(curl, handle, request.url);
  if (request.total.count() > 0) curl.set(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.total.count()));
  if (request.may_connect) {
    curl.set(handle, CURLOPT_PROXY, "");
    curl.set(handle, CURLOPT_FRESH_CONNECT, 1L);
    curl.set(handle, CURLOPT_FORBID_REUSE, 1L);
    curl.set(handle, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl.set(handle, CURLOPT_OPENSOCKETDATA, &reception);
  }
  curl.set(handle, CURLOPT_ERRORBUFFER, detail.data());
  curl.set(handle, CURLOPT_WRITEFUNCTION, on_body);
  curl.set(handle, CURLOPT_WRITEDATA, &reception);
  curl.set(handle, CURLOPT_HEADERFUNCTION, on_header);
  curl.set(handle, CURLOPT_HEADERDATA, &reception);
  if (request.ends) {
    curl.set(handle, CURLOPT_NOPROGRESS, 0L);
    curl.set(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl.set(handle, CURLOPT_XFERINFODATA, &request.ends);
  }
  const CURLcode code = curl.perform(handle);
  if (reception.refused) return error(ErrorKind::kCancelled, "the transfer from {} was ended", request.url);
  if (reception.too_long) return error(ErrorKind::kIo, "{} answers with more than can be taken", request.url);
  if (reception.no_memory) return error(ErrorKind::kNoMemory, "there is no memory for the answer of {}", request.url);
  if (code != CURLE_OK) return failure(curl, code, request, detail.data(), reception.forbidden);
  reception.response.head.status = static_cast<unsigned>(reception.status());
  char* next = nullptr;  // the library's
  if (request.follows && curl.info(handle, CURLINFO_REDIRECT_URL, &next) == CURLE_OK && next != nullptr)
    *leads_to = next;
  return std::move(reception.response);
}

}  // namespace

Result<Response> fetch(const ClientRequest& request, const std::function<bool(std::string_view)>& take) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  std::string next;
  Result<Response> response = fetch_one(request, take, &next);
  ClientRequest hop;
  for (int hops = 1; response && !next.empty(); ++hops) {
    if (hops > kMost_redirects) return error(ErrorKind::kIo, "{} leads on and on", request.url);
    TRY(request.follows(next));
    if (hops == 1) hop = request;
    hop.url = std::exchange(next, {});
    if (request.total.count() > 0) {
      hop.total = request.total - std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
      if (hop.total.count() <= 0) return error(ErrorKind::kTimeout, "{} was not there in time", request.url);
    }
    response = fetch_one(hop, take, &next);
  }
  return response;
}

}  // namespace hearth::http
