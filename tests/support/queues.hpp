#pragma once

#include "support/leftovers.hpp"
#include "support/servers.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>

#include <chrono>
#include <set>
#include <string>

namespace beds::test {

inline amqp::connection_settings amqp_settings(const endpoint& from) {
    amqp::connection_settings made;
    made.host = from.host;
    made.port = from.port;
    made.vhost = from.path.empty() ? "/" : from.path;
    made.user = from.user;
    made.password = core::secret{from.password};
    return made;
}

/// Deletes what nodes and clients with this tag may have declared for these connections.
inline void remove_queues(const endpoint& rabbitmq, const std::string& tag) {
    using core::op_class;
    const auto until = core::deadline::after(std::chrono::seconds{10});
    amqp::consumer_connection through{amqp_settings(rabbitmq), until};
    for (const auto* const connection : {"rel", "rec", "mem", "other", "old"}) {
        for (const auto kind : {op_class::read, op_class::write, op_class::bulk}) {
            through.remove(amqp::request_queue_name(tag, connection, kind), until);
            through.remove(amqp::quarantine_queue(tag, connection, kind), until);
            if (kind == op_class::read) {
                continue; // reads are not tried again
            }
            through.remove(amqp::again_queue(tag, connection, kind), until);
            for (unsigned level = 1; level <= amqp::retry_levels; ++level) {
                through.remove(amqp::retry_queue(tag, connection, kind, level), until);
            }
        }
    }
    for (const auto* const ordered : {"steps"}) {
        for (unsigned lane = 1; lane <= amqp::lanes; ++lane) {
            through.remove(amqp::lane_queue(tag, ordered, lane), until);
        }
        through.remove(amqp::order_exchange(tag, ordered), until);
    }
    through.remove(amqp::catalog_queue(tag), until);
    through.remove(amqp::dead_queue(tag), until);
    through.remove(amqp::events_exchange(tag), until);
    through.remove(amqp::unrouted_exchange(tag), until);
    through.remove(amqp::logs_exchange(tag), until);
    through.remove(amqp::dead_exchange(tag), until);
}

/// At the end of the test, from the RabbitMQ that the tests share: thousands of queues that nobody
/// needs any more fill its memory until it blocks all publishers. One of a test's own goes as a
/// whole.
inline void remove_queues_after_the_test(const endpoint& rabbitmq, const std::string& tag) {
    static std::set<std::string> known;
    const auto shared = environment("AMQP_URL");
    if (!shared || parse_uri(*shared).port != rabbitmq.port || !known.insert(tag).second) {
        return;
    }
    after_the_test.emplace_back([rabbitmq, tag] {
        known.erase(tag);
        remove_queues(rabbitmq, tag);
    });
}

} // namespace beds::test
