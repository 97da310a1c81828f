// What connections are encrypted with: a certificate and its key.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace boost::asio::ssl {
class context;
}

namespace hearth::http {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// Of PEM files: the certificate with those that lead to a known authority, and its key. Errors: kNotFound, kIo;
// kInvalidData: no certificate, no key, or a key that is another's.
Result<TlsContext> load_tls(const std::string& certificate_path, const std::string& key_path);

}  // namespace hearth::http
