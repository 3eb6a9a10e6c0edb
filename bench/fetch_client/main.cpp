// 1,024 single calls of a libbeds client under way at a time; the client makes messages of them by
// itself. Floor: a raw echo of single messages (goal 4).
#include "common/client_load.hpp"
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <cstdio>
#include <exception>

using namespace beds::bench;

namespace {

std::int64_t row_of(std::uint64_t operation) {
    return spread_row(operation, bench_rows);
}

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "fetch_client: single calls of a libbeds client against a raw echo");
    const auto where = rabbitmq_from_environment();
    bench_node node{{options.brokers, 0}};
    const auto echoes = static_cast<std::uint64_t>(60'000 * options.scale);
    const auto calls = static_cast<std::uint64_t>(300'000 * options.scale);
    const std::uint64_t window = options.window != 0 ? options.window : 1024;
    const comparison what{"fetch_client",
                          "fetches/s",
                          4.0,
                          {{"calls", calls},
                           {"window", window},
                           {"echoes", echoes},
                           {"brokers", options.brokers},
                           {"rows", static_cast<std::uint64_t>(bench_rows)}}};

    const auto floor = [&] {
        load raw;
        raw.messages = echoes;
        raw.make = single_requests(append_fetch, row_of);
        return run_echo(where, node.exchange() + ".floor", options.brokers, raw, echo_of_a_fetch());
    };
    const auto beds = [&] {
        client_load asked;
        asked.calls = calls;
        asked.window = window;
        asked.make = [](std::uint64_t i) { return beds::client::fetch("users", row_of(i)); };
        asked.verify = [](std::uint64_t i, const beds::client::reply& got) {
            const auto id = row_of(i);
            const auto answer = got.front();
            return got.size() == 1 && answer.size() == 1 && answer[0].integer("id") == id &&
                   answer[0].text("email") == "u" + std::to_string(id) + "@example.org" &&
                   answer[0].integer("balance") == 100;
        };
        return run_client_load(where, node, asked);
    };
    const auto code = compare(what, options, floor, beds);
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "fetch_client: %s\n", failed.what());
    return 1;
}
