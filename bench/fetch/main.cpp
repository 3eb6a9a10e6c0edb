// One fetch by key per message, window 256 (--window). Floor: a raw echo of the same bytes (goal
// 0.90).
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <cstdio>
#include <exception>

using namespace beds::bench;

namespace {

std::int64_t row_of(std::uint64_t i) {
    return spread_row(i, bench_rows);
}

} // namespace

int main(int argc, char** argv) try {
    const auto options =
        parse_options(argc, argv, "fetch: one fetch per message, window 256, against a raw echo");
    const auto where = rabbitmq_from_environment();
    bench_node node{{options.brokers, 0}};
    const auto messages = static_cast<std::uint64_t>(60'000 * options.scale);
    const std::uint64_t window = options.window != 0 ? options.window : 256;
    const comparison what{"fetch",
                          "fetches/s",
                          0.90,
                          {{"messages", messages},
                           {"window", window},
                           {"brokers", options.brokers},
                           {"rows", static_cast<std::uint64_t>(bench_rows)}}};

    load request;
    request.messages = messages;
    request.window = window;
    request.make = single_requests(append_fetch, row_of);
    const auto floor = [&] {
        return run_echo(where, node.exchange() + ".floor", options.brokers, request,
                        echo_of_a_fetch());
    };
    const auto beds = [&] {
        auto asked = request;
        asked.exchange = node.exchange();
        asked.routing_key = "users.read";
        asked.verify = [](std::uint64_t i, std::string_view got) {
            return got.find(expected_row(row_of(i))) != std::string_view::npos;
        };
        return run_load(where, asked);
    };
    const auto code = compare(what, options, floor, beds);
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "fetch: %s\n", failed.what());
    return 1;
}
