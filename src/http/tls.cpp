#include "http/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>

#include "base/error.h"
#include "base/file.h"

namespace hearth::http {
namespace {

namespace ssl = boost::asio::ssl;

// The protocol that is spoken inside (RFC 7301).
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                    unsigned in_length, void*) {
  static constexpr unsigned char kHttp[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_length, kHttp, sizeof kHttp, in, in_length);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

Result<TlsContext> load_tls(const std::string& certificate_path, const std::string& key_path) {
  ASSIGN_OR_RETURN(const std::string certificate, read_file(certificate_path));
  ASSIGN_OR_RETURN(const std::string key, read_file(key_path));
  const auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  boost::system::error_code failed;
  context->set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, failed);
  context->use_certificate_chain({certificate.data(), certificate.size()}, failed);
  if (failed) {
    return error(ErrorKind::kInvalidData, "{} has no certificate in PEM form: {}", certificate_path, failed.message());
  }
  context->use_private_key({key.data(), key.size()}, ssl::context::pem, failed);
  if (failed && ERR_GET_REASON(static_cast<unsigned long>(failed.value())) == X509_R_KEY_VALUES_MISMATCH)
    return error(ErrorKind::kInvalidData, "{} is not the key of the certificate in {}", key_path, certificate_path);
  if (failed) return error(ErrorKind::kInvalidData, "{} has no key in PEM form: {}", key_path, failed.message());
  if (SSL_CTX_check_private_key(context->native_handle()) != 1) {
    ERR_clear_error();
    return error(ErrorKind::kInvalidData, "{} is not the key of the certificate in {}", key_path, certificate_path);
  }
  SSL_CTX_set_alpn_select_cb(context->native_handle(), choose_protocol, nullptr);
  return context;
}

}  // namespace hearth::http
