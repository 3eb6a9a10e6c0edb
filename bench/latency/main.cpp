// One fetch at a time: the time to a reply. Floor: the median of a raw echo of the same bytes plus
// the median of the same SELECT, prepared, by hand (goal 1.10); latency_by_hand: an echo that does
// this SELECT before it answers (goal 1.10). Milliseconds, lower is better.
#include "common/by_hand.hpp"
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/latency.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>

using namespace beds::bench;

namespace {

constexpr std::uint64_t warm_up = 100;

constexpr auto sql = "SELECT id, email, status, balance, created FROM bench_users WHERE id = ?";

double milliseconds(std::chrono::nanoseconds time) {
    return microseconds(time) / 1000;
}

histogram selects(const bench_node& node, std::uint64_t count) {
    sql_session session{node.mariadb()};
    auto select =
        session.prepare("SELECT id, email, status, balance, created FROM bench_users WHERE id = ?");
    histogram times;
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto row = overlapping_row(i);
        const auto begin = std::chrono::steady_clock::now();
        select.set(0, row);
        const auto got = select.execute_for_number(0);
        if (i >= warm_up) {
            times.record(std::chrono::steady_clock::now() - begin);
        }
        if (got != row) {
            throw std::runtime_error("the SELECT by hand found another row");
        }
    }
    return times;
}

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "latency: one fetch at a time against a raw echo and a SELECT by hand");
    const auto where = rabbitmq_from_environment();
    const bench_node node{{options.brokers, 0}};
    const auto messages = warm_up + static_cast<std::uint64_t>(3'000 * options.scale);
    histogram echo_times;
    histogram select_times;
    histogram hand_times;
    histogram beds_times;
    comparison what{"latency",
                    "ms",
                    1.10,
                    {{"messages", messages},
                     {"warm_up", warm_up},
                     {"window", std::uint64_t{1}},
                     {"brokers", options.brokers}},
                    better::lower};
    what.curves = [&] {
        series percentiles{"latency, window 1",
                           {"percentile", "echo ms", "select ms", "by hand ms", "beds ms"},
                           {}};
        for (const double share : {1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9}) {
            percentiles.rows.push_back({share, milliseconds(echo_times.percentile(share)),
                                        milliseconds(select_times.percentile(share)),
                                        milliseconds(hand_times.percentile(share)),
                                        milliseconds(beds_times.percentile(share))});
        }
        return std::vector<series>{percentiles};
    };
    print_settings(what);

    load request;
    request.messages = messages;
    request.make = single_requests(append_fetch, overlapping_row);
    auto asked = request;
    asked.exchange = node.exchange();
    asked.routing_key = "users.read";
    asked.verify = [](std::uint64_t i, std::string_view got) {
        return got.find(expected_row(overlapping_row(i))) != std::string_view::npos;
    };
    for (unsigned number = 0; options.beds_only && number < options.rounds; ++number) {
        const auto beds = run_one_by_one(where, asked, warm_up);
        std::printf("latency beds=%.4g unit=ms operations=%llu\n",
                    milliseconds(beds.times.percentile(50)),
                    static_cast<unsigned long long>(messages));
        if (beds.wrong != 0) {
            throw std::runtime_error("wrong answers, the first: " + beds.first_wrong);
        }
    }
    if (options.beds_only) {
        return 0;
    }
    std::vector<round> rounds;
    std::vector<round> rounds_by_hand;
    std::string wrong;
    for (unsigned number = 0; number < options.rounds; ++number) {
        const auto queue = node.exchange() + ".floor";
        const auto reply = echo_of_a_fetch();
        auto raw = request;
        raw.routing_key = queue;
        raw.verify = [&](std::uint64_t, std::string_view got) { return got == reply; };
        const auto echo = [&] {
            const echo_floor server{where, queue, options.brokers, durability::transient, reply};
            return run_one_by_one(where, raw, warm_up);
        }();
        const auto select = selects(node, messages);
        // Between two SELECTs the server's threads go to sleep here, as under BEDS.
        const auto by_hand = [&] {
            sql_session session{node.mariadb()};
            auto statement = session.prepare(sql);
            const auto before = [&] {
                statement.set(0, bench_rows / 2);
                if (statement.execute_for_number(0) != bench_rows / 2) {
                    throw std::runtime_error("the SELECT by hand found another row");
                }
            };
            const echo_floor server{where, queue, 1, durability::transient, reply, before};
            return run_one_by_one(where, raw, warm_up);
        }();
        const auto beds = run_one_by_one(where, asked, warm_up);
        for (const auto* one : {&echo, &by_hand, &beds}) {
            if (one->wrong != 0) {
                wrong +=
                    std::to_string(one->wrong) + " answers, the first: " + one->first_wrong + "; ";
            }
        }
        const auto of_echo = milliseconds(echo.times.percentile(50));
        const auto of_hand = milliseconds(by_hand.times.percentile(50));
        const auto of_select = milliseconds(select.percentile(50));
        const auto& last = rounds.emplace_back(
            round{of_echo + of_select, milliseconds(beds.times.percentile(50))});
        std::printf("  round %u: echo %.3f + select %.3f, by hand %.3f, beds %.3f ms (p99 %.3f), "
                    "ratios %.2f and %.2f\n",
                    number + 1, of_echo, of_select, of_hand, last.beds,
                    milliseconds(beds.times.percentile(99)), last.beds / last.floor,
                    last.beds / of_hand);
        std::fflush(stdout);
        rounds_by_hand.push_back({of_hand, last.beds});
        echo_times.add(echo.times);
        hand_times.add(by_hand.times);
        select_times.add(select);
        beds_times.add(beds.times);
    }
    auto against_hand = what;
    against_hand.name = "latency_by_hand";
    against_hand.curves = {};
    const auto first = finish(against_hand, options, rounds_by_hand, wrong);
    const auto second = finish(what, options, rounds, wrong);
    return wrong.empty() ? std::max(first, second) : 1;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "latency: %s\n", failed.what());
    return 1;
}
