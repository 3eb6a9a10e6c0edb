// Fetches at a fixed rate of 1,000 a second, whether replies come or not; each time counts from the
// moment at which its request was due (no coordinated omission). Floor: a raw echo of the same
// bytes at the same rate, in turn with BEDS by the second. beds is BEDS's own share, its percentile
// minus the echo's, in milliseconds, lower is better: latency_open_p90 (goal 0.5), latency_open for
// p99 (goal 2).
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/latency.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>

using namespace beds::bench;

namespace {

constexpr double rate = 1000;

double milliseconds(std::chrono::nanoseconds time) {
    return microseconds(time) / 1000;
}

void add(latencies& to, const latencies& from) {
    to.times.add(from.times);
    if (from.wrong != 0 && to.wrong == 0) {
        to.first_wrong = from.first_wrong;
    }
    to.wrong += from.wrong;
}

struct both {
    latencies echo;
    latencies beds;
};

class measured {
public:
    measured(const rabbitmq_endpoint& where, const bench_node& node, const bench_options& options)
        : where_(where), node_(node), options_(options) {}

    /// Both in turn by the second: what disturbs the machine disturbs both.
    [[nodiscard]] both at(double per_second, double seconds) const {
        both result;
        for (double done = 0; done < seconds; done += 1) {
            const auto now = slice(per_second, std::min(1.0, seconds - done));
            add(result.echo, now.echo);
            add(result.beds, now.beds);
        }
        return result;
    }

private:
    [[nodiscard]] both slice(double per_second, double seconds) const {
        const auto warm_up = static_cast<std::uint64_t>(per_second / 10);
        load request;
        request.messages = warm_up + static_cast<std::uint64_t>(per_second * seconds);
        request.make = single_requests(append_fetch, overlapping_row);
        both result;
        if (!options_.beds_only) {
            const auto reply = echo_of_a_fetch();
            auto raw = request;
            raw.routing_key = node_.exchange() + ".floor";
            raw.verify = [&](std::uint64_t, std::string_view got) { return got == reply; };
            const echo_floor server{where_, raw.routing_key, options_.brokers,
                                    durability::transient, reply};
            result.echo = run_open_loop(where_, raw, per_second, warm_up);
        }
        auto asked = request;
        asked.exchange = node_.exchange();
        asked.routing_key = "users.read";
        asked.verify = [](std::uint64_t i, std::string_view got) {
            return got.find(expected_row(overlapping_row(i))) != std::string_view::npos;
        };
        result.beds = run_open_loop(where_, asked, per_second, warm_up);
        return result;
    }

    const rabbitmq_endpoint& where_;
    const bench_node& node_;
    const bench_options& options_;
};

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "latency_open: 1,000 fetches a second, open loop, against a raw echo");
    const auto where = rabbitmq_from_environment();
    const bench_node node{{options.brokers, 0}};
    const measured run{where, node, options};
    const double seconds = std::max(0.5, 5 * options.scale);
    both all;
    comparison of_p99{"latency_open",
                      "ms",
                      2.0,
                      {{"rate", static_cast<std::uint64_t>(rate)},
                       {"milliseconds", static_cast<std::uint64_t>(seconds * 1000)},
                       {"brokers", options.brokers}},
                      better::lower};
    of_p99.judged = goal_of::value;
    auto of_p90 = of_p99;
    of_p90.name = "latency_open_p90";
    of_p90.goal = 0.5;
    of_p99.curves = [&] {
        series percentiles{"latency, open loop", {"percentile", "echo ms", "beds ms"}, {}};
        for (const double share : {1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99}) {
            percentiles.rows.push_back({share, milliseconds(all.echo.times.percentile(share)),
                                        milliseconds(all.beds.times.percentile(share))});
        }
        series load{"latency over load",
                    {"requests/s", "echo p50 ms", "echo p99 ms", "beds p50 ms", "beds p90 ms",
                     "beds p99 ms", "beds p99.9 ms"},
                    {}};
        for (const double each : {250., 500., 1000., 2000., 4000., 8000., 12000.}) {
            const auto got = run.at(each, options.judge ? 2 : 0.5);
            load.rows.push_back({each, milliseconds(got.echo.times.percentile(50)),
                                 milliseconds(got.echo.times.percentile(99)),
                                 milliseconds(got.beds.times.percentile(50)),
                                 milliseconds(got.beds.times.percentile(90)),
                                 milliseconds(got.beds.times.percentile(99)),
                                 milliseconds(got.beds.times.percentile(99.9))});
        }
        return std::vector<series>{percentiles, load};
    };
    print_settings(of_p99);

    std::vector<round> p90;
    std::vector<round> p99;
    std::string wrong;
    for (unsigned number = 0; number < options.rounds; ++number) {
        const auto now = run.at(rate, seconds);
        for (const auto* one : {&now.echo, &now.beds}) {
            if (one->wrong != 0) {
                wrong +=
                    std::to_string(one->wrong) + " answers, the first: " + one->first_wrong + "; ";
            }
        }
        const auto share = [&](double percentile) {
            const auto echo = milliseconds(now.echo.times.percentile(percentile));
            return round{echo, milliseconds(now.beds.times.percentile(percentile)) - echo};
        };
        p90.push_back(share(90));
        p99.push_back(share(99));
        std::printf("  round %u:", number + 1);
        for (const auto& [name, one] :
             {std::pair{"echo", &now.echo}, std::pair{"beds", &now.beds}}) {
            std::printf(
                " %s p50 %.3f p90 %.3f p99 %.3f p99.9 %.3f max %.3f ms%s", name,
                milliseconds(one->times.percentile(50)), milliseconds(one->times.percentile(90)),
                milliseconds(one->times.percentile(99)), milliseconds(one->times.percentile(99.9)),
                milliseconds(one->times.max()), one == &now.echo ? ";" : "\n");
        }
        std::fflush(stdout);
        all.echo.times.add(now.echo.times);
        all.beds.times.add(now.beds.times);
    }
    if (options.beds_only) {
        std::printf("latency_open beds=%.4g unit=ms operations=%llu\n%s",
                    milliseconds(all.beds.times.percentile(99)),
                    static_cast<unsigned long long>(all.beds.times.count()), wrong.c_str());
        return wrong.empty() ? 0 : 1;
    }
    const auto first = finish(of_p90, options, p90, wrong);
    const auto second = finish(of_p99, options, p99, wrong);
    return std::max(first, second);
} catch (const std::exception& failed) {
    std::fprintf(stderr, "latency_open: %s\n", failed.what());
    return 1;
}
