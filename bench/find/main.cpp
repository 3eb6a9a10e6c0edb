// Finds of 20 rows by an indexed field, one per message, window 256; every other one asks for the
// next page by the cursor of a page before. Floor: a raw echo of the same bytes (goal 0.90, that of
// fetch).
#include "common/fixture.hpp"
#include "common/floor.hpp"
#include "common/report.hpp"

#include <cstdio>
#include <exception>
#include <vector>

using namespace beds::bench;

namespace {

constexpr std::int64_t owners = 500;
constexpr std::int64_t pages = 2;
constexpr std::int64_t page_rows = 20;

constexpr std::string_view orders_template = R"toml(
[template]
name = "orders"
store = "rel"
object = "bench_orders"
key = ["id"]
[fields]
id    = { type = "int64", required = true }
owner = { type = "int32" }
total = { type = "int64" }
note  = { type = "string", max = 64 }
[[index]]
fields = ["owner"]
)toml";

/// Of every owner two pages.
std::string expected_page(std::int64_t owner, std::int64_t page) {
    std::string text = R"("status":"ok","effect":"none","rows":[)";
    for (std::int64_t k = page * page_rows; k < (page + 1) * page_rows; ++k) {
        const auto id = owner + owners * k;
        text.append(k == page * page_rows ? R"({"id":)" : R"(,{"id":)")
            .append(std::to_string(id))
            .append(R"(,"owner":)")
            .append(std::to_string(owner))
            .append(R"(,"total":)")
            .append(std::to_string(3 * id))
            .append(R"(,"note":"order )")
            .append(std::to_string(id))
            .append(R"("})");
    }
    return text + "]";
}

struct question {
    std::int64_t owner = 0;
    std::int64_t page = 0;
};

struct next_page {
    std::int64_t owner;
    std::string cursor;
};

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "find: 20 rows by an indexed field, with next page, against a raw echo");
    const auto where = rabbitmq_from_environment();
    const bench_node node{
        {options.brokers,
         0,
         {"CREATE TABLE bench_orders (id BIGINT PRIMARY KEY, owner INT, total BIGINT, note "
          "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, KEY (owner)) ENGINE=InnoDB",
          "INSERT INTO bench_orders SELECT seq, 1 + (seq - 1) % " + std::to_string(owners) +
              ", 3 * seq, CONCAT('order ', seq) FROM seq_1_to_" +
              std::to_string(owners * pages * page_rows)},
         {std::string{orders_template}}}};
    const auto messages = static_cast<std::uint64_t>(30'000 * options.scale);
    const std::uint64_t window = options.window != 0 ? options.window : 256;
    const comparison what{"find",
                          "finds/s",
                          0.90,
                          {{"messages", messages},
                           {"window", window},
                           {"rows", static_cast<std::uint64_t>(page_rows)},
                           {"table", static_cast<std::uint64_t>(owners * pages * page_rows)},
                           {"brokers", options.brokers},
                           {"max_batch", 256}}};
    std::vector<std::string> expected;
    for (std::int64_t owner = 1; owner <= owners; ++owner) {
        for (std::int64_t page = 0; page < pages; ++page) {
            expected.push_back(expected_page(owner, page));
        }
    }

    std::vector<question> asked_for(messages);
    std::vector<next_page> open;
    const auto ask = [&](std::uint64_t i, std::string& body) {
        auto& now = asked_for[i];
        now = {1 + static_cast<std::int64_t>(i * 7919) % owners, 0};
        std::string after;
        if (!open.empty()) {
            now = {open.back().owner, 1};
            after = std::move(open.back().cursor);
            open.pop_back();
        }
        body.append(R"({"v":1,"template":"orders","op":"find","where":{"owner":)")
            .append(std::to_string(now.owner))
            .append(R"(},"limit":)")
            .append(std::to_string(page_rows));
        if (now.page != 0) {
            body.append(R"(,"after":")").append(after).append("\"");
        }
        body.append("}");
    };
    const auto right = [&](std::uint64_t i, std::string_view got) {
        const auto& now = asked_for[i];
        const auto& rows = expected[static_cast<std::size_t>((now.owner - 1) * pages + now.page)];
        const auto at = got.find(rows);
        if (at == std::string_view::npos) {
            return false;
        }
        const auto rest = got.substr(at + rows.size());
        if (now.page == pages - 1) {
            return rest == "}";
        }
        constexpr std::string_view mark = R"(,"next":")";
        const auto end = rest.find('"', mark.size());
        if (!rest.starts_with(mark) || end == std::string_view::npos) {
            return false;
        }
        open.push_back({now.owner, std::string{rest.substr(mark.size(), end - mark.size())}});
        return true;
    };
    load request;
    request.messages = messages;
    request.window = window;
    const auto floor = [&] {
        auto raw = request;
        // As many bytes each way as BEDS has on the average of both pages.
        raw.make = [](std::uint64_t i, std::string& body) {
            body.append(R"({"v":1,"template":"orders","op":"find","where":{"owner":)")
                .append(std::to_string(1 + static_cast<std::int64_t>(i * 7919) % owners))
                .append(R"(},"limit":20,"after":"0123456789012345678901234567890123456789"})");
        };
        return run_echo(where, node.exchange() + ".floor", options.brokers, raw,
                        R"({"v":1,"event":"dev.0000000000000000000000000000",)" + expected.front() +
                            R"(,"next":"0123456789012345678901234567890123456789"})");
    };
    const auto beds = [&] {
        open.clear();
        auto asked = request;
        asked.exchange = node.exchange();
        asked.routing_key = "orders.read";
        asked.make = ask;
        asked.verify = right;
        return run_load(where, asked);
    };
    const auto code = compare(what, options, floor, beds);
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "find: %s\n", failed.what());
    return 1;
}
