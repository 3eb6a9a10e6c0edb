// 1,024 single durable writes of a libbeds client under way at a time; the client makes messages of
// them by itself. Floor: a raw echo of single, persistent messages, confirmed both ways. Effects
// are counted in the table (goal 4).
#include "common/client_load.hpp"
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <atomic>
#include <cstdio>
#include <exception>

using namespace beds::bench;

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "write_client: single writes of a libbeds client against a confirmed echo");
    const auto where = rabbitmq_from_environment();
    bench_node node{{0, options.brokers}};
    const auto echoes = static_cast<std::uint64_t>(30'000 * options.scale);
    const auto calls = static_cast<std::uint64_t>(100'000 * options.scale);
    const std::uint64_t window = options.window != 0 ? options.window : 1024;
    const comparison what{
        "write_client",
        "writes/s",
        4.0,
        {{"calls", calls},
         {"window", window},
         {"echoes", echoes},
         {"brokers", options.brokers},
         {"innodb_flush_log_at_trx_commit",
          static_cast<std::uint64_t>(node.query("SELECT @@innodb_flush_log_at_trx_commit"))}}};

    const auto floor = [&] {
        load raw;
        raw.messages = echoes;
        raw.kind = durability::confirmed;
        raw.make = single_requests(append_increment, overlapping_row);
        return run_echo(where, node.exchange() + ".floor", options.brokers, raw, echo_of_a_write());
    };
    std::atomic<std::uint64_t> acknowledged{0};
    const auto beds = [&] {
        client_load asked;
        asked.calls = calls;
        asked.window = window;
        asked.make = [](std::uint64_t i) {
            beds::client::operation one;
            one.op = beds::core::verb::update;
            one.template_name = "users";
            one.key = overlapping_row(i);
            one.inc = beds::client::value::object({{"balance", 1}});
            return one;
        };
        asked.verify = [&](std::uint64_t, const beds::client::reply& got) {
            const bool applied = got.size() == 1 &&
                                 got.front().effect() == beds::core::effect::applied &&
                                 got.front().ok() && got.front().count() == 1U;
            acknowledged.fetch_add(applied ? 1 : 0, std::memory_order_relaxed);
            return applied;
        };
        return run_client_load(where, node, asked);
    };
    const auto code =
        compare(what, options, floor, beds, [&] { return check_increments(node, acknowledged); });
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "write_client: %s\n", failed.what());
    return 1;
}
