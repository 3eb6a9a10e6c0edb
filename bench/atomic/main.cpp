// Envelopes of mode atomic with 4 writes, window 64 envelopes. Floor: the same transaction by hand
// - 4 prepared UPDATEs, 4 inbox rows, a durable commit - without AMQP, with as many sessions as
// brokers. Effects are counted in the table (goal 0.85, that of write_envelope by hand).
#include "common/by_hand.hpp"
#include "common/fixture.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>

using namespace beds::bench;

namespace {

constexpr std::uint64_t writes = 4;

std::uint64_t transactions_by_hand(sql_session& session, unsigned which, std::uint64_t count) {
    static std::atomic<std::uint64_t> ids{0};
    auto update = session.prepare("UPDATE floor_users SET balance = balance + ? WHERE id = ?");
    auto inbox =
        session.prepare("INSERT INTO floor_inbox (principal, id, content, reply) VALUES "
                        "('floor',?,'0123456789abcdef',?),('floor',?,'0123456789abcdef',?),"
                        "('floor',?,'0123456789abcdef',?),('floor',?,'0123456789abcdef',?)");
    constexpr std::string_view reply = R"({"status":"ok","effect":"applied","count":1})";
    std::array<std::int64_t, writes> keys{};
    std::array<std::string, writes> names;
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto id = std::to_string(++ids) + "/0123456789abcdef/";
        for (std::uint64_t k = 0; k < writes; ++k) {
            keys[k] = overlapping_row((which * count + i) * writes + k);
            names[k] = id + std::to_string(k);
            inbox.set(2 * k, names[k]);
            inbox.set(2 * k + 1, reply);
        }
        std::sort(keys.begin(), keys.end()); // one order for all: no deadlocks
        for (bool done = false; !done;) {
            done = inbox.execute();
            for (std::uint64_t k = 0; done && k < writes; ++k) {
                update.set(0, std::int64_t{1});
                update.set(1, keys[k]);
                done = update.execute();
            }
        }
        session.commit();
    }
    return count;
}

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "atomic: envelopes of mode atomic with 4 writes against the same by hand");
    const auto where = rabbitmq_from_environment();
    bench_node node{{0, options.brokers}};
    make_floor_tables(node);
    const auto envelopes = static_cast<std::uint64_t>(8'000 * options.scale);
    const std::uint64_t window = options.window != 0 ? options.window : 64 * writes;
    const comparison what{
        "atomic",
        "transactions/s",
        0.85,
        {{"envelopes", envelopes},
         {"envelope", writes},
         {"window", window},
         {"brokers", options.brokers},
         {"innodb_flush_log_at_trx_commit",
          static_cast<std::uint64_t>(node.query("SELECT @@innodb_flush_log_at_trx_commit"))}}};

    std::uint64_t written_by_hand = 0;
    const auto floor = [&] {
        const auto each = envelopes / options.brokers;
        written_by_hand += each * options.brokers * writes;
        return run_by_hand(node.mariadb(), options.brokers,
                           [&](sql_session& session, unsigned which) {
                               return transactions_by_hand(session, which, each);
                           });
    };
    std::uint64_t acknowledged = 0;
    const auto beds = [&] {
        load asked;
        asked.messages = envelopes;
        asked.operations_per_message = writes;
        asked.window = window;
        asked.kind = durability::confirmed;
        asked.exchange = node.exchange();
        asked.routing_key = "users.write";
        asked.make = envelopes_of(writes, append_increment, overlapping_row,
                                  R"({"v":1,"mode":"atomic","ops":[)");
        asked.verify = [&](std::uint64_t, std::string_view got) {
            const auto applied = occurrences(got, applied_once);
            acknowledged += applied;
            return applied == writes;
        };
        auto result = run_load(where, asked);
        result.operations_per_second /= static_cast<double>(writes);
        return result;
    };
    const auto code = compare(what, options, floor, beds, [&] {
        return check_floor_increments(node, written_by_hand) + check_increments(node, acknowledged);
    });
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "atomic: %s\n", failed.what());
    return 1;
}
