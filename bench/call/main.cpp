// 1 call of a writing procedure per message, window 256: deduplicated, committed, confirmed, with
// an out argument. Floor: a raw echo of persistent messages, confirmed both ways. Effects are
// counted in the table (goal 0.90, that of write).
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <cstdio>
#include <exception>

using namespace beds::bench;

namespace {

bool is_digit(char one) {
    return one >= '1' && one <= '9';
}

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "call: one procedure call per message, window 256, against a confirmed echo");
    const auto where = rabbitmq_from_environment();
    bench_node node{{0, options.brokers}};
    const auto messages = static_cast<std::uint64_t>(20'000 * options.scale);
    const std::uint64_t window = options.window != 0 ? options.window : 256;
    const comparison what{
        "call",
        "calls/s",
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
    request.make = single_requests(append_credit, overlapping_row);
    const auto floor = [&] {
        const std::string reply =
            R"({"v":1,"event":"dev.0000000000000000000000000000","status":"ok","effect":"applied","out":{"balance":101}})";
        return run_echo(where, node.exchange() + ".floor", options.brokers, request, reply);
    };
    std::uint64_t acknowledged = 0;
    const auto beds = [&] {
        auto asked = request;
        asked.exchange = node.exchange();
        asked.routing_key = "users.write";
        asked.verify = [&](std::uint64_t, std::string_view got) {
            constexpr std::string_view mark =
                R"("status":"ok","effect":"applied","out":{"balance":)";
            const auto at = got.find(mark);
            const bool applied = at != std::string_view::npos && is_digit(got[at + mark.size()]);
            acknowledged += applied ? 1 : 0;
            return applied;
        };
        return run_load(where, asked);
    };
    const auto code =
        compare(what, options, floor, beds, [&] { return check_increments(node, acknowledged); });
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "call: %s\n", failed.what());
    return 1;
}
