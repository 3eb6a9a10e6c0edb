// Batches in process over MariaDB, from request bytes to reply bytes, against a hand-written
// coalesced loop over Connector/C: fetches by a prepared IN list that end in the same bytes;
// updates by a join on their values with their inbox rows, one commit per batch (goal 0.95 each).
// --window N is the batch. servers: rabbitmq mariadb
#include "common/by_hand.hpp"
#include "common/fixture.hpp"
#include "common/in_process.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"

#include <beds/adapters/mariadb.hpp>

#include <mysql.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <exception>
#include <stdexcept>

using namespace beds::bench;

namespace {

std::int64_t row_of(std::uint64_t operation) {
    return spread_row(operation, bench_rows);
}

/// Fetches as one writes them for speed: one prepared statement per batch, cells from the driver's
/// buffers into the bytes of the reply.
class fetches_by_hand {
public:
    fetches_by_hand(const mariadb_endpoint& where, std::size_t batch)
        : handle_(mysql_init(nullptr)), numbers_(batch), parameters_(batch), rows_(batch) {
        if (mysql_real_connect(handle_, where.host.c_str(), where.user.c_str(),
                               where.password.c_str(), where.database.c_str(), where.port, nullptr,
                               0) == nullptr) {
            throw std::runtime_error(mysql_error(handle_));
        }
        mysql_set_character_set(handle_, "utf8mb4");
        std::string sql =
            "SELECT id, email, status, balance, created FROM bench_users WHERE id IN (?";
        for (std::size_t i = 1; i < batch; ++i) {
            sql += ",?";
        }
        sql += ")";
        statement_ = mysql_stmt_init(handle_);
        if (mysql_stmt_prepare(statement_, sql.data(), sql.size()) != 0) {
            fail();
        }
        for (std::size_t i = 0; i < batch; ++i) {
            parameters_[i].buffer_type = MYSQL_TYPE_LONGLONG;
            parameters_[i].buffer = &numbers_[i];
        }
        const auto number = [&](std::size_t column, std::int64_t& into) {
            cells_[column].buffer_type = MYSQL_TYPE_LONGLONG;
            cells_[column].buffer = &into;
        };
        number(0, id_);
        number(2, status_);
        number(3, balance_);
        cells_[1].buffer_type = MYSQL_TYPE_STRING;
        cells_[1].buffer = email_.data();
        cells_[1].buffer_length = email_.size();
        cells_[1].length = &email_size_;
        cells_[4].buffer_type = MYSQL_TYPE_DATETIME;
        cells_[4].buffer = &created_;
        if (mysql_stmt_bind_param(statement_, parameters_.data()) != 0) {
            fail();
        }
    }
    ~fetches_by_hand() {
        mysql_stmt_close(statement_);
        mysql_close(handle_);
    }
    fetches_by_hand(const fetches_by_hand&) = delete;
    fetches_by_hand& operator=(const fetches_by_hand&) = delete;

    std::span<const std::string_view> run(std::span<const std::string> bodies) {
        for (std::size_t i = 0; i < bodies.size(); ++i) {
            constexpr std::string_view mark = R"("key":)";
            const auto& body = bodies[i];
            const auto at = body.find(mark) + mark.size();
            std::from_chars(body.data() + at, body.data() + body.size(), numbers_[i]);
        }
        if (mysql_stmt_execute(statement_) != 0 ||
            mysql_stmt_bind_result(statement_, cells_.data()) != 0) {
            fail();
        }
        bytes_.clear();
        found_.clear();
        while (mysql_stmt_fetch(statement_) == 0) {
            const auto begin = bytes_.size();
            append_row();
            found_.push_back({id_, begin, bytes_.size() - begin});
        }
        mysql_stmt_free_result(statement_);
        std::sort(found_.begin(), found_.end(),
                  [](const place& a, const place& b) { return a.id < b.id; });
        const auto rows_end = bytes_.size();
        ends_.clear();
        for (std::size_t i = 0; i < bodies.size(); ++i) {
            bytes_.append(R"({"v":1,"event":"dev.0000000000000000000000000000",)"
                          R"("status":"ok","effect":"none","rows":[)");
            const auto row = std::lower_bound(found_.begin(), found_.end(), numbers_[i],
                                              [](const place& a, auto id) { return a.id < id; });
            if (row != found_.end() && row->id == numbers_[i]) {
                bytes_.append(bytes_, row->begin, row->size);
            }
            bytes_.append("]}");
            ends_.push_back(bytes_.size());
        }
        auto begin = rows_end;
        for (std::size_t i = 0; i < bodies.size(); ++i) {
            rows_[i] = std::string_view{bytes_}.substr(begin, ends_[i] - begin);
            begin = ends_[i];
        }
        return {rows_.data(), bodies.size()};
    }

private:
    struct place {
        std::int64_t id;
        std::size_t begin, size;
    };

    [[noreturn]] void fail() const {
        throw std::runtime_error(std::string{"by hand: "} + mysql_stmt_error(statement_));
    }
    void append(std::int64_t value) {
        char digits[24];
        bytes_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    }
    void append_row() {
        bytes_.append(R"({"id":)");
        append(id_);
        bytes_.append(R"(,"email":")").append(email_.data(), email_size_).append(R"(","status":)");
        append(status_);
        bytes_.append(R"(,"balance":)");
        append(balance_);
        char created[40];
        const auto size = std::snprintf(created, sizeof created, "%04u-%02u-%02uT%02u:%02u:%02uZ",
                                        created_.year, created_.month, created_.day, created_.hour,
                                        created_.minute, created_.second);
        bytes_.append(R"(,"created":")").append(created, static_cast<std::size_t>(size));
        bytes_.append(R"("})");
    }

    MYSQL* handle_;
    MYSQL_STMT* statement_ = nullptr;
    std::vector<std::int64_t> numbers_;
    std::vector<MYSQL_BIND> parameters_;
    std::array<MYSQL_BIND, 5> cells_{};
    std::int64_t id_ = 0, status_ = 0, balance_ = 0;
    std::array<char, 300> email_{};
    unsigned long email_size_ = 0;
    MYSQL_TIME created_{};
    std::string bytes_;
    std::vector<place> found_;
    std::vector<std::size_t> ends_;
    std::vector<std::string_view> rows_;
};

/// Counts the time of the batches only, not the making of requests and the look at replies.
template <class Run, class Make, class Verify>
measurement measure(Run run, std::uint64_t operations, std::size_t batch, Make make,
                    Verify verify) {
    measurement result;
    std::vector<std::string> bodies(batch);
    std::chrono::steady_clock::duration spent{0};
    std::uint64_t done = 0;
    while (done < operations) {
        for (std::size_t i = 0; i < batch; ++i) {
            bodies[i] = make(done + i);
        }
        const auto begin = std::chrono::steady_clock::now();
        const auto replies = run(std::span<const std::string>{bodies});
        spent += std::chrono::steady_clock::now() - begin;
        for (std::size_t i = 0; i < batch; ++i) {
            if (!verify(done + i, replies[i]) && result.wrong++ == 0) {
                result.first_wrong = replies[i].substr(0, 300);
            }
        }
        done += batch;
    }
    result.operations_per_second =
        static_cast<double>(done) / std::chrono::duration<double>{spent}.count();
    return result;
}

int fetches(const bench_options& options, const bench_node& node, in_process& path) {
    const std::size_t batch = options.window != 0 ? options.window : 64;
    constexpr unsigned slices = 10;
    const auto operations = static_cast<std::uint64_t>(30'000 * options.scale) / batch * batch;
    const comparison what{"embedded_mariadb_fetch",
                          "fetches/s",
                          0.95,
                          {{"operations", slices * operations},
                           {"slices", slices},
                           {"batch", batch},
                           {"rows", static_cast<std::uint64_t>(bench_rows)}}};
    fetches_by_hand by_hand{node.mariadb(), batch};
    const auto make = [](std::uint64_t i) {
        return R"({"v":1,"template":"users","op":"fetch","key":)" + std::to_string(row_of(i)) + "}";
    };
    const auto verify = [](std::uint64_t i, std::string_view got) {
        return got.find(expected_row(row_of(i))) != std::string_view::npos;
    };
    const auto run = [&](auto& through) {
        return measure([&](std::span<const std::string> bodies) { return through.run(bodies); },
                       operations, batch, make, verify);
    };
    path.use(identities::none);
    return compare_in_slices(
        what, options, slices, [&] { return run(by_hand); }, [&] { return run(path); });
}

int writes(const bench_options& options, const bench_node& node, in_process& path) {
    const std::size_t batch = options.window != 0 ? options.window : 256;
    constexpr unsigned slices = 10;
    const auto operations = static_cast<std::uint64_t>(10'000 * options.scale) / batch * batch;
    const comparison what{
        "embedded_mariadb_write",
        "writes/s",
        0.95,
        {{"operations", slices * operations},
         {"slices", slices},
         {"batch", batch},
         {"rows", static_cast<std::uint64_t>(bench_rows)},
         {"innodb_flush_log_at_trx_commit",
          static_cast<std::uint64_t>(node.query("SELECT @@innodb_flush_log_at_trx_commit"))}}};
    make_floor_tables(node);
    std::uint64_t by_hand = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t first = 0;
    path.use(identities::fresh);
    const auto beds = [&] {
        auto result = measure([&](std::span<const std::string> bodies) { return path.run(bodies); },
                              operations, batch,
                              [&](std::uint64_t i) {
                                  return R"({"v":1,"template":"users","op":"update","key":)" +
                                         std::to_string(overlapping_row(first + i)) +
                                         R"(,"inc":{"balance":1}})";
                              },
                              [&](std::uint64_t, std::string_view got) {
                                  const bool applied =
                                      got.find(R"("status":"ok","effect":"applied","count":1)") !=
                                      std::string_view::npos;
                                  acknowledged += applied ? 1 : 0;
                                  return applied;
                              });
        first += operations;
        return result;
    };
    const auto floor = [&] {
        by_hand += operations;
        return updates_by_hand(node, 1, operations, batch);
    };
    return compare_in_slices(what, options, slices, floor, beds, [&] {
        return check_floor_increments(node, by_hand) + check_increments(node, acknowledged);
    });
}

} // namespace

int main(int argc, char** argv) try {
    const auto options = parse_options(
        argc, argv, "embedded_mariadb: batches in process over MariaDB, against a loop by hand");
    bench_node node{{1, 0}};
    const auto& where = node.mariadb();
    beds::config::rel_service_settings settings;
    settings.host = where.host;
    settings.port = static_cast<std::uint16_t>(where.port);
    settings.user = where.user;
    settings.pass = beds::core::secret{where.password};
    settings.database = where.database;
    in_process path{beds::adapters::make_mariadb("rel", settings), users_registry(),
                    identities::none};
    const auto read = fetches(options, node, path);
    const auto written = writes(options, node, path);
    return read == 1 || written == 1 ? 1 : std::max(read, written);
} catch (const std::exception& failed) {
    std::fprintf(stderr, "embedded_mariadb: %s\n", failed.what());
    return 1;
}
