#pragma once

#include <beds/core/secret.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace beds::amqp {

/// How far the server's certificate is trusted.
enum class tls_verification {
    full,            ///< certificate chain, and host name or address
    dangerously_off, ///< encrypts, but to whom is not known
};

enum class tls_mode { off, on };

struct tls_settings {
    tls_mode mode = tls_mode::off; ///< TLS 1.2 or newer
    std::string ca_file{};         ///< PEM; empty: the system's certificates
    std::string cert_file{};       ///< PEM, the client's certificate; empty: none
    std::string key_file{};        ///< PEM; given together with `cert_file`
    tls_verification verification = tls_verification::full;
};

/// Where RabbitMQ is and how to talk to it. A plain aggregate with defaults that work for a server
/// on this machine; `validate()` tells what breaks the bounds.
struct connection_settings {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0; ///< 0: 5672, with TLS 5671
    std::string vhost = "/";
    std::string user = "guest";
    core::secret password{"guest"};
    tls_settings tls{};

    /// Silence of twice this length means that the connection is dead. 1 s … 1 h. It cannot be
    /// switched off: a dead peer would never be noticed. The longest time a thread may stay away
    /// from its connection (a statement that runs) must be well below it.
    std::chrono::seconds heartbeat{30};
    /// Bounds connecting, TLS and login together, unless the caller's deadline is earlier. Greater
    /// than 0. The look-up of the host name (`getaddrinfo`) comes on top: only the system's
    /// resolver bounds it (`options timeout attempts` in resolv.conf(5)). An address needs none.
    std::chrono::milliseconds connect_timeout{5000};
    /// Bounds what is sent without a deadline of the caller's, when RabbitMQ takes nothing any more
    /// and the socket is full: acknowledgements, heartbeats, answers. The connection is broken
    /// then. Greater than 0, at most 1 h.
    std::chrono::milliseconds write_timeout{10000};
    /// Largest frame, in bytes: 4,096 … 131,072. Headers of one message must fit into one frame. A
    /// sender can nest header tables as deep as a frame is long, and decoding takes up to 3 MiB of
    /// the reading thread's stack for it, hence the upper bound: larger frames would overflow it.
    std::uint32_t frame_max = 131072;
    /// Shown by RabbitMQ's tools as the connection's name, for example `bedsd app_server
    /// rel.read/2`.
    std::string connection_name{};

    [[nodiscard]] std::uint16_t effective_port() const {
        return port != 0 ? port
                         : static_cast<std::uint16_t>(tls.mode == tls_mode::on ? 5671 : 5672);
    }
};

/// One setting that breaks its bounds: the key as in the configuration (`tls.key_file`) and what
/// was expected instead.
struct setting_problem {
    std::string key{};
    std::string expected{};
};

/// All problems, not only the first; empty when the settings can be used. Files are looked at when
/// the connection is opened.
std::vector<setting_problem> validate(const connection_settings& settings);

/// `amqp://user:password@host:port/vhost` and `amqps://…` (TLS on). Parts that are absent keep
/// their defaults; a path of `/` alone is the empty vhost, as RabbitMQ's URI specification says;
/// user, password and vhost are percent-decoded. Query parameters: `heartbeat` (seconds),
/// `connection_timeout` (milliseconds), `frame_max`, `cacertfile`, `certfile`, `keyfile`.
/// Throws `invalid_configuration`; the message never holds the password.
connection_settings parse_amqp_uri(std::string_view uri);

} // namespace beds::amqp
