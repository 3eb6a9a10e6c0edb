#include "support/catch.hpp"
#include "support/servers.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/core/error.hpp>

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

amqp::connection_settings settings() {
    auto made = amqp::parse_amqp_uri(test::require_amqps().uri);
    made.tls.ca_file = test::require_tls_ca();
    return made;
}

core::error error_of(const amqp::connection_settings& settings) {
    try {
        amqp::consumer_connection{settings, soon()};
    } catch (const core::error& failure) {
        return failure;
    }
    FAIL("the connection was made");
    throw std::logic_error{"unreachable"};
}

} // namespace

TEST_CASE("a connection over TLS carries messages of every size") {
    const auto with = settings();
    CHECK(with.tls.verification == amqp::tls_verification::full);
    amqp::consumer_connection in{with, soon()};
    amqp::publisher_connection out{with, soon()};
    const amqp::queue_name queue{test::unique_name()};
    amqp::topology own;
    own.queues.push_back({queue, amqp::queue_kind::exclusive, {}});
    in.declare(own, amqp::declare_mode::active, soon());
    in.consume(queue, {}, soon());
    const amqp::header headers[] = {amqp::header::of("beds-event", "e"),
                                    amqp::header::of("beds-deadline", std::int64_t{5})};
    const std::vector<std::size_t> sizes{0, 1, 1000, 16'384, 131'064, 131'065, 3'000'000};
    for (const auto size : sizes) {
        out.publish("", queue.str(),
                    {.message_id = "m",
                     .correlation_id = "c",
                     .mode = amqp::delivery_mode::persistent,
                     .priority = 1,
                     .timestamp = 5,
                     .headers = headers},
                    std::string(size, 'x'), amqp::mandatory::yes, soon());
    }
    const auto lost = out.publish("", queue.str() + "_nowhere", {.correlation_id = "lost"}, "x",
                                  amqp::mandatory::yes, soon());
    REQUIRE(out.wait_confirms(soon()));
    const auto undelivered = out.take_undelivered();
    REQUIRE(undelivered.size() == 1);
    CHECK(undelivered[0].sequence == lost);

    std::vector<amqp::delivery> got;
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (got.size() < sizes.size() && std::chrono::steady_clock::now() < end) {
        if (amqp::wait(&in, &out, -1, 1s).deliveries) {
            in.drain(got, 100, 0ms);
        }
    }
    REQUIRE(got.size() == sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        CHECK((got[i].body() == std::string(sizes[i], 'x')));
        CHECK(got[i].properties().message_id == "m");
        CHECK(got[i].properties().priority == 1);
        CHECK(got[i].properties().timestamp == 5U);
        CHECK(got[i].properties().text("beds-event") == "e");
        CHECK(got[i].properties().integer("beds-deadline") == 5);
    }
    in.ack_up_to(got.back());
}

TEST_CASE("the server's certificate is checked") {
    const auto good = settings();

    SECTION("by name") {
        auto by_name = good;
        by_name.host = "localhost";
        amqp::consumer_connection in{by_name, soon()};
        CHECK(in.is_open());
    }
    SECTION("another authority") {
        for (const auto* host : {"localhost", "127.0.0.1"}) {
            auto with = good;
            with.host = host;
            with.tls.ca_file = test::require_tls_other_ca();
            const auto failure = error_of(with);
            CHECK(failure.code() == core::errc::refused);
            CHECK_THAT(failure.message(), Catch::Matchers::Contains("trusted authority"));
            with.tls.verification = amqp::tls_verification::dangerously_off;
            amqp::consumer_connection in{with, soon()};
            CHECK(in.is_open());
        }
    }
    SECTION("the system's authorities did not sign it") {
        auto with = good;
        with.tls.ca_file.clear();
        CHECK(error_of(with).code() == core::errc::refused);
    }
    SECTION("another host name") {
        auto with = good;
        // An old way to write 127.0.0.1: found like a name, and not in the certificate.
        with.host = "127.1";
        const auto failure = error_of(with);
        CHECK(failure.code() == core::errc::refused);
        CHECK_THAT(failure.message(), Catch::Matchers::Contains("not made out to '127.1'"));
    }
    SECTION("another address") {
        auto with = good;
        with.host = "::ffff:127.0.0.1"; // the same machine; the certificate says 127.0.0.1
        const auto failure = error_of(with);
        CHECK(failure.code() == core::errc::refused);
        CHECK_THAT(failure.message(), Catch::Matchers::Contains("::ffff:127.0.0.1"));
    }
    SECTION("files that are not there") {
        auto with = good;
        with.tls.ca_file = "/nowhere/ca.pem";
        CHECK(error_of(with).code() == core::errc::invalid_configuration);
        with = good;
        with.tls.cert_file = "/nowhere/cert.pem";
        with.tls.key_file = "/nowhere/key.pem";
        CHECK(error_of(with).code() == core::errc::invalid_configuration);
    }
    SECTION("a port that does not speak TLS") {
        auto with = good;
        with.port = test::require_amqp().port;
        with.connect_timeout = 2s;
        const auto failure = error_of(with);
        CHECK((failure.code() == core::errc::refused || failure.code() == core::errc::unreachable));
    }
}

TEST_CASE("a TLS port answers nothing to a connection without TLS") {
    auto with = settings();
    with.tls = {};
    with.port = test::require_amqps().port;
    with.connect_timeout = 2s;
    const auto start = std::chrono::steady_clock::now();
    CHECK(error_of(with).handle() == core::handle_state::broken);
    CHECK(std::chrono::steady_clock::now() - start < 5s);
}
