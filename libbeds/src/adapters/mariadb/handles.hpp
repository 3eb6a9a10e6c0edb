#pragma once

// The only folder that includes the headers of Connector/C.
#include <mysql.h>

#include <memory>

namespace beds::adapters::mariadb {

struct connection_closer {
    void operator()(MYSQL* handle) const noexcept { mysql_close(handle); }
};
using connection_handle = std::unique_ptr<MYSQL, connection_closer>;

struct statement_closer {
    void operator()(MYSQL_STMT* handle) const noexcept { mysql_stmt_close(handle); }
};
using statement_handle = std::unique_ptr<MYSQL_STMT, statement_closer>;

struct result_closer {
    void operator()(MYSQL_RES* handle) const noexcept { mysql_free_result(handle); }
};
using result_handle = std::unique_ptr<MYSQL_RES, result_closer>;

/// The driver wants to be told of each thread that uses it, and when the thread ends.
void enter_thread();

/// Version of the loaded Connector/C, for example 30320.
unsigned long client_version();
/// CONC-622: versions before 3.3.4 can read a prepared statement's reply wrongly.
bool known_bad_client(unsigned long version);

} // namespace beds::adapters::mariadb
