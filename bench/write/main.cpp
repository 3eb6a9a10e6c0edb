// 1 durable write per message, window 256: deduplicated, committed, confirmed. Floor: a raw echo of
// persistent messages, confirmed both ways, on a classic queue (goal 0.90), and on a quorum queue,
// which is what BEDS declares for writes. Effects are counted in the table.
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <cstdio>
#include <exception>

using namespace beds::bench;

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "write: one durable write per message, window 256, against a confirmed echo");
    const auto where = rabbitmq_from_environment();
    bench_node node{{0, options.brokers}};
    const auto messages = static_cast<std::uint64_t>(30'000 * options.scale);
    const std::uint64_t window = options.window != 0 ? options.window : 256;
    const comparison what{
        "write",
        "writes/s",
        0.90,
        {{"messages", messages},
         {"window", window},
         {"brokers", options.brokers},
         {"max_batch", 256},
         {"innodb_flush_log_at_trx_commit",
          static_cast<std::uint64_t>(node.query("SELECT @@innodb_flush_log_at_trx_commit"))}}};

    load request;
    request.messages = messages;
    request.window = window;
    request.kind = durability::confirmed;
    request.make = single_requests(append_increment, overlapping_row);
    const auto floor = [&] {
        return run_echo(where, node.exchange() + ".floor", options.brokers, request,
                        echo_of_a_write());
    };
    const auto same_queue = [&] {
        auto asked = request;
        asked.kind = durability::quorum;
        return run_echo(where, node.exchange() + ".quorum", options.brokers, asked,
                        echo_of_a_write());
    };
    std::uint64_t acknowledged = 0;
    const auto beds = [&] {
        auto asked = request;
        asked.exchange = node.exchange();
        asked.routing_key = "users.write";
        asked.verify = [&](std::uint64_t, std::string_view got) {
            const bool applied = got.find(R"("status":"ok","effect":"applied","count":1})") !=
                                 std::string_view::npos;
            acknowledged += applied ? 1 : 0;
            return applied;
        };
        return run_load(where, asked);
    };
    const auto code =
        compare(what, options, floor, beds, [&] { return check_increments(node, acknowledged); },
                {{"write_same_queue", 0.9, same_queue}});
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "write: %s\n", failed.what());
    return 1;
}
