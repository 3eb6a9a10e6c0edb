// What a day of writes in the inbox costs the next write: durable writes, window 256, where the
// inbox holds 16 million rows, against the same node with an empty one. Ids rise with time as those
// of the client do (goal 0.80), are spread like random UUIDs over an inbox that is larger than the
// buffer pool, so that each write reads a page of it (goal 0.40), and rise while all of these rows
// are too old and are being deleted (goal 0.60).
#include "common/fixture.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <thread>

using namespace beds::bench;

namespace {

struct world {
    bench_node node;
    std::uint64_t acknowledged = 0;
};

measurement write(world& in, std::uint64_t messages, std::uint64_t window, bool scattered_ids) {
    load asked;
    asked.messages = messages;
    asked.window = window;
    asked.kind = durability::confirmed;
    asked.scattered_ids = scattered_ids;
    asked.make = single_requests(append_increment, overlapping_row);
    asked.exchange = in.node.exchange();
    asked.routing_key = "users.write";
    asked.verify = [&](std::uint64_t, std::string_view got) {
        const bool applied =
            got.find(R"("status":"ok","effect":"applied","count":1})") != std::string_view::npos;
        in.acknowledged += applied ? 1 : 0;
        return applied;
    };
    return run_load(rabbitmq_from_environment(), asked);
}

/// As many rows as some day's writes leave, between 2 and 20 hours old.
void fill(const bench_node& node, std::uint64_t rows, bool scattered_ids) {
    std::printf("  filling an inbox with %llu rows\n", static_cast<unsigned long long>(rows));
    std::fflush(stdout);
    const auto count = std::to_string(rows);
    // Into an empty table InnoDB sorts and loads at once when nothing is checked.
    node.run("SET SESSION unique_checks = 0, foreign_key_checks = 0");
    node.run("INSERT INTO beds_inbox SELECT 'anonymous', " +
             std::string{scattered_ids ? "CONCAT(LEFT(MD5(seq), 16), '-', HEX(seq))"
                                       : "CONCAT('17', LPAD(HEX(seq), 14, '0'), '-0')"} +
             ", UNHEX(MD5(seq)), '{\"status\":\"ok\",\"effect\":\"applied\",\"count\":1}', "
             "NOW(6) - INTERVAL 20 HOUR + INTERVAL seq * (18 * 3600 / " +
             count + ") SECOND FROM seq_1_to_" + count);
    node.run("SET SESSION unique_checks = 1, foreign_key_checks = 1");
}

/// Empty: every acknowledged write took effect once.
std::string check(const world& one) {
    const auto applied = one.node.query("SELECT SUM(balance) - 100 * COUNT(*) FROM bench_users");
    return applied == static_cast<std::int64_t>(one.acknowledged)
               ? ""
               : std::to_string(one.acknowledged) + " acknowledged, " + std::to_string(applied) +
                     " applied; ";
}

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "inbox: durable writes over an inbox of 16 million rows, against an empty one");
    const auto rows =
        options.judge ? static_cast<std::uint64_t>(16'000'000 * options.scale) : 20'000;
    const auto messages = static_cast<std::uint64_t>(20'000 * options.scale);
    const std::uint64_t window = options.window != 0 ? options.window : 256;
    world empty{bench_node{{0, options.brokers}}};
    const auto pool = empty.node.query("SELECT @@innodb_buffer_pool_size");
    const auto compared = [&](const char* name, double goal, world& against, bool scattered_ids) {
        const comparison what{name,
                              "writes/s",
                              goal,
                              {{"messages", messages},
                               {"window", window},
                               {"brokers", options.brokers},
                               {"inbox_rows", rows},
                               {"innodb_buffer_pool_size", static_cast<std::uint64_t>(pool)}}};
        return compare(
            what, options, [&] { return write(empty, messages, window, scattered_ids); },
            [&] { return write(against, messages, window, scattered_ids); },
            [&] { return check(empty) + check(against); });
    };
    int code = 0;
    {
        world full{bench_node{{0, options.brokers}}};
        fill(full.node, rows, true);
        code = compared("inbox_scattered", 0.40, full, true);
    }
    {
        world pruned{bench_node{{0, options.brokers, {}, {}, std::chrono::minutes{1}}}};
        fill(pruned.node, rows, false);
        const auto oldest = [&] {
            return pruned.node.query("SELECT UNIX_TIMESTAMP(MIN(created)) FROM beds_inbox");
        };
        const auto old = [&] {
            return pruned.node.query("SELECT COUNT(*) FROM beds_inbox WHERE created < NOW(6) - "
                                     "INTERVAL 1 HOUR");
        };
        // The first write starts the deletions; they go on through all rounds.
        const auto first = oldest();
        write(pruned, 1, 1, false);
        for (int i = 0; i < 200 && oldest() == first; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds{100});
        }
        const auto began = std::chrono::steady_clock::now();
        const auto before = old();
        code = std::max(code, compared("inbox_pruning", 0.60, pruned, false));
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        const auto left = old();
        std::printf("  %lld rows deleted meanwhile, %.0f a second; %lld left\n",
                    static_cast<long long>(before - left),
                    static_cast<double>(before - left) / took.count(),
                    static_cast<long long>(left));
        if (options.judge && (left == 0 || left == before)) {
            std::printf("  WRONG: the deletions did not go on through all rounds\n");
            return 1;
        }
    }
    world full{bench_node{{0, options.brokers}}};
    fill(full.node, rows, false);
    return std::max(code, compared("inbox", 0.80, full, false));
} catch (const std::exception& failed) {
    std::fprintf(stderr, "inbox: %s\n", failed.what());
    return 1;
}
