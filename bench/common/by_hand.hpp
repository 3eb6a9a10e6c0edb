#pragma once

#include "common/driver.hpp"
#include "common/fixture.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

/// Floors of the database's side: the same work by the bare C library, written by hand, without
/// AMQP.
namespace beds::bench {

/// One session and its prepared statements. READ COMMITTED, as BEDS's; throws std::runtime_error.
class sql_session {
public:
    explicit sql_session(const mariadb_endpoint& where);
    ~sql_session();
    sql_session(const sql_session&) = delete;
    sql_session& operator=(const sql_session&) = delete;

    class statement {
    public:
        ~statement();
        statement(statement&&) noexcept;
        void set(std::size_t parameter, std::int64_t value);
        /// The text is not copied.
        void set(std::size_t parameter, std::string_view text);
        /// False when the server chose this transaction as the victim of a deadlock: it is rolled
        /// back.
        bool execute();
        /// Executes and reads integers of the only row. Other columns are converted, not kept.
        std::int64_t execute_for_number(std::size_t column);
        [[nodiscard]] std::uint64_t affected() const;

    private:
        friend class sql_session;
        struct impl;
        explicit statement(std::unique_ptr<impl> made);
        std::unique_ptr<impl> impl_;
    };
    statement prepare(const std::string& sql);
    void run(const std::string& sql);
    void commit();

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

/// Runs `work` in as many sessions at a time; it returns how many operations it did.
measurement run_by_hand(const mariadb_endpoint& where, unsigned sessions,
                        const std::function<std::uint64_t(sql_session&, unsigned session)>& work);

/// A table and an inbox of the floors' own, as those of BEDS; once for each bench.
void make_floor_tables(const bench_node& node);
/// As check_increments, for these.
std::string check_floor_increments(const bench_node& node, std::uint64_t expected);

/// `operations` increments by `UPDATE (SELECT … UNION ALL …) v STRAIGHT_JOIN t`, with their inbox
/// rows by one multi-row insert, in transactions of `rows`.
measurement updates_by_hand(const bench_node& node, unsigned sessions, std::uint64_t operations,
                            std::size_t rows);

} // namespace beds::bench
