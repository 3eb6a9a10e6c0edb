// 32 durable writes per envelope (--envelope) - inbox, commit, confirmed reply - against a raw echo
// of single, persistent, confirmed messages. The effects are counted in the table afterwards.
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/report.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>

using namespace beds::bench;

namespace {

std::int64_t row_of(std::uint64_t operation) {
    return 1 + static_cast<std::int64_t>(operation * 7919 % static_cast<std::uint64_t>(bench_rows));
}

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv,
        "write_envelope: 32 durable writes per message against a raw, persistent, confirmed echo");
    const auto where = rabbitmq_from_environment();
    bench_node node{{0, options.brokers}};
    const auto echoes = static_cast<std::uint64_t>(30'000 * options.scale);
    const std::uint64_t per_message = options.envelope != 0 ? options.envelope : 32;
    const std::uint64_t window = options.window != 0 ? options.window : 16 * per_message;
    const auto messages =
        std::min(echoes, static_cast<std::uint64_t>(96'000 * options.scale) / per_message);
    const comparison what{
        "write_envelope",
        "writes/s",
        1.5,
        {{"messages", messages},
         {"envelope", per_message},
         {"window", window},
         {"echoes", echoes},
         {"brokers", options.brokers},
         {"innodb_flush_log_at_trx_commit",
          static_cast<std::uint64_t>(node.query("SELECT @@innodb_flush_log_at_trx_commit"))}}};

    std::uint64_t acknowledged = 0;
    const auto floor = [&] {
        const std::string reply =
            R"({"v":1,"event":"dev.0000000000000000000000000000","status":"ok","effect":"applied","count":1})";
        const auto queue = node.exchange() + ".floor";
        echo_floor echo{where, queue, options.brokers, durability::confirmed, reply};
        load raw;
        raw.messages = echoes;
        raw.kind = durability::confirmed;
        raw.routing_key = queue;
        raw.make = [](std::uint64_t i, std::string& body) {
            body.append(R"({"v":1,"template":"users","op":"update","key":)")
                .append(std::to_string(row_of(i)))
                .append(R"(,"inc":{"balance":1}})");
        };
        raw.verify = [&](std::uint64_t, std::string_view got) { return got == reply; };
        return run_load(where, raw);
    };
    const auto beds = [&] {
        load asked;
        asked.messages = messages;
        asked.operations_per_message = per_message;
        asked.window = window;
        asked.kind = durability::confirmed;
        asked.exchange = node.exchange();
        asked.routing_key = "users.write";
        asked.make = [per_message](std::uint64_t i, std::string& body) {
            body.append(R"({"v":1,"ops":[)");
            for (std::uint64_t k = 0; k < per_message; ++k) {
                body.append(k == 0 ? "" : ",")
                    .append(R"({"template":"users","op":"update","key":)")
                    .append(std::to_string(row_of(i * per_message + k)))
                    .append(R"(,"inc":{"balance":1}})");
            }
            body.append("]}");
        };
        asked.verify = [&](std::uint64_t, std::string_view got) {
            std::uint64_t applied = 0;
            constexpr std::string_view mark = R"({"status":"ok","effect":"applied","count":1})";
            for (auto at = got.find(mark); at != std::string_view::npos;
                 at = got.find(mark, at + 1)) {
                ++applied;
            }
            acknowledged += applied;
            return applied == per_message;
        };
        return run_load(where, asked);
    };
    const auto check = [&]() -> std::string {
        const auto applied = node.query("SELECT SUM(balance) - 100 * COUNT(*) FROM bench_users");
        const auto inbox = node.query("SELECT COUNT(*) FROM beds_inbox");
        std::printf("  acknowledged %llu, applied %lld, inbox rows %lld\n",
                    static_cast<unsigned long long>(acknowledged), static_cast<long long>(applied),
                    static_cast<long long>(inbox));
        const auto expected = static_cast<std::int64_t>(acknowledged);
        return applied == expected && inbox == expected ? ""
                                                        : "effects and acknowledgements differ";
    };
    const auto code = compare(what, options, floor, beds, check);
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "write_envelope: %s\n", failed.what());
    return 1;
}
