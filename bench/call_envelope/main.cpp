// 32 calls of a writing procedure per message. Floor: a hand-written loop of 32 CALLs in one
// prepared BEGIN NOT ATOMIC block, a durable commit each 256 calls, without AMQP and without an
// inbox, with as many sessions as brokers. Effects are counted in the table (goal 0.90).
#include "common/by_hand.hpp"
#include "common/fixture.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

using namespace beds::bench;

namespace {

constexpr std::uint64_t per_block = 32;
constexpr std::uint64_t per_commit = 256;

/// Returns how many calls it made: a multiple of per_commit for each session.
std::uint64_t calls_by_hand(sql_session& session, unsigned which, std::uint64_t calls) {
    std::string sql = "BEGIN NOT ATOMIC ";
    std::string out = "SELECT ";
    for (std::uint64_t k = 0; k < per_block; ++k) {
        const auto variable = "@o" + std::to_string(k);
        sql += "CALL floor_credit(?,?," + variable + "); ";
        out += (k == 0 ? "" : ",") + variable;
    }
    auto block = session.prepare(sql + out + "; END");
    std::vector<std::int64_t> keys(per_commit);
    auto operation = which * calls;
    std::uint64_t done = 0;
    while (done < calls) {
        for (auto& key : keys) {
            key = overlapping_row(operation++);
        }
        std::sort(keys.begin(), keys.end()); // one order for all: no deadlocks
        for (bool committed = false; !committed;) {
            committed = true;
            for (std::uint64_t at = 0; committed && at < per_commit; at += per_block) {
                for (std::uint64_t k = 0; k < per_block; ++k) {
                    block.set(2 * k, keys[at + k]);
                    block.set(2 * k + 1, std::int64_t{1});
                }
                committed = block.execute();
            }
        }
        session.commit();
        done += per_commit;
    }
    return done;
}

} // namespace

int main(int argc, char** argv) try {
    const auto options =
        parse_options(argc, argv,
                      "call_envelope: 32 procedure calls per message against 32 CALLs "
                      "in one block, by hand");
    const auto where = rabbitmq_from_environment();
    bench_node node{{0, options.brokers}};
    make_floor_tables(node);
    const std::uint64_t per_message = options.envelope != 0 ? options.envelope : 32;
    const std::uint64_t window = options.window != 0 ? options.window : 16 * per_message;
    const auto by_hand = static_cast<std::uint64_t>(64'000 * options.scale);
    const auto messages = static_cast<std::uint64_t>(48'000 * options.scale) / per_message;
    const comparison what{
        "call_envelope",
        "calls/s",
        0.90,
        {{"messages", messages},
         {"envelope", per_message},
         {"window", window},
         {"by_hand", by_hand},
         {"brokers", options.brokers},
         {"innodb_flush_log_at_trx_commit",
          static_cast<std::uint64_t>(node.query("SELECT @@innodb_flush_log_at_trx_commit"))}}};

    std::uint64_t written_by_hand = 0;
    const auto floor = [&] {
        const auto each = by_hand / options.brokers;
        written_by_hand += (each + per_commit - 1) / per_commit * per_commit * options.brokers;
        return run_by_hand(node.mariadb(), options.brokers,
                           [&](sql_session& session, unsigned which) {
                               return calls_by_hand(session, which, each);
                           });
    };
    std::uint64_t acknowledged = 0;
    const auto beds = [&] {
        load asked;
        asked.messages = messages;
        asked.operations_per_message = per_message;
        asked.window = window;
        asked.kind = durability::confirmed;
        asked.exchange = node.exchange();
        asked.routing_key = "users.write";
        asked.make = envelopes_of(per_message, append_credit, overlapping_row);
        asked.verify = [&](std::uint64_t, std::string_view got) {
            std::uint64_t applied = 0;
            constexpr std::string_view mark =
                R"({"status":"ok","effect":"applied","out":{"balance":)";
            for (auto at = got.find(mark); at != std::string_view::npos;
                 at = got.find(mark, at + 1)) {
                const auto first = got[at + mark.size()];
                applied += first >= '1' && first <= '9' ? 1 : 0;
            }
            acknowledged += applied;
            return applied == per_message;
        };
        return run_load(where, asked);
    };
    const auto code = compare(what, options, floor, beds, [&] {
        return check_floor_increments(node, written_by_hand) + check_increments(node, acknowledged);
    });
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "call_envelope: %s\n", failed.what());
    return 1;
}
