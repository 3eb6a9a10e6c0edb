#include "common/by_hand.hpp"

#include <mysql.h>
#include <mysqld_error.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <latch>
#include <stdexcept>
#include <thread>
#include <vector>

namespace beds::bench {

struct sql_session::impl {
    MYSQL* handle = nullptr;

    [[noreturn]] void fail() const {
        throw std::runtime_error(std::string{"MariaDB, by hand: "} + mysql_error(handle));
    }
};

sql_session::sql_session(const mariadb_endpoint& where) : impl_(std::make_unique<impl>()) {
    auto* made = impl_->handle = mysql_init(nullptr);
    if (mysql_real_connect(made, where.host.c_str(), where.user.c_str(), where.password.c_str(),
                           where.database.c_str(), where.port, nullptr,
                           CLIENT_FOUND_ROWS) == nullptr) {
        const std::string why = mysql_error(made);
        mysql_close(made);
        throw std::runtime_error("MariaDB, by hand: " + why);
    }
    run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    mysql_autocommit(made, 0);
}

sql_session::~sql_session() {
    mysql_close(impl_->handle);
}

void sql_session::run(const std::string& sql) {
    if (mysql_real_query(impl_->handle, sql.data(), sql.size()) != 0) {
        impl_->fail();
    }
    if (auto* rows = mysql_store_result(impl_->handle)) {
        mysql_free_result(rows);
    }
}

void sql_session::commit() {
    if (mysql_commit(impl_->handle) != 0) {
        impl_->fail();
    }
}

struct sql_session::statement::impl {
    static constexpr std::size_t columns_at_most = 8;

    MYSQL_STMT* handle = nullptr;
    std::vector<MYSQL_BIND> bound;
    std::vector<std::int64_t> integers;
    std::vector<unsigned long> lengths;
    std::array<std::array<char, 64>, columns_at_most> cells{};
    std::array<MYSQL_BIND, columns_at_most> results{};
    bool reads = false;

    ~impl() { mysql_stmt_close(handle); }
    [[noreturn]] void fail() const {
        throw std::runtime_error(std::string{"MariaDB, by hand: "} + mysql_stmt_error(handle));
    }
    bool run() {
        if (mysql_stmt_bind_param(handle, bound.data()) != 0) {
            fail();
        }
        if (mysql_stmt_execute(handle) != 0) {
            if (mysql_stmt_errno(handle) == ER_LOCK_DEADLOCK) {
                return false;
            }
            fail();
        }
        return true;
    }
};

sql_session::statement sql_session::prepare(const std::string& sql) {
    auto made = std::make_unique<statement::impl>();
    made->handle = mysql_stmt_init(impl_->handle);
    if (mysql_stmt_prepare(made->handle, sql.data(), sql.size()) != 0) {
        made->fail();
    }
    const auto count = mysql_stmt_param_count(made->handle);
    made->bound.resize(count);
    made->integers.resize(count);
    made->lengths.resize(count);
    const auto columns = std::min<std::size_t>(mysql_stmt_field_count(made->handle),
                                               statement::impl::columns_at_most);
    for (std::size_t i = 0; i < columns; ++i) {
        auto& one = made->results[i];
        one.buffer_type = MYSQL_TYPE_STRING;
        one.buffer = made->cells[i].data();
        one.buffer_length = made->cells[i].size() - 1;
    }
    return statement{std::move(made)};
}

sql_session::statement::statement(std::unique_ptr<impl> made) : impl_(std::move(made)) {}
sql_session::statement::statement(statement&&) noexcept = default;
sql_session::statement::~statement() = default;

void sql_session::statement::set(std::size_t parameter, std::int64_t value) {
    impl_->integers[parameter] = value;
    auto& one = impl_->bound[parameter];
    one.buffer_type = MYSQL_TYPE_LONGLONG;
    one.buffer = &impl_->integers[parameter];
}

void sql_session::statement::set(std::size_t parameter, std::string_view text) {
    impl_->lengths[parameter] = text.size();
    auto& one = impl_->bound[parameter];
    one.buffer_type = MYSQL_TYPE_STRING;
    one.buffer = const_cast<char*>(text.data());
    one.buffer_length = text.size();
    one.length = &impl_->lengths[parameter];
}

bool sql_session::statement::execute() {
    if (!impl_->run()) {
        return false;
    }
    do {
        if (mysql_stmt_field_count(impl_->handle) != 0) {
            mysql_stmt_store_result(impl_->handle);
            mysql_stmt_free_result(impl_->handle);
        }
    } while (mysql_stmt_next_result(impl_->handle) == 0);
    return true;
}

std::int64_t sql_session::statement::execute_for_number(std::size_t column) {
    if (!impl_->run() || mysql_stmt_bind_result(impl_->handle, impl_->results.data()) != 0 ||
        mysql_stmt_store_result(impl_->handle) != 0) {
        impl_->fail();
    }
    impl_->cells[column].fill('\0');
    const bool found = mysql_stmt_fetch(impl_->handle) == 0;
    mysql_stmt_free_result(impl_->handle);
    return found ? std::strtoll(impl_->cells[column].data(), nullptr, 10) : -1;
}

std::uint64_t sql_session::statement::affected() const {
    return mysql_stmt_affected_rows(impl_->handle);
}

measurement run_by_hand(const mariadb_endpoint& where, unsigned sessions,
                        const std::function<std::uint64_t(sql_session&, unsigned)>& work) {
    std::atomic<std::uint64_t> done{0};
    std::vector<std::exception_ptr> failures(sessions);
    std::latch ready{sessions + 1};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < sessions; ++i) {
        threads.emplace_back([&, i] {
            bool arrived = false;
            try {
                mysql_thread_init();
                sql_session session{where};
                arrived = true;
                ready.arrive_and_wait();
                done += work(session, i);
            } catch (...) {
                failures[i] = std::current_exception();
                if (!arrived) {
                    ready.count_down();
                }
            }
            mysql_thread_end();
        });
    }
    ready.arrive_and_wait();
    const auto begin = std::chrono::steady_clock::now();
    for (auto& one : threads) {
        one.join();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    for (const auto& one : failures) {
        if (one) {
            std::rethrow_exception(one);
        }
    }
    measurement result;
    result.operations_per_second = static_cast<double>(done) / took.count();
    return result;
}

void make_floor_tables(const bench_node& node) {
    node.run("CREATE TABLE floor_users LIKE bench_users");
    node.run("INSERT INTO floor_users SELECT * FROM bench_users");
    node.run("CREATE TABLE floor_inbox LIKE beds_inbox");
    node.run(
        "CREATE PROCEDURE floor_credit(IN p_id BIGINT, IN p_amount BIGINT, OUT p_balance BIGINT) "
        "BEGIN UPDATE floor_users SET balance = balance + p_amount WHERE id = p_id; "
        "SELECT balance INTO p_balance FROM floor_users WHERE id = p_id; END");
}

std::string check_floor_increments(const bench_node& node, std::uint64_t expected) {
    const auto applied = node.query("SELECT SUM(balance) - 100 * COUNT(*) FROM floor_users");
    return applied == static_cast<std::int64_t>(expected)
               ? ""
               : "the floor wrote " + std::to_string(applied) + " instead of " +
                     std::to_string(expected) + "; ";
}

measurement updates_by_hand(const bench_node& node, unsigned sessions, std::uint64_t operations,
                            std::size_t rows) {
    // An id of the floors stands for one operation for ever.
    static std::atomic<std::uint64_t> ids{0};
    const auto each = operations / sessions / rows * rows;
    return run_by_hand(node.mariadb(), sessions, [&](sql_session& session, unsigned which) {
        std::string sql = "UPDATE (SELECT ? id, ? a";
        for (std::size_t i = 1; i < rows; ++i) {
            sql += " UNION ALL SELECT ?,?";
        }
        auto update = session.prepare(
            sql + ") v STRAIGHT_JOIN floor_users u ON u.id = v.id SET u.balance = u.balance + v.a");
        sql = "INSERT INTO floor_inbox (principal, id, content, reply) VALUES ";
        for (std::size_t i = 0; i < rows; ++i) {
            sql +=
                i == 0 ? "('floor',?,'0123456789abcdef',?)" : ",('floor',?,'0123456789abcdef',?)";
        }
        auto inbox = session.prepare(sql);
        constexpr std::string_view reply = R"({"status":"ok","effect":"applied","count":1})";
        std::vector<std::string> names(rows);
        std::vector<std::int64_t> keys;
        std::uint64_t operation = which * each;
        for (std::uint64_t done = 0; done < each; done += rows) {
            keys.clear();
            while (keys.size() < rows) { // no row twice in one statement
                while (keys.size() < rows) {
                    keys.push_back(overlapping_row(operation++));
                }
                std::sort(keys.begin(), keys.end()); // one order for all: no deadlocks
                keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
            }
            for (std::size_t i = 0; i < rows; ++i) {
                update.set(2 * i, keys[i]);
                update.set(2 * i + 1, std::int64_t{1});
                names[i] = std::to_string(++ids) + "/0123456789abcdef";
                inbox.set(2 * i, names[i]);
                inbox.set(2 * i + 1, reply);
            }
            while (!inbox.execute() || !update.execute()) {
            }
            session.commit();
        }
        return each;
    });
}

} // namespace beds::bench
