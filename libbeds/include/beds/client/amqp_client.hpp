#pragma once

#include <beds/amqp/settings.hpp>
#include <beds/client/client.hpp>
#include <beds/observe/log.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace beds::client {

struct amqp_client_settings {
    amqp::connection_settings amqp = {};
    std::string queue_tag = {}; ///< as the service's
    /// Requests that wait for a reply; more are answered OVERLOADED, effect none.
    std::size_t max_outstanding = 65'536;
    /// Operations that share a message at most; 1: every request is a message of its own.
    std::size_t max_envelope = 128;
    /// A message that has grown to this many bytes takes no further operation.
    std::size_t max_envelope_bytes = 256 * 1024;
    std::string name = "beds client"; ///< shown among RabbitMQ's connections
    observe::log_sink log = {};
};

/// A client over RabbitMQ: one I/O thread, a publishing connection with confirms, a consuming
/// connection with an exclusive reply queue. Single operations that were submitted while the I/O
/// thread was busy leave in one message, of one database and class; each keeps its own id and
/// deadline and gets a reply of its own. It never waits for more to come. Reconnects by itself;
/// requests that only read are sent again then, requests that write and were under way end as
/// `unknown`. Does not wait for RabbitMQ; throws only for settings that cannot work.
///
/// Destroying it takes 2 seconds at most, whatever is broken, and usually no time: what still waits
/// ends first, as `BACKEND_UNAVAILABLE` and with the effect that is known; completions have run
/// when it returns. Where RabbitMQ does not answer its connections are cut. A look-up of a host
/// name or a connection attempt that is under way cannot be; then the thread that makes it ends
/// later by itself, within `connect_timeout` (a look-up when the system's resolver gives up), and
/// uses nothing of the caller's any more, the log included.
std::unique_ptr<client> make_amqp_client(amqp_client_settings settings);

} // namespace beds::client
