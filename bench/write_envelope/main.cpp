// 32 durable writes per envelope (--envelope), 64 envelopes under way: deduplicated, committed,
// confirmed. Floor: a raw echo of single, persistent messages, confirmed both ways (goal 4);
// write_envelope_by_hand: a hand-written UPDATE ... JOIN of 512 rows and their inbox rows,
// committed, without AMQP, with as many sessions as brokers (goal 0.85). BEDS may commit as many
// at a time. Effects are counted in the tables.
#include "common/by_hand.hpp"
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>

using namespace beds::bench;

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv,
        "write_envelope: 32 durable writes per message against a raw, persistent, confirmed echo");
    const auto where = rabbitmq_from_environment();
    constexpr std::uint64_t rows_by_hand = 512;
    bench_node node{
        {.read_brokers = 0, .write_brokers = options.brokers, .max_batch = rows_by_hand}};
    make_floor_tables(node);
    const auto echoes = static_cast<std::uint64_t>(30'000 * options.scale);
    const std::uint64_t per_message = options.envelope != 0 ? options.envelope : 32;
    const std::uint64_t window = options.window != 0 ? options.window : 64 * per_message;
    const auto messages =
        std::min(echoes, static_cast<std::uint64_t>(96'000 * options.scale) / per_message);
    const comparison what{
        "write_envelope",
        "writes/s",
        4.0,
        {{"messages", messages},
         {"envelope", per_message},
         {"window", window},
         {"echoes", echoes},
         {"brokers", options.brokers},
         {"max_batch", rows_by_hand},
         {"innodb_flush_log_at_trx_commit",
          static_cast<std::uint64_t>(node.query("SELECT @@innodb_flush_log_at_trx_commit"))}}};

    std::uint64_t acknowledged = 0;
    const auto floor = [&] {
        load raw;
        raw.messages = echoes;
        raw.kind = durability::confirmed;
        raw.make = single_requests(append_increment, overlapping_row);
        return run_echo(where, node.exchange() + ".floor", options.brokers, raw, echo_of_a_write());
    };
    const auto by_hand = static_cast<std::uint64_t>(204'800 * options.scale);
    std::uint64_t written_by_hand = 0;
    const auto without_amqp = [&] {
        written_by_hand +=
            by_hand / options.brokers / rows_by_hand * rows_by_hand * options.brokers;
        return updates_by_hand(node, options.brokers, by_hand, rows_by_hand);
    };
    const auto beds = [&] {
        load asked;
        asked.messages = messages;
        asked.operations_per_message = per_message;
        asked.window = window;
        asked.kind = durability::confirmed;
        asked.exchange = node.exchange();
        asked.routing_key = "users.write";
        asked.make = envelopes_of(per_message, append_increment, overlapping_row);
        asked.verify = [&](std::uint64_t, std::string_view got) {
            const auto applied = occurrences(got, applied_once);
            acknowledged += applied;
            return applied == per_message;
        };
        return run_load(where, asked);
    };
    const auto check = [&] {
        return check_floor_increments(node, written_by_hand) + check_increments(node, acknowledged);
    };
    const auto code = compare(what, options, floor, beds, check,
                              {{"write_envelope_by_hand", 0.85, without_amqp}});
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "write_envelope: %s\n", failed.what());
    return 1;
}
