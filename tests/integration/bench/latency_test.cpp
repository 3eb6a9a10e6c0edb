// What the benches say of latency.
#include "common/floor.hpp"
#include "common/latency.hpp"
#include "support/catch.hpp"
#include "support/gate.hpp"
#include "support/servers.hpp"

#include <chrono>
#include <thread>

using namespace beds::bench;
using namespace std::chrono_literals;
using beds::test::gate;

namespace {

constexpr auto silence = 400ms;

/// An echo behind a gate.
struct far_echo {
    rabbitmq_endpoint where = (beds::test::require_amqp(), rabbitmq_from_environment());
    gate way{where.host, static_cast<std::uint16_t>(where.port)};
    std::string queue = beds::test::unique_name("bench_echo");
    echo_floor server{where, queue, 1, durability::transient, "pong"};

    [[nodiscard]] rabbitmq_endpoint far() const {
        auto made = where;
        made.host = "127.0.0.1";
        made.port = way.port();
        return made;
    }
    [[nodiscard]] load pings(std::uint64_t messages) const {
        load made;
        made.messages = messages;
        made.routing_key = queue;
        made.make = [](std::uint64_t, std::string& body) { body = "ping"; };
        made.verify = [](std::uint64_t, std::string_view got) { return got == "pong"; };
        return made;
    }
    /// Nothing comes back for a while, once so many bytes have.
    [[nodiscard]] std::thread pausing_after(std::uint64_t bytes) {
        return std::thread{[this, bytes] {
            const auto goal = way.count().bytes_to_client + bytes;
            while (way.count().bytes_to_client < goal) {
                std::this_thread::sleep_for(1ms);
            }
            way.freeze(gate::direction::to_client);
            std::this_thread::sleep_for(silence);
            way.thaw(gate::direction::to_client);
        }};
    }
};

} // namespace

TEST_CASE(
    "an open loop shows the pause in every request that was due in it, one at a time in one") {
    far_echo echo;
    SECTION("open loop") {
        auto pausing = echo.pausing_after(20'000);
        const auto got = run_open_loop(echo.far(), echo.pings(1'000), 1'000, 0);
        pausing.join();
        CHECK(got.wrong == 0);
        CHECK(got.times.count() == 1'000);
        CHECK(got.times.max() >= silence - 20ms);
        // 400 of 1,000 were due in the pause and waited for its rest: 150 of them 250 ms and more.
        CHECK(got.times.percentile(90) >= 200ms);
    }
    SECTION("open loop whose sender is held up itself") {
        auto pings = echo.pings(1'000);
        pings.verify = [](std::uint64_t i, std::string_view) {
            if (i == 200) {
                std::this_thread::sleep_for(silence);
            }
            return true;
        };
        const auto got = run_open_loop(echo.far(), pings, 1'000, 0);
        CHECK(got.times.percentile(90) >= 200ms);
    }
    SECTION("one by one") {
        auto pausing = echo.pausing_after(20'000);
        const auto got = run_one_by_one(echo.far(), echo.pings(1'000), 0);
        pausing.join();
        CHECK(got.wrong == 0);
        CHECK(got.times.count() == 1'000);
        CHECK(got.times.max() >= silence - 20ms);
        CHECK(got.times.percentile(90) < 200ms);
    }
}

TEST_CASE("a round trip is at least the way, and the warm-up is not counted") {
    far_echo echo;
    echo.way.delay(gate::direction::to_server, 15ms);
    echo.way.delay(gate::direction::to_client, 10ms);
    const auto got = run_one_by_one(echo.far(), echo.pings(20), 5);
    CHECK(got.times.count() == 15);
    CHECK(got.times.percentile(0) >= 25ms);
    CHECK(got.times.percentile(50) < 1s);
}

TEST_CASE("wrong replies are counted, not timed") {
    far_echo echo;
    auto pings = echo.pings(20);
    pings.verify = [](std::uint64_t i, std::string_view) { return i % 4 != 0; };
    const auto got = run_open_loop(echo.far(), pings, 500, 0);
    CHECK(got.wrong == 5);
    CHECK(got.first_wrong == "pong");
    CHECK(got.times.count() == 15);
}
