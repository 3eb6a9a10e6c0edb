#pragma once

#include "live.hpp"

#include <beds/adapters/survey.hpp>
#include <beds/core/deadline.hpp>

#include <string>
#include <vector>

namespace bedsctl {

/// A column as a parameter of a procedure has to be declared for it.
struct table_column {
    std::string name;
    std::string type;      ///< in the server's words: `varchar(40)`
    std::string collation; ///< of text; empty: not text
    bool nullable = true;
    bool has_default = false; ///< the server's; also an expression
};

/// The columns of a table of MariaDB. Throws beds::core::error when they cannot be read.
std::vector<table_column> columns_of(const live_database& from, const std::string& table,
                                     beds::core::deadline until);

/// Names of what stands between BEDS and a table.
struct object_names {
    std::string view;
    std::string insert;
    std::string update;
    std::string remove;
};
object_names names_for(const std::string& table);

/// Why no procedures can be made for it, for a person; empty: they can.
std::string why_no_procedures(const beds::adapters::surveyed& of);

/// Turns the template of a table into one that reads the view and writes through the procedures;
/// what a procedure cannot be told is taken out of it. Needs the fields' names.
void go_through_procedures(beds::adapters::surveyed& of, const std::vector<table_column>& columns);

/// The SQL that makes them, for the DBA. `of` as `go_through_procedures` left it.
std::string procedures_sql(const beds::adapters::surveyed& of, const std::string& table,
                           const std::vector<table_column>& columns);

/// What a file with several of them begins and ends with: how the server is to read them.
std::string procedures_begin(const std::string& database);
std::string procedures_end();

} // namespace bedsctl
