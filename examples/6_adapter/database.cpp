#include "database.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace beds_sqlite {

using beds::core::deadline;

namespace {

[[noreturn]] void fail(sqlite3* by) {
    throw sqlite_error{sqlite3_extended_errcode(by), sqlite3_errmsg(by)};
}

/// SQLite takes a null pointer for NULL, and an empty view may have one.
const char* never_null(std::string_view text) {
    return text.empty() ? "" : text.data();
}

} // namespace

void statement::check(int code) const {
    if (code != SQLITE_OK) {
        fail(sqlite3_db_handle(used_.get()));
    }
}

void statement::bind_null(int place) {
    check(sqlite3_bind_null(used_.get(), place));
}

void statement::bind_integer(int place, std::int64_t given) {
    check(sqlite3_bind_int64(used_.get(), place, given));
}

void statement::bind_real(int place, double given) {
    check(sqlite3_bind_double(used_.get(), place, given));
}

void statement::bind_text(int place, std::string_view given) {
    check(sqlite3_bind_text64(used_.get(), place, never_null(given), given.size(), SQLITE_TRANSIENT,
                              SQLITE_UTF8));
}

void statement::bind_blob(int place, std::string_view given) {
    check(
        sqlite3_bind_blob64(used_.get(), place, never_null(given), given.size(), SQLITE_TRANSIENT));
}

bool statement::step() {
    const int code = sqlite3_step(used_.get());
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        fail(sqlite3_db_handle(used_.get()));
    }
    return code == SQLITE_ROW;
}

void statement::finish() {
    while (step()) {
    }
}

int statement::kind(int column) const {
    return sqlite3_column_type(used_.get(), column);
}

std::int64_t statement::integer(int column) const {
    return sqlite3_column_int64(used_.get(), column);
}

double statement::real(int column) const {
    return sqlite3_column_double(used_.get(), column);
}

std::string_view statement::bytes(int column) const {
    // In this order: asking for the bytes first may move them.
    const auto* first = static_cast<const char*>(sqlite3_column_blob(used_.get(), column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(used_.get(), column));
    return first == nullptr ? std::string_view{""} : std::string_view{first, size};
}

database::database(const std::filesystem::path& file) {
    sqlite3* opened = nullptr;
    // No mutex: a session, and so its connection, never leaves its thread.
    const int code = sqlite3_open_v2(file.c_str(), &opened,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    handle_.reset(opened);
    if (code != SQLITE_OK) {
        throw sqlite_error{code, opened == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(opened)};
    }
    // A quoted name that no column has is an error then, not a text.
    sqlite3_db_config(opened, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    sqlite3_db_config(opened, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
    constexpr int steps_between_looks_at_the_clock = 1000;
    sqlite3_progress_handler(
        opened, steps_between_looks_at_the_clock,
        [](void* self) { return static_cast<database*>(self)->until_.expired() ? 1 : 0; }, this);
}

void database::limit(deadline until) {
    constexpr std::chrono::milliseconds longest{std::numeric_limits<int>::max()};
    until_ = until;
    sqlite3_busy_timeout(handle_.get(),
                         static_cast<int>(std::min(until.remaining_ms(), longest).count()));
}

statement database::prepare(const std::string& sql) {
    auto& kept = prepared_[sql];
    if (kept == nullptr) {
        sqlite3_stmt* made = nullptr;
        const int code =
            sqlite3_prepare_v3(handle_.get(), sql.c_str(), static_cast<int>(sql.size()) + 1,
                               SQLITE_PREPARE_PERSISTENT, &made, nullptr);
        if (code != SQLITE_OK) {
            prepared_.erase(sql);
            fail(handle_.get());
        }
        kept.reset(made);
    }
    return statement{kept.get()};
}

void database::forget_some_statements() {
    constexpr std::size_t most = 256;
    if (prepared_.size() > most) {
        prepared_.clear();
    }
}

bool database::in_transaction() const {
    return sqlite3_get_autocommit(handle_.get()) == 0;
}

void database::commit() {
    // Interrupted right behind the commit, the statement would fail although it took place.
    until_ = deadline::never();
    execute("COMMIT");
}

void database::roll_back() {
    until_ = deadline::never();
    if (in_transaction()) {
        execute("ROLLBACK");
    }
}

std::uint64_t database::changed_rows() const {
    return static_cast<std::uint64_t>(sqlite3_changes64(handle_.get()));
}

savepoint::savepoint(database& on) : on_(on) {
    on_.execute("SAVEPOINT beds");
}

savepoint::~savepoint() {
    if (!on_.in_transaction()) {
        return; // SQLite gave it up, and its savepoints with it
    }
    try {
        on_.execute("RELEASE beds");
    } catch (const sqlite_error&) {
        // It ends with the transaction then.
    }
}

void savepoint::undo() {
    on_.execute("ROLLBACK TO beds");
}

} // namespace beds_sqlite
