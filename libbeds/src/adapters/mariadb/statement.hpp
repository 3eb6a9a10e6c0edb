#pragma once

#include "adapters/mariadb/cells.hpp"
#include "adapters/mariadb/errors.hpp"
#include "adapters/mariadb/handles.hpp"
#include "adapters/mariadb/query.hpp"

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::core {
class arena;
}

namespace beds::adapters::mariadb {

/// One prepared statement of a session. Results are read where the driver received them: no buffers
/// are bound, nothing is copied, nothing is allocated per row.
class statement {
public:
    /// Does nothing at the server yet.
    explicit statement(MYSQL* connection);
    statement(const statement&) = delete;
    statement& operator=(const statement&) = delete;

    /// The calls below return false (or `failed`) when something went wrong; `error()` says what.
    [[nodiscard]] bool prepare(std::string_view text);
    /// `memory` takes what has to be written anew for the call (JSON text of documents). More than
    /// `most_bytes` are not sent: the server would answer by closing the connection.
    [[nodiscard]] bool execute(std::span<const parameter> parameters, std::uint64_t most_bytes,
                               core::arena& memory);

    enum class fetched : std::uint8_t { row, end, failed };
    fetched fetch();
    /// Cells of the row that `fetch` gave.
    [[nodiscard]] std::span<const raw_cell> cells() const { return cells_; }
    [[nodiscard]] std::size_t column_count() const { return handle_->field_count; }
    [[nodiscard]] const MYSQL_FIELD& column(std::size_t i) const { return handle_->fields[i]; }

    /// Moves to the next result of a CALL. `row` : there is one (perhaps without columns).
    fetched next_result();
    /// The result at hand holds OUT arguments.
    [[nodiscard]] bool holds_out_arguments() const;
    /// Reads and forgets all that is left of the results, so that the connection can be used again.
    bool finish();

    [[nodiscard]] std::uint64_t affected() const { return mysql_stmt_affected_rows(handle_.get()); }
    [[nodiscard]] std::uint64_t insert_id() const { return mysql_stmt_insert_id(handle_.get()); }
    [[nodiscard]] server_error error() const;

private:
    static void on_cell(void* self, unsigned column, unsigned char** at);

    /// Where a value stands while it is sent.
    union slot {
        std::int64_t integer;
        double real;
        MYSQL_TIME moment;
        unsigned char bytes[16];
    };
    void bind(const parameter& from, MYSQL_BIND& to, slot& room, core::arena& memory);

    statement_handle handle_;
    bool overrun_ = false; ///< a row reached beyond its end
    bool too_large_ = false;
    std::vector<raw_cell> cells_;
    std::vector<MYSQL_BIND> binds_;
    std::vector<slot> slots_;
};

} // namespace beds::adapters::mariadb
