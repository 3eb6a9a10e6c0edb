#include "support/catch.hpp"
#include "support/servers.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/core/error.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <vector>

// A RabbitMQ that takes nothing any more, so that sockets fill up and writes do not return.
// Heartbeats are rare here: rabbitmq-c would end a hanging write by them, after twice their
// interval.

using namespace beds;
using namespace std::chrono_literals;
using core::deadline;

namespace {

using test_clock = std::chrono::steady_clock;

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

const test::private_servers& servers() {
    static const test::private_servers made{test::server::rabbitmq};
    return made;
}

enum class transport { plain, tls };

amqp::connection_settings settings(transport by) {
    auto made = amqp::parse_amqp_uri(by == transport::tls ? servers().variable("BEDS_AMQPS_URL")
                                                          : servers().amqp().uri);
    if (by == transport::tls) {
        made.tls.ca_file = servers().variable("BEDS_TLS_CA");
    }
    made.heartbeat = 120s;
    made.write_timeout = 1s;
    return made;
}

/// RabbitMQ is frozen while it lives.
class frozen {
public:
    frozen() { servers().pause(test::server::rabbitmq); }
    ~frozen() { servers().resume(test::server::rabbitmq); }
    frozen(const frozen&) = delete;
    frozen& operator=(const frozen&) = delete;
};

/// Sockets hold much by default.
void make_small(int socket) {
    const int size = 32 * 1024; // with much less, acknowledgements trickle on for minutes
    if (::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) != 0) {
        throw std::system_error{errno, std::generic_category()};
    }
}

/// Until nothing more goes in.
void fill(int socket) {
    const std::array<char, 8> heartbeat{8, 0, 0, 0, 0, 0, 0, '\xCE'};
    std::string frames;
    for (int i = 0; i < 10'000; ++i) {
        frames.append(heartbeat.data(), heartbeat.size());
    }
    // Not by poll(2), which calls a socket full while a little still goes in.
    for (int refused = 0; refused < 3;) {
        if (::send(socket, frames.data(), frames.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
            refused = 0;
        } else if (errno == EAGAIN) {
            ++refused;
            std::this_thread::sleep_for(200ms);
        } else {
            throw std::system_error{errno, std::generic_category()};
        }
    }
}

/// A durable queue with this many small messages.
amqp::queue_name full_queue(std::size_t messages) {
    amqp::publisher_connection out{settings(transport::plain), soon()};
    const amqp::queue_name queue{test::unique_name()};
    amqp::topology own;
    own.queues.push_back({queue, amqp::queue_kind::durable, {}});
    out.declare(own, amqp::declare_mode::active, soon());
    for (std::size_t i = 0; i < messages; ++i) {
        out.publish("", queue.str(), {}, "x", amqp::mandatory::yes, soon());
    }
    REQUIRE(out.wait_confirms(deadline::after(60s)));
    return queue;
}

} // namespace

TEST_CASE("a publish to a frozen RabbitMQ ends by its deadline") {
    const auto by = GENERATE(transport::plain, transport::tls);
    CAPTURE(by == transport::tls);
    amqp::publisher_connection out{settings(by), soon()};
    const std::string mebibyte(1 << 20, 'x');
    const frozen now;
    const auto start = test_clock::now();
    const auto until = deadline::after(1500ms);
    const auto failure = error_of([&] {
        for (int i = 0; i < 20; ++i) {
            out.publish("", "nowhere", {}, mebibyte, amqp::mandatory::no, until);
        }
        out.flush(until);
    });
    const auto took = test_clock::now() - start;
    INFO(failure.message());
    CHECK(failure.code() == core::errc::deadline_exceeded);
    CHECK(failure.handle() == core::handle_state::broken);
    CHECK_THAT(failure.message(), Catch::Matchers::Contains("does not take what is sent"));
    CHECK(took >= 1400ms);
    CHECK(took < 4s);
    CHECK_FALSE(out.is_open());
    CHECK(error_of([&] {
              out.publish("", "nowhere", {}, "x", amqp::mandatory::no, soon());
              out.flush(soon());
          }).handle() == core::handle_state::broken);
}

TEST_CASE("an acknowledgement to a frozen RabbitMQ ends") {
    const auto by = GENERATE(transport::plain, transport::tls);
    CAPTURE(by == transport::tls);
    constexpr std::uint16_t many = 60'000;
    const auto queue = full_queue(many);
    std::vector<amqp::delivery> got;
    amqp::consumer_connection in{settings(by), soon()};
    in.consume(queue, {.prefetch = many}, soon());
    for (const auto until = deadline::after(30s); got.size() < many && !until.expired();) {
        in.drain(got, many, 500ms);
    }
    REQUIRE(got.size() == many);
    make_small(in.native_socket());
    const frozen now;
    const auto start = test_clock::now();
    const auto failure = [&] {
        switch (GENERATE(0, 1, 2)) {
        case 0:
            return error_of([&] {
                for (auto& each : got) {
                    each.ack();
                }
            });
        case 1:
            return error_of([&] {
                for (auto& each : got) {
                    each.requeue();
                }
            });
        default:
            // What dies unresolved is given back by the next call that reads.
            got.clear();
            return error_of([&] { in.pump(); });
        }
    }();
    const auto took = test_clock::now() - start;
    INFO(failure.message());
    CHECK(failure.code() == core::errc::deadline_exceeded);
    CHECK(failure.handle() == core::handle_state::broken);
    CHECK(took >= 900ms);
    CHECK(took < 4s);
    CHECK_FALSE(in.is_open());
}

TEST_CASE("a full socket keeps neither a question nor the goodbye past its deadline") {
    const auto by = GENERATE(transport::plain, transport::tls);
    CAPTURE(by == transport::tls);
    auto patient = settings(by);
    patient.write_timeout = 60s;
    auto in = std::make_unique<amqp::consumer_connection>(patient, soon());
    const frozen now;
    fill(in->native_socket());
    const auto start = test_clock::now();
    SECTION("a question") {
        const auto failure = error_of([&] {
            static_cast<void>(in->inspect(amqp::queue_name{"nowhere"}, deadline::after(1s)));
        });
        CHECK(failure.code() == core::errc::deadline_exceeded);
        CHECK_FALSE(in->is_open());
    }
    SECTION("the goodbye") {
        in.reset();
    }
    CHECK(test_clock::now() - start < 3s);
}

TEST_CASE("a heartbeat that RabbitMQ does not take ends the connection") {
    auto fast = settings(transport::plain);
    fast.heartbeat = 1s;
    // Blocked by an alarm, it is not read from, and yet gets RabbitMQ's own heartbeats. The alarm
    // comes first: on a busy machine it takes longer than RabbitMQ waits for ours.
    servers().rabbitmqctl({"set_vm_memory_high_watermark", "0"});
    amqp::publisher_connection out{fast, soon()};
    // It blocks who publishes while the alarm is on, and notices it only after a while.
    for (const auto until = soon(); !out.blocked() && !until.expired();) {
        out.publish("", "nowhere", {}, "x", amqp::mandatory::no, soon());
        out.flush(soon());
        amqp::wait(nullptr, &out, -1, 200ms);
    }
    CHECK(out.blocked());
    fill(out.native_socket());
    const auto start = test_clock::now();
    const auto failure = error_of([&] { amqp::wait(nullptr, &out, -1, 20s); });
    servers().rabbitmqctl({"set_vm_memory_high_watermark", "absolute", "1GB"});
    INFO(failure.message());
    CHECK(failure.code() == core::errc::deadline_exceeded);
    CHECK_FALSE(out.is_open());
    CHECK(test_clock::now() - start < 8s);
}
