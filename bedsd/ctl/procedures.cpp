#include "procedures.hpp"

#include "adapters/mariadb/sql_mode.hpp"
#include "sql_names.hpp"

#include <beds/core/error.hpp>

#ifdef BEDS_WITH_MARIADB
#include "adapters/mariadb/information_schema.hpp"
#include "adapters/mariadb/session.hpp"
#endif

#include <algorithm>
#include <set>

namespace bedsctl {
namespace {

namespace templates = beds::templates;
using beds::core::type_kind;

constexpr std::size_t longest_identifier = 64;

std::string one_of(std::string_view condition, std::string_view then, std::string_view otherwise) {
    std::string made{"IF("};
    made.append(condition).append(", ").append(then).append(", ").append(otherwise).append(")");
    return made;
}

std::string without_schema(const std::string& object) {
    return object.substr(object.find('.') + 1);
}

bool is_integer(type_kind kind) {
    return kind >= type_kind::int8 && kind <= type_kind::uint64;
}

bool is_generated(const templates::field& of) {
    return of.source == templates::generated::database;
}

/// Does an insert bring a value for it: the client's, or one that BEDS makes?
bool is_inserted(const templates::field& of) {
    return !is_generated(of) && (!of.write_protected || of.default_text.has_value() ||
                                 of.source != templates::generated::no);
}

bool is_updated(const templates::field& of) {
    return !of.in_key && !of.write_protected;
}

bool is_incremented(const templates::field& of) {
    const auto kind = of.type.kind;
    return is_updated(of) &&
           (is_integer(kind) || kind == type_kind::decimal || kind == type_kind::float64);
}

/// NULL in such a parameter means that nothing is expected, so what may be NULL cannot have one.
bool is_expected(const templates::field& of, const table_column& column) {
    return !of.in_key && !column.nullable && of.type.kind != type_kind::json;
}

const table_column* column_of(const std::vector<table_column>& columns, const std::string& name) {
    const auto found = std::find_if(columns.begin(), columns.end(),
                                    [&](const auto& each) { return each.name == name; });
    return found == columns.end() ? nullptr : &*found;
}

/// How a parameter is declared that takes every value of the column, and compares as it does.
std::string parameter_type(const templates::field& of, const table_column& column) {
    auto type = column.type.substr(0, column.type.find(" /*"));
    if (of.type.kind == type_kind::enumeration) {
        type = "varchar(255)"; // the column knows its values, also those that it gets later
    } else if (type.starts_with("timestamp")) {
        type.replace(0, std::string_view{"timestamp"}.size(), "datetime"); // keeps NULL
    }
    if (!column.collation.empty()) {
        type += " CHARACTER SET " + column.collation.substr(0, column.collation.find('_')) +
                " COLLATE " + column.collation;
    }
    return type;
}

/// A sum is checked by the column: what is added may be below zero, and more than it holds.
std::string increment_type(const templates::field& of, const table_column& column) {
    if (of.type.kind == type_kind::uint64) {
        return "decimal(20,0)";
    }
    if (is_integer(of.type.kind)) {
        return "bigint";
    }
    auto type = parameter_type(of, column);
    // ZEROFILL makes it unsigned, too.
    return type.substr(0, std::min(type.find(" unsigned"), type.find(" zerofill")));
}

class sql_writer {
public:
    sql_writer(const beds::adapters::surveyed& of, std::string table,
               const std::vector<table_column>& columns)
        : of_(of.found), table_(std::move(table)), columns_(columns) {}

    std::string write() {
        out_ = "-- " + table_ + ": read through " + of_.read_view + ", written through " +
               of_.write.insert + ", " + of_.write.update + " and " + of_.write.remove + ".\n";
        view();
        insert();
        update();
        remove();
        return std::move(out_);
    }

private:
    [[nodiscard]] const table_column& column(const templates::field& of) const {
        return *column_of(columns_, of.column);
    }
    /// With the table's name, because a parameter would hide a column of its name.
    [[nodiscard]] std::string column_name(const templates::field& of) const {
        return in_backticks(without_schema(table_)) + '.' + in_backticks(of.column);
    }
    static std::string parameter(const char* prefix, const templates::field& of) {
        return in_backticks(prefix + of.name);
    }
    static std::string listed(const std::vector<std::string>& parts, const char* glue) {
        std::string made;
        for (const auto& each : parts) {
            made += (made.empty() ? "" : glue) + each;
        }
        return made;
    }

    void view() {
        std::vector<std::string> names;
        for (const auto& each : of_.fields) {
            names.push_back(in_backticks(each.column));
        }
        out_ += "-- DEFINER: whoever may read the view needs no right on the table itself.\n"
                "CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY DEFINER VIEW " +
                in_statement(of_.read_view) + " AS\n    SELECT " + listed(names, ",\n           ") +
                "\n    FROM " + in_statement(table_) + ";\n\n";
    }

    void procedure(const std::string& name, const std::vector<std::string>& parameters,
                   const std::vector<std::string>& lines) {
        out_ += "CREATE OR REPLACE PROCEDURE " + in_statement(name) + "(\n    " +
                listed(parameters, ",\n    ") +
                ")\n    MODIFIES SQL DATA\n    SQL SECURITY DEFINER\nBEGIN\n";
        for (const auto& each : lines) {
            out_ += "    " + each + '\n';
        }
        out_ += "END//\n\n";
    }

    void insert() {
        std::vector<std::string> parameters;
        std::vector<std::string> columns;
        std::vector<std::string> values;
        std::string generated;
        for (const auto& each : of_.fields) {
            const auto& there = column(each);
            const auto name = parameter("p_", each);
            const auto declared = name + ' ' + parameter_type(each, there);
            if (is_generated(each)) {
                parameters.push_back("OUT " + declared);
                generated = "SET " + name + " = LAST_INSERT_ID();";
                continue;
            }
            if (!is_inserted(each)) {
                continue;
            }
            // The key is answered as the column keeps it: cut, filled up or without blanks.
            const auto kind = each.type.kind;
            const bool changes = kind == type_kind::string || kind == type_kind::bytes ||
                                 kind == type_kind::time || kind == type_kind::datetime;
            parameters.push_back((each.in_key && changes ? "INOUT " : "IN ") + declared);
            columns.push_back(in_backticks(each.column));
            values.push_back(the_database_gives(each, there)
                                 ? "COALESCE(" + name + ", DEFAULT(" + column_name(each) + "))"
                                 : name);
        }
        std::vector<std::string> lines{"INSERT INTO " + in_statement(table_) + " (" +
                                           listed(columns, ", ") + ")",
                                       "VALUES (" + listed(values, ", ") + ");"};
        if (!generated.empty()) {
            lines.push_back(generated);
        }
        out_ += "DELIMITER //\n";
        procedure(of_.write.insert, parameters, lines);
    }

    /// A default that the template cannot say: it stands for a value that was not given.
    static bool the_database_gives(const templates::field& of, const table_column& column) {
        return column.has_default && !of.nullable && !of.default_text &&
               of.source == templates::generated::no;
    }

    [[nodiscard]] std::string by_key() const {
        std::vector<std::string> parts;
        for (const auto id : of_.key) {
            parts.push_back(column_name(of_.fields[id]) + " = " + parameter("p_", of_.fields[id]));
        }
        return listed(parts, " AND ");
    }
    [[nodiscard]] std::vector<std::string> key_parameters() const {
        std::vector<std::string> made;
        for (const auto id : of_.key) {
            const auto& each = of_.fields[id];
            made.push_back("IN " + parameter("p_", each) + ' ' +
                           parameter_type(each, column(each)));
        }
        return made;
    }

    void update() {
        auto parameters = key_parameters();
        parameters.emplace_back("IN `p_set` text CHARACTER SET utf8mb4");
        std::vector<std::string> expected;
        std::vector<std::string> changes;
        for (const auto& each : of_.fields) {
            if (!is_updated(each)) {
                continue;
            }
            const auto name = column_name(each);
            const auto given = parameter("p_", each);
            parameters.push_back("IN " + given + ' ' + parameter_type(each, column(each)));
            auto value = one_of("JSON_CONTAINS(`p_set`, '\"" + each.name + "\"')", given, name);
            if (is_incremented(each)) {
                const auto added = parameter("p_inc_", each);
                parameters.push_back("IN " + added + ' ' + increment_type(each, column(each)));
                // Nothing is computed of what only stays: no type is changed on the way.
                value = one_of(added + " IS NULL", value, name + " + " + added);
            }
            changes.push_back(in_backticks(each.column) + " = " + value);
        }
        for (const auto& each : of_.fields) {
            if (is_expected(each, column(each))) {
                const auto wanted = parameter("p_if_", each);
                parameters.push_back("IN " + wanted + ' ' + parameter_type(each, column(each)));
                auto& all = expected.emplace_back("(" + wanted);
                all.append(" IS NULL OR ").append(column_name(each));
                all.append(" = ").append(wanted).append(")");
            }
        }
        parameters.emplace_back("OUT `p_affected` int");
        std::vector<std::string> lines{
            "-- Rows that match: ROW_COUNT() would leave out those that have these values already.",
            "SELECT COUNT(*) INTO `p_affected` FROM " + in_statement(table_), "WHERE " + by_key()};
        for (const auto& each : expected) {
            lines.push_back("  AND " + each);
        }
        lines.emplace_back("FOR UPDATE;");
        if (!changes.empty()) {
            lines.emplace_back("IF `p_affected` > 0 THEN");
            lines.push_back("    UPDATE " + in_statement(table_) + " SET");
            for (std::size_t i = 0; i < changes.size(); ++i) {
                lines.push_back("        " + changes[i] + (i + 1 < changes.size() ? "," : ""));
            }
            lines.push_back("    WHERE " + by_key() + ';');
            lines.emplace_back("END IF;");
        }
        procedure(of_.write.update, parameters, lines);
    }

    void remove() {
        auto parameters = key_parameters();
        parameters.emplace_back("OUT `p_affected` int");
        procedure(of_.write.remove, parameters,
                  {"DELETE FROM " + in_statement(table_) + " WHERE " + by_key() + ';',
                   "SET `p_affected` = ROW_COUNT();"});
        out_ += "DELIMITER ;\n";
    }

    const templates::template_def& of_;
    std::string table_;
    const std::vector<table_column>& columns_;
    std::string out_;
};

/// What stands in statements as the server wrote it holds nothing that could end them.
bool is_plain(const std::string& text) {
    return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_(), ") == std::string::npos;
}

} // namespace

#ifdef BEDS_WITH_MARIADB
std::vector<table_column> columns_of(const live_database& from, const std::string& table,
                                     beds::core::deadline until) {
    namespace mariadb = beds::adapters::mariadb;
    auto* session = dynamic_cast<mariadb::mariadb_session*>(from.session.get());
    if (session == nullptr) {
        throw beds::core::error(beds::core::errc::unsupported, "procedures are made for MariaDB");
    }
    mariadb::connection::guard watching;
    session->link().arm(until, watching);
    std::vector<table_column> found;
    const bool read = mariadb::ask(
        session->link(),
        "/* beds scaffold.columns */ SELECT column_name, column_type, collation_name, is_nullable, "
        "column_default FROM information_schema.columns WHERE table_schema = COALESCE(?, "
        "DATABASE()) AND table_name = ? ORDER BY ordinal_position",
        mariadb::split(table), [&](const auto& cells) {
            const bool has_default =
                cells[4].data != nullptr && mariadb::text_of(cells[4]) != "NULL";
            found.push_back({mariadb::text_of(cells[0]), mariadb::text_of(cells[1]),
                             mariadb::text_of(cells[2]), mariadb::text_of(cells[3]) == "YES",
                             has_default});
        });
    if (!read) {
        throw beds::core::error(beds::core::errc::unreachable,
                                "the database does not tell the columns of " + table);
    }
    return found;
}
#else
std::vector<table_column> columns_of(const live_database&, const std::string&,
                                     beds::core::deadline) {
    throw beds::core::error(beds::core::errc::unsupported,
                            "this bedsctl was built without MariaDB");
}
#endif

object_names names_for(const std::string& table) {
    return {table + "_view", table + "_insert", table + "_update", table + "_delete"};
}

std::string why_no_procedures(const beds::adapters::surveyed& of) {
    if (of.is_view) {
        return "it is a view; name the table";
    }
    if (!of.transactional) {
        return "its engine cannot undo what was written; make it InnoDB";
    }
    if (of.found.key.empty()) {
        return "it has no primary key, so nothing says which row a procedure is to change; make "
               "one";
    }
    if (without_schema(names_for(of.found.object).insert).size() > longest_identifier) {
        return "its name is too long for " + names_for(of.found.object).insert;
    }
    std::set<std::string> taken{"set", "affected"};
    for (const auto& each : of.found.fields) {
        std::vector<std::string> wanted{each.name, "if_" + each.name};
        if (is_incremented(each)) {
            wanted.push_back("inc_" + each.name);
        }
        for (const auto& name : wanted) {
            if (name.size() + 2 > longest_identifier) {
                return "the name of its column " + each.column + " is too long for a parameter";
            }
            if (!taken.insert(name).second) {
                return "two parameters would be p_" + name + ", one of them of its column " +
                       each.column + "; write the procedures by hand";
            }
        }
    }
    for (const auto& each : of.unknown) {
        if (each.required) {
            return "its column " + each.name + ' ' + each.type +
                   " is no field, and an insert has to give it; give it a default";
        }
    }
    return {};
}

void go_through_procedures(beds::adapters::surveyed& of, const std::vector<table_column>& columns) {
    const auto names = names_for(of.found.object);
    of.found.object = names.view;
    of.found.read_view = names.view;
    of.found.write = {names.insert, names.update, names.remove};
    of.beside.head.emplace_back("What BEDS reads is the view, what it writes goes through the "
                                "procedures: it needs no right on the table.");
    for (auto& each : of.found.fields) {
        const auto* column = column_of(columns, each.column);
        if (column == nullptr ||
            !is_plain(column->type.substr(0, column->type.find_first_of("/'"))) ||
            !is_plain(column->collation)) {
            throw beds::core::error(beds::core::errc::unsupported,
                                    "column " + each.column +
                                        ": no parameter can be declared "
                                        "as it is");
        }
        // A procedure is told NULL also when nothing was given.
        if (column->has_default && column->nullable && !each.write_protected && !each.in_key &&
            !each.default_text && each.source == templates::generated::no) {
            each.nullable = false;
            auto& remark = of.beside.of_fields[each.name];
            remark += (remark.empty() ? "" : "; ") +
                      std::string{"may be NULL, but without a value it gets the default"};
        }
    }
}

std::string procedures_sql(const beds::adapters::surveyed& of, const std::string& table,
                           const std::vector<table_column>& columns) {
    return sql_writer{of, table, columns}.write();
}

std::string procedures_begin(const std::string& database) {
    std::string in_one_line;
    for (const char c : database) {
        in_one_line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return "-- Made by `bedsctl scaffold --procedures` for MariaDB. Read it, then run it once with "
           "an account that\n-- may create views and procedures and may use the tables, because "
           "they run with its rights:\n--\n--   mariadb DATABASE < THIS_FILE      (database '" +
           in_one_line +
           "')\n--\n-- Nothing in it commits: BEDS does, together with its inbox. Views and "
           "procedures of these names are replaced.\n-- A column that is changed later: make "
           "template and file again.\n\n-- Procedures keep the mode that they were made in; it "
           "is that of BEDS's sessions.\nSET @beds_mode = @@SESSION.sql_mode;\nSET SESSION "
           "sql_mode = '" +
           std::string{beds::adapters::mariadb::session_sql_mode} + "';\n\n";
}

std::string procedures_end() {
    return "\nSET SESSION sql_mode = @beds_mode;\n";
}

} // namespace bedsctl
