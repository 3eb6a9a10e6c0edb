#pragma once

#include "adapters/mariadb/connection.hpp"

#include <beds/adapters/survey.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace beds::adapters::mariadb {

/// As `adapter::objects` and `adapter::survey` say; on a connection that is open.
std::vector<std::string> list_objects(connection& from);
surveyed survey_object(connection& from, std::string_view object);
std::optional<surveyed_procedure> survey_procedure(connection& from, std::string_view name);

/// A column as information_schema has it.
struct column_report {
    std::string name;
    std::string data_type;   ///< `varchar`
    std::string column_type; ///< `varchar(40)`, `int(10) unsigned`, `enum('a','b')`
    std::string characters;  ///< most, in digits; "" of what is not text
    std::string precision;
    std::string scale;
    std::string collation;
    bool nullable = true;
    std::optional<std::string>
        by_default;              ///< as an expression: `'text'`, `0`, `current_timestamp()`
    bool default_hidden = false; ///< there may be one, or an AUTO_INCREMENT: a view does not tell
    std::string extra;
    std::string comment;
    bool json = false; ///< the server checks that it is JSON
};

/// The field for a column, without its name; nothing when no type of a template holds what the
/// column may. `remark` gets what a person should know.
std::optional<templates::field> field_for(const column_report& column, std::string& remark);

} // namespace beds::adapters::mariadb
