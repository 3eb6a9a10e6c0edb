// A find of 100 MB, in parts, read to its end by a libbeds client, and the memory that node and
// client take for it together (at most 64 MiB). Floor: the same rows by a prepared statement over
// Connector/C, without AMQP (goal 0.20).
#include "common/client_load.hpp"
#include "common/fixture.hpp"
#include "common/report.hpp"

#include <mysql.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <stdexcept>

using namespace beds::bench;
namespace client = beds::client;

namespace {

constexpr std::int64_t most_rows = 100'000;
constexpr std::size_t text_bytes = 1000;
constexpr double ceiling_mib = 64;

constexpr std::string_view pages_template = R"toml(
[template]
name = "pages"
store = "rel"
object = "bench_pages"
key = ["id"]
[fields]
id   = { type = "int64", required = true }
text = { type = "string", max = 1000 }
[limits]
max_rows = 100000
deadline = "60s"
)toml";

/// Row `id` ends with its own number, so that no two are the same.
bool right_text(std::int64_t id, std::string_view text) {
    return text.size() == text_bytes && text.ends_with("#" + std::to_string(id));
}

double megabytes_a_second(std::int64_t rows, std::chrono::steady_clock::duration took) {
    return static_cast<double>(rows) * static_cast<double>(text_bytes) / 1e6 /
           std::chrono::duration<double>(took).count();
}

/// A line of /proc/self/status, in MiB.
double status_mib(std::string_view name) {
    std::ifstream file{"/proc/self/status"};
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(name)) {
            return std::strtod(line.c_str() + name.size() + 1, nullptr) / 1024;
        }
    }
    throw std::runtime_error("/proc/self/status has no such line");
}

/// From now on VmHWM is the highest since now.
void forget_peak() {
    std::ofstream{"/proc/self/clear_refs"} << 5;
}

struct closing {
    void operator()(MYSQL* one) const { mysql_close(one); }
    void operator()(MYSQL_STMT* one) const { mysql_stmt_close(one); }
};

measurement by_hand(const mariadb_endpoint& where, std::int64_t rows) {
    const std::unique_ptr<MYSQL, closing> handle{mysql_init(nullptr)};
    if (mysql_real_connect(handle.get(), where.host.c_str(), where.user.c_str(),
                           where.password.c_str(), where.database.c_str(), where.port, nullptr,
                           0) == nullptr) {
        throw std::runtime_error(mysql_error(handle.get()));
    }
    const auto begin = std::chrono::steady_clock::now();
    const std::unique_ptr<MYSQL_STMT, closing> statement{mysql_stmt_init(handle.get())};
    const auto sql = "SELECT id, text FROM bench_pages ORDER BY id LIMIT " + std::to_string(rows);
    std::int64_t id = 0;
    std::array<char, text_bytes + 1> text{};
    unsigned long size = 0;
    std::array<MYSQL_BIND, 2> columns{};
    columns[0].buffer_type = MYSQL_TYPE_LONGLONG;
    columns[0].buffer = &id;
    columns[1].buffer_type = MYSQL_TYPE_STRING;
    columns[1].buffer = text.data();
    columns[1].buffer_length = text.size();
    columns[1].length = &size;
    if (mysql_stmt_prepare(statement.get(), sql.data(), sql.size()) != 0 ||
        mysql_stmt_execute(statement.get()) != 0 ||
        mysql_stmt_bind_result(statement.get(), columns.data()) != 0) {
        throw std::runtime_error(mysql_stmt_error(statement.get()));
    }
    measurement made;
    std::int64_t next = 1;
    while (mysql_stmt_fetch(statement.get()) == 0) {
        if (id != next++ || !right_text(id, {text.data(), size})) {
            ++made.wrong;
        }
    }
    made.wrong += next != rows + 1 ? 1U : 0U;
    made.operations_per_second = megabytes_a_second(rows, std::chrono::steady_clock::now() - begin);
    return made;
}

measurement in_parts(client::client& beds, std::int64_t rows) {
    client::request asked{client::find("pages")};
    asked.operations.front().limit = static_cast<std::uint32_t>(rows);
    asked.in_parts = true;
    measurement made;
    std::mutex mutex;
    std::condition_variable changed;
    bool ended = false;
    std::int64_t next = 1;
    const auto begin = std::chrono::steady_clock::now();
    beds.submit(asked, beds::core::deadline::after(std::chrono::seconds{60}),
                [&](const client::reply& part) {
                    const auto found = part.front();
                    for (std::size_t i = 0; i < found.size(); ++i, ++next) {
                        if (found[i].integer("id") != next ||
                            !right_text(next, found[i].text("text"))) {
                            ++made.wrong;
                        }
                    }
                    if (!part.ok()) {
                        ++made.wrong;
                        made.first_wrong = part.json();
                    }
                    if (part.last()) {
                        const std::lock_guard lock{mutex};
                        ended = true;
                        changed.notify_one();
                    }
                });
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] { return ended; });
    made.wrong += next != rows + 1 ? 1U : 0U;
    made.operations_per_second = megabytes_a_second(rows, std::chrono::steady_clock::now() - begin);
    return made;
}

} // namespace

int main(int argc, char** argv) try {
    const auto options =
        parse_options(argc, argv, "large_find: a find of 100 MB in parts, and its memory");
    const auto where = rabbitmq_from_environment();
    const auto rows =
        std::max<std::int64_t>(1000, static_cast<std::int64_t>(static_cast<double>(most_rows) *
                                                               std::min(options.scale, 1.0)));
    bench_node node{
        {options.brokers,
         0,
         {"CREATE TABLE bench_pages (id BIGINT PRIMARY KEY, text VARCHAR(1000) CHARACTER "
          "SET latin1) ENGINE=InnoDB",
          "INSERT INTO bench_pages SELECT seq, LPAD(CONCAT('#', seq), " +
              std::to_string(text_bytes) + ", 'The quick brown fox. ') FROM seq_1_to_" +
              std::to_string(rows)},
         {std::string{pages_template}}}};
    const auto beds = connect_client(where, node);
    double most = 0;
    comparison what{"large_find", "MB/s", 0.2};
    what.settings = {{"rows", static_cast<std::uint64_t>(rows)},
                     {"bytes_per_row", std::uint64_t{text_bytes}},
                     {"memory_ceiling_mib", static_cast<std::uint64_t>(ceiling_mib)}};
    const auto code = compare(
        what, options, [&] { return by_hand(node.mariadb(), rows); },
        [&] {
            forget_peak();
            const auto before = status_mib("VmRSS:");
            const auto made = in_parts(*beds, rows);
            most = std::max(most, status_mib("VmHWM:") - before);
            return made;
        },
        [&]() -> std::string {
            std::printf("  node and client took %.1f MiB more while the rows went through\n", most);
            return most <= ceiling_mib ? "" : "more memory than the ceiling";
        });
    node.print_batches();
    return code;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "large_find: %s\n", failed.what());
    return 1;
}
