#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace beds::adapters::mariadb {

/// A statement that changes something. When it names several tables it changes at least one.
struct written {
    std::string statement;           ///< its first word, such as `UPDATE`
    std::vector<std::string> tables; ///< as `calls`; none: not a table, or not told
};

/// What the text of a procedure or function tells about transactions and writes.
struct routine_findings {
    /// It commits, or may do so: COMMIT, ROLLBACK (but not to a savepoint), START TRANSACTION, data
    /// definition, LOCK TABLES, autocommit, statements made at run time. In doubt: true.
    bool may_commit = false;
    std::string why;      ///< the words that say so
    bool handles = false; ///< declares a handler
    /// Procedures that it calls, as written (`name` or `schema.name`, without backticks); they
    /// count as if their text stood here.
    std::vector<std::string> calls;
    std::vector<written> writes;        ///< in order
    std::vector<std::string> temporary; ///< tables that it creates as temporary, as `calls`
    bool made_at_run_time = false;      ///< statements that its text does not show
    /// Names that stand before a parenthesis, as `calls`: functions of the server or stored ones.
    std::vector<std::string> functions;
};

/// The tables and views that a view is over: schema and name, as its definition in
/// information_schema has them. What is none may be among them.
std::vector<std::pair<std::string, std::string>> tables_of_view(std::string_view definition);

/// Reads a routine's definition. Comments and strings do not count; executable comments do.
routine_findings scan_routine(std::string_view definition);

} // namespace beds::adapters::mariadb
