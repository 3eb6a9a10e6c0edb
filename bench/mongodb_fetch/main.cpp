// 32 fetches by key per envelope (--envelope) on MongoDB, over RabbitMQ, against a loop over the
// bare driver without RabbitMQ: one find with $in for as many keys as are under way here, ending in
// the same bytes (goal 0.90). servers: rabbitmq mongodb
#include "common/mongodb.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <cstdio>
#include <exception>

using namespace beds::bench;

namespace {

std::int64_t row_of(std::uint64_t operation) {
    return spread_row(operation, mongodb_rows);
}

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "mongodb_fetch: fetches per envelope against a loop over the bare driver");
    const auto where = rabbitmq_from_environment();
    mongodb_node node{options.brokers, 0};
    const std::uint64_t per_message = options.envelope != 0 ? options.envelope : 32;
    const std::uint64_t window = options.window != 0 ? options.window : 16 * per_message;
    const auto operations =
        static_cast<std::uint64_t>(40'000 * options.scale) / per_message * per_message;
    const std::size_t batch = 256;
    const comparison what{"mongodb_fetch",
                          "fetches/s",
                          0.9,
                          {{"operations", operations},
                           {"envelope", per_message},
                           {"window", window},
                           {"brokers", options.brokers},
                           {"batch_by_hand", batch},
                           {"rows", static_cast<std::uint64_t>(mongodb_rows)},
                           {"server", node.server()}}};
    const auto beds = [&] {
        load asked;
        asked.messages = operations / per_message;
        asked.operations_per_message = per_message;
        asked.window = window;
        asked.exchange = node.exchange();
        asked.routing_key = "users.read";
        asked.make = envelopes_of(per_message, append_fetch, row_of);
        asked.verify = answers_in_order(per_message, expected_document, row_of);
        return run_load(where, asked);
    };
    // The server's compiler has seen both kinds of load before they are measured.
    static_cast<void>(node.fetches_by_hand(options.brokers, operations / 4, batch));
    static_cast<void>(beds());
    const auto code = compare(
        what, options, [&] { return node.fetches_by_hand(options.brokers, operations, batch); },
        beds);
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "mongodb_fetch: %s\n", failed.what());
    return 1;
}
