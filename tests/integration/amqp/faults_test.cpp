#include "support/catch.hpp"
#include "support/servers.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/core/error.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

using namespace beds;
using namespace std::chrono_literals;
using core::deadline;

namespace {

deadline soon() {
    return deadline::after(10s);
}

template <class Call>
core::error error_of(Call&& call) {
    try {
        call();
    } catch (const core::error& failure) {
        return failure;
    }
    FAIL("no error was thrown");
    throw std::logic_error{"unreachable"};
}

template <class Condition>
bool eventually(amqp::publisher_connection& out, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 15s;
    while (!condition() && std::chrono::steady_clock::now() < end) {
        amqp::wait(nullptr, &out, -1, 200ms);
    }
    return condition();
}

void make_queue(amqp::connection& on, const amqp::queue_name& queue) {
    amqp::topology own;
    own.queues.push_back({queue, amqp::queue_kind::durable, {}});
    on.declare(own, amqp::declare_mode::active, soon());
}

} // namespace

TEST_CASE("what RabbitMQ does to its clients in trouble") {
    // One for all sections; each leaves it as it was.
    static test::private_servers servers{test::server::rabbitmq};
    auto settings = amqp::parse_amqp_uri(servers.amqp().uri);
    const amqp::queue_name queue{test::unique_name()};
    amqp::consumer_connection in{settings, soon()};
    make_queue(in, queue);

    SECTION("an alarm blocks publishers, visibly, and lets them go on afterwards") {
        amqp::publisher_connection out{settings, soon()};
        servers.rabbitmqctl({"set_vm_memory_high_watermark", "0"});
        // Only who publishes is blocked.
        out.publish("", queue.str(), {}, "1", amqp::mandatory::yes, soon());
        out.flush(soon());
        REQUIRE(eventually(out, [&] { return out.blocked(); }));
        CHECK(out.blocked_reason() == "low on memory");
        CHECK_FALSE(in.blocked());

        // Nobody reads: the write ends with its deadline, and the connection with it.
        amqp::publisher_connection doomed{settings, soon()};
        const std::string large(1'000'000, 'x');
        const auto start = std::chrono::steady_clock::now();
        const auto failure = error_of([&] {
            for (int i = 0; i < 1000; ++i) {
                doomed.publish("", queue.str(), {}, large, amqp::mandatory::yes,
                               deadline::after(1s));
            }
        });
        CHECK(failure.code() == core::errc::deadline_exceeded);
        CHECK(failure.handle() == core::handle_state::broken);
        CHECK_FALSE(doomed.is_open());
        CHECK(std::chrono::steady_clock::now() - start < 10s);

        // A confirm that does not come leaves the connection as it is.
        const auto sequence = out.publish("", queue.str(), {}, "2", amqp::mandatory::yes, soon());
        CHECK_FALSE(out.wait_confirms(deadline::after(300ms)));
        CHECK(out.is_open());

        servers.rabbitmqctl({"set_vm_memory_high_watermark", "absolute", "1GB"});
        REQUIRE(eventually(out, [&] { return !out.blocked(); }));
        CHECK(out.blocked_reason().empty());
        REQUIRE(out.wait_confirms(soon()));
        CHECK(out.settled(sequence));
        CHECK(out.take_undelivered().empty());
    }

    SECTION("a frozen server is noticed by heartbeats, and calls end with their deadline") {
        auto fast = settings;
        fast.heartbeat = 1s;
        amqp::consumer_connection consumer{fast, soon()};
        amqp::publisher_connection out{settings, soon()};
        amqp::consumer_connection other{settings, soon()};
        consumer.consume(queue, {}, soon());
        servers.pause(test::server::rabbitmq);

        const auto start = std::chrono::steady_clock::now();
        std::vector<amqp::delivery> got;
        const auto dead = error_of([&] { consumer.drain(got, 1, 20s); });
        CHECK(dead.code() == core::errc::unreachable);
        CHECK_FALSE(consumer.is_open());
        CHECK(std::chrono::steady_clock::now() - start < 8s);

        const auto asked = std::chrono::steady_clock::now();
        const auto late =
            error_of([&] { static_cast<void>(other.inspect(queue, deadline::after(500ms))); });
        CHECK(late.code() == core::errc::deadline_exceeded);
        CHECK_FALSE(other.is_open());
        auto hasty = settings;
        hasty.connect_timeout = 500ms;
        CHECK(error_of([&] {
                  amqp::consumer_connection{hasty, soon()};
              }).code() == core::errc::unreachable);
        CHECK(error_of([&] {
                  amqp::consumer_connection{settings, deadline::after(300ms)};
              }).handle() == core::handle_state::broken);
        out.publish("", queue.str(), {}, "1", amqp::mandatory::yes, soon());
        CHECK_FALSE(out.wait_confirms(deadline::after(500ms)));
        CHECK(std::chrono::steady_clock::now() - asked < 5s);

        servers.resume(test::server::rabbitmq);
        CHECK(out.wait_confirms(soon()));
        amqp::consumer_connection again{settings, soon()};
        again.consume(queue, {}, soon());
        CHECK(again.drain(got, 1, 5s) == 1);
        got[0].ack();
    }

    SECTION("a killed server breaks connections, and a new one works when it is back") {
        amqp::publisher_connection out{settings, soon()};
        in.consume(queue, {}, soon());
        servers.kill(test::server::rabbitmq);
        std::vector<amqp::delivery> got;
        CHECK(error_of([&] { in.drain(got, 1, 5s); }).handle() == core::handle_state::broken);
        CHECK(error_of([&] {
                  out.publish("", queue.str(), {}, "1", amqp::mandatory::yes, soon());
                  out.wait_confirms(soon());
              }).handle() == core::handle_state::broken);
        CHECK(error_of([&] {
                  amqp::consumer_connection{settings, soon()};
              }).code() == core::errc::unreachable);
        servers.start(test::server::rabbitmq);
        in = amqp::consumer_connection{settings, soon()};
        out = amqp::publisher_connection{settings, soon()};
        // A queue that was declared moments before a kill may be forgotten: topology is declared
        // again on every connection.
        make_queue(in, queue);
        in.consume(queue, {}, soon());
        out.publish("", queue.str(), {.mode = amqp::delivery_mode::persistent}, "2",
                    amqp::mandatory::yes, soon());
        REQUIRE(out.wait_confirms(soon()));
        CHECK(in.drain(got, 1, 5s) == 1);
        got[0].ack();
    }

    SECTION("connections closed by the operator say so") {
        in.consume(queue, {}, soon());
        servers.rabbitmqctl({"close_all_connections", "maintenance"});
        std::vector<amqp::delivery> got;
        const auto closed = error_of([&] { in.drain(got, 1, 10s); });
        CHECK(closed.code() == core::errc::unreachable);
        CHECK(closed.native_code() == 320);
        CHECK_THAT(closed.message(), Catch::Matchers::Contains("maintenance"));
        in = amqp::consumer_connection{settings, soon()};
        in.consume(queue, {}, soon());
    }

    SECTION("without rights it is a refusal of the channel") {
        servers.rabbitmqctl({"add_user", "poor", "poor"});
        servers.rabbitmqctl({"set_permissions", "poor", "^mine", "^mine", "^mine"});
        auto poor = settings;
        poor.user = "poor";
        poor.password = core::secret{"poor"};
        amqp::consumer_connection consumer{poor, soon()};
        const auto refused = error_of([&] { consumer.consume(queue, {}, soon()); });
        CHECK(refused.code() == core::errc::refused);
        CHECK(refused.native_code() == 403);
        CHECK(refused.handle() == core::handle_state::usable);
        CHECK(error_of([&] { make_queue(consumer, amqp::queue_name{"others"}); }).native_code() ==
              403);
        consumer.reopen_channel(soon());
        make_queue(consumer, amqp::queue_name{"mine"});
        consumer.consume(amqp::queue_name{"mine"}, {}, soon());
    }
}
