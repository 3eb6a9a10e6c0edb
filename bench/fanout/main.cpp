// One request that needs 24 calls, made at once through a libbeds client that is 35 ms away from
// RabbitMQ each way. Floor: the round trip of one raw echo over the same way. beds is the time of
// all 24 above that round trip, in milliseconds, lower is better (goal 10).
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/latency.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"
#include "support/gate.hpp"

#include <beds/client/amqp_client.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <stdexcept>

using namespace beds::bench;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t calls = 24;

double milliseconds(std::chrono::nanoseconds time) {
    return microseconds(time) / 1000;
}

/// Makes all calls at once and waits for the last reply.
class request {
public:
    explicit request(std::uint64_t number) : number_(number) {}

    std::chrono::nanoseconds run(beds::client::client& through) {
        const auto begin = std::chrono::steady_clock::now();
        for (std::uint64_t k = 0; k < calls; ++k) {
            const auto row = overlapping_row(number_ * calls + k);
            through.submit(beds::client::fetch("users", row), beds::core::deadline::after(10s),
                           [this, row](const beds::client::reply& got) { take(row, got); });
        }
        std::unique_lock lock{mutex_};
        finished_.wait(lock, [&] { return answered_ == calls; });
        return std::chrono::steady_clock::now() - begin;
    }
    [[nodiscard]] std::uint64_t wrong() const { return wrong_; }
    [[nodiscard]] const std::string& first_wrong() const { return first_wrong_; }

private:
    void take(std::int64_t row, const beds::client::reply& got) {
        const std::lock_guard lock{mutex_};
        const auto answer = got.front();
        const bool right = answer.ok() && answer.size() == 1 && answer[0].integer("id") == row &&
                           answer[0].text("email") == "u" + std::to_string(row) + "@example.org";
        if (!right && wrong_++ == 0) {
            first_wrong_ = got.json();
        }
        if (++answered_ == calls) {
            finished_.notify_one();
        }
    }

    std::uint64_t number_;
    std::mutex mutex_;
    std::condition_variable finished_;
    std::uint64_t answered_ = 0;
    std::uint64_t wrong_ = 0;
    std::string first_wrong_;
};

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "fanout: one request of 24 calls, 35 ms away each way, against one round trip");
    const auto where = rabbitmq_from_environment();
    const bench_node node{{options.brokers, 0}};
    beds::test::gate way{where.host, static_cast<std::uint16_t>(where.port)};
    auto far = where;
    far.host = "127.0.0.1";
    far.port = way.port();
    const auto requests = static_cast<std::uint64_t>(30 * std::max(0.1, options.scale));
    comparison what{"fanout",
                    "ms",
                    10.0,
                    {{"requests", requests},
                     {"calls", calls},
                     {"each_way_ms", std::uint64_t{35}},
                     {"brokers", options.brokers}},
                    better::lower};
    what.judged = goal_of::value;
    print_settings(what);

    beds::client::amqp_client_settings settings;
    settings.amqp.host = far.host;
    settings.amqp.port = way.port();
    settings.amqp.vhost = far.vhost;
    settings.amqp.user = far.user;
    settings.amqp.password = beds::core::secret{far.password};
    settings.queue_tag = node.tag();
    const auto client = beds::client::make_amqp_client(settings);
    if (!client->wait_ready(beds::core::deadline::after(10s))) {
        throw std::runtime_error("the client did not connect");
    }
    way.delay(beds::test::gate::direction::to_server, 35ms);
    way.delay(beds::test::gate::direction::to_client, 35ms);
    request{0}.run(*client); // what a client learns of templates it keeps

    std::vector<round> rounds;
    std::string wrong;
    std::uint64_t number = 1;
    for (unsigned turn = 0; turn < options.rounds; ++turn) {
        const auto reply = echo_of_a_fetch();
        load raw;
        raw.messages = requests;
        raw.routing_key = node.exchange() + ".floor";
        raw.make = single_requests(append_fetch, overlapping_row);
        raw.verify = [&](std::uint64_t, std::string_view got) { return got == reply; };
        const auto echo = [&] {
            if (options.beds_only) {
                return latencies{};
            }
            const echo_floor server{where, raw.routing_key, options.brokers, durability::transient,
                                    reply};
            return run_one_by_one(far, raw, 1);
        }();
        if (echo.wrong != 0) {
            wrong += std::to_string(echo.wrong) + " answers, the first: " + echo.first_wrong + "; ";
        }
        histogram times;
        for (std::uint64_t i = 0; i < requests; ++i) {
            request one{number++};
            times.record(one.run(*client));
            if (one.wrong() != 0) {
                wrong += std::to_string(one.wrong()) + " answers, the first: " + one.first_wrong() +
                         "; ";
            }
        }
        const auto trip = milliseconds(echo.times.percentile(50));
        const auto total = milliseconds(times.percentile(50));
        rounds.push_back({trip, total - trip});
        std::printf(
            "  round %u: round trip %.2f ms, all %llu calls %.2f ms (p99 %.2f), %.2f above\n",
            turn + 1, trip, static_cast<unsigned long long>(calls), total,
            milliseconds(times.percentile(99)), total - trip);
        std::fflush(stdout);
    }
    if (options.beds_only) {
        std::printf("fanout beds=%.4g unit=ms operations=%llu\n%s", rounds.back().beds,
                    static_cast<unsigned long long>(requests * calls), wrong.c_str());
        return wrong.empty() ? 0 : 1;
    }
    return finish(what, options, rounds, wrong);
} catch (const std::exception& failed) {
    std::fprintf(stderr, "fanout: %s\n", failed.what());
    return 1;
}
