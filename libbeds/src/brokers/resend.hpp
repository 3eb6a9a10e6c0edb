#pragma once

#include <beds/amqp/connection.hpp>
#include <beds/amqp/message.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/clock.hpp>
#include <beds/core/outcome.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::brokers {

/// Where a request came from before nodes kept it and sent it again. Views into the delivery.
struct origin {
    std::string_view principal{};   ///< the caller, as RabbitMQ verified it the first time
    std::string_view routing_key{}; ///< as the caller published it
    std::string_view queue{};       ///< that it came through first
    std::string_view history{};     ///< of its failures, for people
    unsigned attempts = 0;          ///< that it had before this delivery
    bool again = false;             ///< a node sent it
};

/// What a node wrote into the headers is believed only when RabbitMQ vouches for the node's own
/// account (`user_id`): anybody can write headers.
origin origin_of(const amqp::delivery& from, std::string_view own_user);

/// As the history has it: UTC, to the second.
std::string to_seconds_text(core::system_time time);

/// Publishes a delivered request once more, whole: body, properties and headers, with its origin in
/// headers of its own. Persistent and mandatory.
class resender {
public:
    /// `node`: the broker's name, for the history.
    resender(std::string own_user, std::string node);

    struct target {
        std::string_view exchange{}; ///< empty: to the queue that the key names
        std::string_view key{};
        std::string_view expiration{};          ///< milliseconds; empty: stays
        std::span<const amqp::header> more{};   ///< instead of those of the same name
        const core::outcome* failure = nullptr; ///< of this attempt: counted, and in the history
        std::string_view message_id{};          ///< instead of its own
        std::string_view body{};                ///< instead of its own
        std::string_view
            told{}; ///< of the history, instead: it starts over, and nobody waits for it
    };
    std::uint64_t send(const amqp::delivery& from, const target& to,
                       amqp::publisher_connection& through, core::system_time now,
                       core::deadline until);

private:
    std::string own_user_;
    std::string node_;
    std::string history_;
    std::vector<amqp::header> headers_;
};

} // namespace beds::brokers
