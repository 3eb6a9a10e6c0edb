#pragma once

#include "common/driver.hpp"
#include "common/fixture.hpp"

#include <beds/client/client.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace beds::bench {

/// A client of the node, connected.
std::unique_ptr<client::client> connect_client(const rabbitmq_endpoint& where,
                                               const bench_node& node);

/// Single calls of one libbeds client, as a service makes them for its own callers.
struct client_load {
    std::uint64_t calls = 0;
    std::uint64_t window = 1024; ///< calls under way at a time
    std::function<client::request(std::uint64_t i)> make;
    std::function<bool(std::uint64_t i, const client::reply& got)> verify;
};

/// Calls until every one is answered.
measurement run_client_load(const rabbitmq_endpoint& where, const bench_node& node,
                            const client_load& what);

} // namespace beds::bench
