// 32 increments by key per envelope (--envelope) on MongoDB, over RabbitMQ, confirmed, against a
// loop of bulk operations over the bare driver without RabbitMQ, with the same write concern and
// the same evidence: an intent before each write, its token in the document's ring, a reply after
// it (goal 0.90). The effects are counted. servers: rabbitmq mongodb
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
        argc, argv, "mongodb_write: writes per envelope against a loop over the bare driver");
    const auto where = rabbitmq_from_environment();
    mongodb_node node{0, options.brokers};
    const std::uint64_t per_message = options.envelope != 0 ? options.envelope : 32;
    const std::uint64_t window = options.window != 0 ? options.window : 16 * per_message;
    const auto operations =
        static_cast<std::uint64_t>(6'000 * options.scale) / per_message * per_message;
    const std::size_t batch = 256;
    const comparison what{"mongodb_write",
                          "writes/s",
                          0.9,
                          {{"operations", operations},
                           {"envelope", per_message},
                           {"window", window},
                           {"brokers", options.brokers},
                           {"batch_by_hand", batch},
                           {"rows", static_cast<std::uint64_t>(mongodb_rows)},
                           {"evidence", "intents, rings, replies"},
                           {"server", node.server()}}};
    std::uint64_t by_hand = 0;
    std::uint64_t acknowledged = 0;
    const auto floor = [&](std::uint64_t count) {
        by_hand += count / options.brokers * options.brokers;
        return node.updates_by_hand(options.brokers, count, batch);
    };
    const auto beds = [&] {
        load asked;
        asked.messages = operations / per_message;
        asked.operations_per_message = per_message;
        asked.window = window;
        asked.kind = durability::confirmed;
        asked.exchange = node.exchange();
        asked.routing_key = "users.write";
        asked.make = envelopes_of(per_message, append_increment, row_of);
        asked.verify = [&](std::uint64_t, std::string_view got) {
            const auto applied = occurrences(got, R"({"status":"ok","effect":"applied")");
            acknowledged += applied;
            return applied == per_message;
        };
        return run_load(where, asked);
    };
    // The server's compiler has seen both kinds of load before they are measured.
    static_cast<void>(floor(operations / 4));
    static_cast<void>(beds());
    const auto code = compare(
        what, options, [&] { return floor(operations); }, beds,
        [&]() -> std::string {
            const auto there = node.increments();
            const auto expected = static_cast<std::int64_t>(by_hand + acknowledged);
            std::printf("  by hand %llu, acknowledged %llu, applied %lld\n",
                        static_cast<unsigned long long>(by_hand),
                        static_cast<unsigned long long>(acknowledged),
                        static_cast<long long>(there));
            return there == expected ? "" : "effects and acknowledgements differ";
        });
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "mongodb_write: %s\n", failed.what());
    return 1;
}
