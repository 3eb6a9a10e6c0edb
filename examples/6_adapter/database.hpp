// SQLite's handles: each is closed by its owner, each error is thrown.
#pragma once

#include <beds/core/deadline.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <sqlite3.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>

namespace beds_sqlite {

/// What SQLite said instead of doing it. Never leaves the adapter: a session's functions answer by
/// outcomes and step results.
class sqlite_error : public std::runtime_error {
public:
    sqlite_error(int code, const std::string& message) : std::runtime_error(message), code_(code) {}

    /// The extended code, for example SQLITE_CONSTRAINT_UNIQUE.
    [[nodiscard]] int code() const { return code_; }
    /// The family it belongs to, for example SQLITE_CONSTRAINT.
    [[nodiscard]] int family() const { return code_ & 0xFF; }

private:
    int code_;
};

/// A prepared statement while it is used. Its end gives it back to the database, reset and without
/// values, whatever happened meanwhile.
class statement {
public:
    explicit statement(sqlite3_stmt* prepared) : used_(prepared) {}

    // Places are counted from 1, as SQLite does. Texts and blobs are copied.
    void bind_null(int place);
    void bind_integer(int place, std::int64_t given);
    void bind_real(int place, double given);
    void bind_text(int place, std::string_view given);
    void bind_blob(int place, std::string_view given);

    /// True: a row is there, and its columns can be read until the next step.
    bool step();
    /// Steps to the end: only then has SQLite checked all that it checks.
    void finish();

    // Columns are counted from 0. `kind` is SQLITE_INTEGER, SQLITE_TEXT, …
    [[nodiscard]] int kind(int column) const;
    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] double real(int column) const;
    /// Of a text or blob: all of its bytes.
    [[nodiscard]] std::string_view bytes(int column) const;

private:
    struct give_back {
        void operator()(sqlite3_stmt* used) const {
            sqlite3_reset(used);
            sqlite3_clear_bindings(used);
        }
    };

    void check(int code) const;

    std::unique_ptr<sqlite3_stmt, give_back> used_;
};

/// One connection to the file. Keeps the statements that it prepared.
class database {
public:
    explicit database(const std::filesystem::path& file);
    database(const database&) = delete;
    database& operator=(const database&) = delete;

    /// Nothing waits for a lock or runs past this moment (SQLITE_BUSY, SQLITE_INTERRUPT).
    void limit(beds::core::deadline until);

    /// The same text must not be prepared again while its statement is in use.
    [[nodiscard]] statement prepare(const std::string& sql);
    /// A statement without values and rows.
    void execute(const std::string& sql) { prepare(sql).finish(); }
    /// Between units of work: statements in use must not go.
    void forget_some_statements();

    /// False too when SQLite gave the transaction up by itself, as some errors make it.
    [[nodiscard]] bool in_transaction() const;
    void commit();
    void roll_back();
    /// By the statement that ended last.
    [[nodiscard]] std::uint64_t changed_rows() const;

private:
    struct close {
        void operator()(sqlite3* open) const { sqlite3_close_v2(open); }
    };
    struct finalize {
        void operator()(sqlite3_stmt* prepared) const { sqlite3_finalize(prepared); }
    };

    beds::core::deadline until_ = beds::core::deadline::never();
    std::unique_ptr<sqlite3, close> handle_;
    std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, finalize>> prepared_;
};

/// From here on, what is done can be undone without the rest of the transaction. May be nested.
class savepoint {
public:
    explicit savepoint(database& on);
    ~savepoint();
    savepoint(const savepoint&) = delete;
    savepoint& operator=(const savepoint&) = delete;

    void undo();

private:
    database& on_;
};

} // namespace beds_sqlite
