#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/config/settings.hpp>

#include <memory>
#include <string>

namespace beds::adapters {

/// The adapter of one MariaDB (10.5 or later) or MySQL (8.0 or later) database. Opens no
/// connection: that is what its sessions do. Thread-safe.
///
/// Tables that are written must be InnoDB, or rollbacks do not undo. With `settings.inbox` the
/// database holds the table `beds_inbox`, made from the installed `sql/mariadb/inbox.sql`; with
/// `settings.create_tables` sessions make it where it is missing, or `connect` throws `refused`.
/// Its rows older than `inbox_window` are deleted in the background, by a further session, once the
/// first write was done.
///
/// Sessions run at READ COMMITTED in UTC with utf8mb4 and a strict `sql_mode`; values travel as
/// bound parameters of prepared statements only. What still runs past its unit's deadline is ended
/// at the server: KILL QUERY within 60 ms, again every 50 ms, KILL CONNECTION at 200 ms, from a
/// further connection that is made when it is needed. For procedures with the rights of their
/// definer that takes `sql/mariadb/kill.sql` (`bedsctl schema` prints both).
///
/// Operations of one shape that come together share statements, as far as the server can (it is
/// asked at connect) and `settings.coalesce` allows: fetches by key one `IN` list or, where
/// equality depends on a collation, a join on the keys; find, count and exists arms of a `UNION
/// ALL`; inserts one list of rows; updates by key a join on their values; deletes by key one list
/// of keys; on MariaDB calls of one procedure, and writes through one, a compound statement. What a
/// shared statement cannot tell apart is undone (a savepoint stands before it) and run one at a
/// time, so that each operation fails for itself. Writes by `where`, procedures that commit, and
/// keys without a unique index always run one at a time.
///
/// Throws core::error: `unsupported` when the loaded Connector/C is known to be broken (before
/// 3.3.4), `invalid_configuration` when `settings.coalesce` is not known.
std::shared_ptr<adapter> make_mariadb(std::string connection_name,
                                      config::rel_service_settings settings);

} // namespace beds::adapters
