#include "support/catch.hpp"
#include "support/raw_publisher.hpp"
#include "support/servers.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>

#include <chrono>
#include <string>
#include <vector>

using namespace beds;
using namespace std::chrono_literals;
using core::deadline;
using test::nested;
using test::raw_publisher;

TEST_CASE("deeply nested and odd header tables do no harm, and the next message is served") {
    const auto where = test::require_amqp();
    const auto settings = amqp::parse_amqp_uri(where.uri);
    const auto soon = [] { return deadline::after(20s); };
    amqp::consumer_connection in{settings, soon()};
    const auto name = test::unique_name();
    amqp::topology own;
    own.queues.push_back({amqp::queue_name{name}, amqp::queue_kind::durable, {}});
    in.declare(own, amqp::declare_mode::active, soon());
    struct cleanup {
        const amqp::connection_settings& settings;
        amqp::queue_name queue;
        ~cleanup() {
            amqp::consumer_connection out{settings, deadline::after(20s)};
            out.remove(queue, deadline::after(20s));
        }
    } cleaner{settings, amqp::queue_name{name}};

    raw_publisher hostile{where};
    std::size_t sent = 0;
    for (const std::size_t depth : {1U, 100U, 1000U, 5000U, 10000U, 20000U, 26000U}) {
        hostile.publish(name, nested('A', depth));
        ++sent;
    }
    for (const std::size_t depth : {1U, 1000U, 20000U}) {
        hostile.publish(name, nested('F', depth));
        ++sent;
    }
    std::string many;
    for (int i = 0; i < 20'000; ++i) {
        many += raw_publisher::short_string("") + 'V';
    }
    hostile.publish(name, many);
    ++sent;
    amqp::publisher_connection out{settings, soon()};
    out.publish("", name, {}, "good", amqp::mandatory::yes, soon());
    REQUIRE(out.wait_confirms(soon()));
    ++sent;

    in.consume(amqp::queue_name{name}, {}, soon());
    std::vector<amqp::delivery> got;
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (got.size() < sent && std::chrono::steady_clock::now() < end) {
        in.drain(got, sent, 200ms);
    }
    REQUIRE(got.size() == sent);
    CHECK(got.back().body() == "good");
    in.ack_up_to(got.back());
}
