// The table of a template. STRICT, so that SQLite refuses values of another type, as it does not by
// itself; checks have the names of their columns, which failures.cpp finds in SQLite's messages.
#include "numbers.hpp"
#include "sqlite_adapter.hpp"
#include "values.hpp"

namespace beds_sqlite {

using beds::core::type_kind;
using beds::templates::field;
using beds::templates::field_id;
using beds::templates::template_def;

namespace {

std::string columns(const template_def& target, const std::vector<field_id>& fields) {
    std::string made;
    for (const auto each : fields) {
        made += (made.empty() ? "" : ", ") + sql_name(target.fields[each].column);
    }
    return made;
}

/// Characters of text, bytes of blobs.
std::string longest(const field& each) {
    return "length(" + sql_name(each.column) + ") <= " + std::to_string(each.type.max);
}

/// Of the integers that SQLite's own type does not bound.
std::string range(const field& each) {
    const auto bounds = bounds_of(each.type);
    return sql_name(each.column) + " BETWEEN " +
           std::to_string(static_cast<std::int64_t>(bounds->least)) + " AND " +
           std::to_string(static_cast<std::int64_t>(bounds->most));
}

/// What the column holds beyond its type; empty: anything.
std::string rule_of(const field& each) {
    switch (each.type.kind) {
    case type_kind::string:
    case type_kind::bytes:
        return each.type.max == 0 ? std::string{} : longest(each);
    case type_kind::int8:
    case type_kind::int16:
    case type_kind::int32:
    case type_kind::uint8:
    case type_kind::uint16:
    case type_kind::uint32:
        return range(each);
    default:
        return {};
    }
}

std::string column(const field& each) {
    const bool generated = each.source == beds::templates::generated::database;
    // INTEGER PRIMARY KEY, spelt like this, is what SQLite fills by itself; AUTOINCREMENT: with
    // numbers that no deleted row had.
    auto made =
        sql_name(each.column) + ' ' +
        (generated ? "INTEGER PRIMARY KEY AUTOINCREMENT" : std::string{column_type(each.type)});
    if (!generated && (!each.nullable || each.in_key)) {
        made += " NOT NULL";
    }
    if (const auto rule = rule_of(each); !rule.empty()) {
        made += " CONSTRAINT " + sql_name(each.column) + " CHECK (" + rule + ')';
    }
    return made;
}

} // namespace

std::string sql_name(std::string_view identifier) {
    std::string made = "\"";
    for (const char each : identifier) {
        made.append(each == '"' ? 2 : 1, each);
    }
    return made + '"';
}

std::vector<std::string> table_of(const template_def& target) {
    std::string table = "CREATE TABLE " + sql_name(target.object) + " (";
    bool key_stands_at_column = false;
    for (const auto& each : target.fields) {
        table += column(each) + ", ";
        key_stands_at_column |= each.source == beds::templates::generated::database;
    }
    if (key_stands_at_column) {
        table.erase(table.size() - 2);
    } else {
        table += "PRIMARY KEY (" + columns(target, target.key) + ')';
    }
    std::vector<std::string> made{table + ") STRICT"};
    for (const auto& index : target.indexes) {
        const auto name = target.object + '_' + std::to_string(made.size());
        made.push_back(std::string{index.unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX "} +
                       sql_name(name) + " ON " + sql_name(target.object) + " (" +
                       columns(target, index.fields) + ')');
    }
    return made;
}

} // namespace beds_sqlite
