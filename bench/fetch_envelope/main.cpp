// 32 fetches by key per envelope (--envelope). Floor: a raw echo of single messages (goal 8).
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <algorithm>
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
        argc, argv, "fetch_envelope: 32 fetches per message against a raw echo of single messages");
    const auto where = rabbitmq_from_environment();
    bench_node node{{options.brokers, 0}};
    const auto echoes = static_cast<std::uint64_t>(60'000 * options.scale);
    const std::uint64_t per_message = options.envelope != 0 ? options.envelope : 32;
    const std::uint64_t window = options.window != 0 ? options.window : 16 * per_message;
    const auto messages =
        std::min(echoes, static_cast<std::uint64_t>(480'000 * options.scale) / per_message);
    const comparison what{"fetch_envelope",
                          "fetches/s",
                          8.0,
                          {{"messages", messages},
                           {"envelope", per_message},
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
        load asked;
        asked.messages = messages;
        asked.operations_per_message = per_message;
        asked.window = window;
        asked.exchange = node.exchange();
        asked.routing_key = "users.read";
        asked.make = envelopes_of(per_message, append_fetch, row_of);
        asked.verify = answers_in_order(per_message, expected_row, row_of);
        return run_load(where, asked);
    };
    const auto code = compare(what, options, floor, beds);
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "fetch_envelope: %s\n", failed.what());
    return 1;
}
