#pragma once

#include <beds/node/node.hpp>
#include <beds/observe/log.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace beds::admin {

struct server_settings {
    std::string listen = "127.0.0.1:9464"; ///< as config::parse_listen reads it
    /// Other machines may reach `listen`.
    config::remote_access remote = config::remote_access::deny;
    /// Connections at a time; one more ends the oldest. At least 1.
    std::size_t max_connections = 8;
    /// For a client to send its request, and again to take the answer.
    std::chrono::milliseconds client_time{5'000};
    /// Pause between two connections: with it one client cannot keep a processor busy.
    std::chrono::milliseconds pace{5};
    /// How often RabbitMQ is asked for the length of the queues.
    std::chrono::milliseconds queues_every{5'000};
};

/// Serves the pages of one node over HTTP/1.1, on threads of its own: `/live` and `/ready` (200 or
/// 503), `/status`, `/metrics`. One request per connection, GET and HEAD, heads of at most 8 KiB,
/// no body. Slow, silent and hostile clients cost at most `max_connections` sockets.
class server {
public:
    /// Listens from here on; nobody is answered before `start`. The node must outlive the server.
    /// Throws core::error: `invalid_configuration` for an address that is none or not allowed,
    /// `refused` when the system does not give it.
    server(const node::node& of, const server_settings& settings, observe::log_sink log = {});
    /// Stops.
    ~server();
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    /// Answers from here on; the node's `start` must have returned. Once.
    void start();
    /// Ends open connections and both threads; waits for them, at most as long as RabbitMQ takes to
    /// answer for the length of the queues (2 s). Later calls do nothing.
    void stop();

    [[nodiscard]] std::uint16_t port() const;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace beds::admin
