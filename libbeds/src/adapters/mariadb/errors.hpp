#pragma once

#include <beds/core/outcome.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace beds::adapters::mariadb {

/// What the server or the driver said. Its message may hold values: it goes to the log, never into
/// a reply.
struct server_error {
    unsigned number = 0;
    std::string sqlstate;
    std::string message;
};

/// Whom an error concerns.
enum class reach : std::uint8_t {
    operation, ///< one statement; the transaction lives on
    rerun,     ///< the server rolled the whole transaction back
    expired,   ///< a time limit ended the statement
    session,   ///< the connection is gone or cannot be trusted any more
};

struct failure {
    mariadb::reach reach = reach::operation;
    core::code code = core::code::internal;
    std::string_view detail; ///< for the caller; static
};

failure classify(unsigned number);
/// Also for errors that name their cause only in their text: those of files and of storage engines.
failure classify(const server_error& why);

/// A rule of the DBA's refuses the values: a CHECK, the CHECK OPTION of a view.
bool is_rule(unsigned number);

/// The table, view, procedure or trigger is not as the statement, and so the template, has it. Its
/// people can mend that, so nothing of it is an answer for good.
bool is_misfit(unsigned number);
inline constexpr failure misfit_failure{
    reach::operation, core::code::backend_unavailable,
    "this template does not fit its database at the moment; operators are told why"};

/// The savepoint (or procedure) that a statement names does not exist.
inline constexpr unsigned not_there = 1305;

/// May the server have rolled the whole transaction back when it refused a statement so? Not for
/// what refuses values.
bool may_end_transaction(unsigned number);

/// A text cannot be compared with a column, because the column's character set does not have it.
bool compares_no_text(unsigned number);

/// Did a COMMIT that was answered with this error certainly not happen?
bool commit_refused(unsigned number);

/// A connection attempt that failed so may succeed later; otherwise somebody has to change
/// something.
bool worth_trying_again(unsigned number);

/// Name of the index in "Duplicate entry … for key 'NAME'"; MySQL 8's `table.NAME` gives NAME.
/// Empty: not told.
std::string_view violated_key(std::string_view message);

/// Column that a constraint error names, without quotes and table; empty: not told.
std::string_view blamed_column(unsigned number, std::string_view message);

} // namespace beds::adapters::mariadb
