#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

/// The client side of a measurement, with the bare C library: the same program drives the floor and
/// BEDS, so that only what answers differs.
namespace beds::bench {

struct rabbitmq_endpoint {
    std::string host = "127.0.0.1";
    int port = 5672;
    std::string user = "guest";
    std::string password = "guest";
    std::string vhost = "/";
};
/// From AMQP_URL; throws std::runtime_error when it is missing.
rabbitmq_endpoint rabbitmq_from_environment();

enum class durability {
    transient,
    confirmed, ///< persistent messages with confirms, on a durable classic queue
    quorum,    ///< the same on a quorum queue, which is what BEDS declares for writes
};

struct load {
    std::string exchange;
    std::string routing_key;
    std::uint64_t messages = 0;
    std::uint64_t operations_per_message = 1;
    std::uint64_t window = 256; ///< operations under way at a time, at least one message's
    durability kind = durability::transient; ///< confirmed: persistent requests with confirms
    /// Ids of writes are spread like UUIDs made at random; else they rise, as those of the client
    /// do.
    bool scattered_ids = false;
    /// Body of message i.
    std::function<void(std::uint64_t i, std::string& body)> make;
    /// Is this the right answer to message i?
    std::function<bool(std::uint64_t i, std::string_view reply)> verify;
};

struct measurement {
    double operations_per_second = 0;
    std::uint64_t operations = 0; ///< how many it were, where the load counts them
    std::uint64_t wrong = 0;      ///< answers that were not right
    std::string first_wrong;
};

/// Sends and receives until every message is answered. Throws std::runtime_error when an answer is
/// missing for ten seconds.
measurement run_load(const rabbitmq_endpoint& where, const load& what);

} // namespace beds::bench
