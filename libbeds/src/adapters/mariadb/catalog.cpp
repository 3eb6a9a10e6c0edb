#include "adapters/mariadb/catalog.hpp"

#include "adapters/mariadb/information_schema.hpp"
#include "adapters/mariadb/routine_scan.hpp"

#include <algorithm>
#include <set>

namespace beds::adapters::mariadb {
namespace {

/// Names of columns are compared without case, as the server does.
std::optional<templates::field_id> field_of(const templates::template_def& target,
                                            const std::string& column) {
    const std::string wanted = lower(column);
    for (std::size_t i = 0; i < target.fields.size(); ++i) {
        if (lower(target.fields[i].column) == wanted) {
            return static_cast<templates::field_id>(i);
        }
    }
    return std::nullopt;
}

bool load_table(connection& from, const templates::template_def& target, std::string_view object,
                table_shape& to) {
    const qualified_name name = split(object);
    constexpr std::string_view columns =
        "/* beds schema.columns */ SELECT column_name, data_type, column_type, "
        "character_set_name, collation_name, is_nullable, extra FROM information_schema.columns "
        "WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?";
    const bool columns_read = ask(from, columns, name, [&](std::span<const raw_cell> cells) {
        const auto field = field_of(target, text_of(cells[0]));
        if (!field) {
            return;
        }
        column_shape& column = to.columns[*field];
        const std::string data_type = lower(text_of(cells[1]));
        column.known = true;
        column.charset = text_of(cells[3]);
        column.collation = text_of(cells[4]);
        column.uuid = data_type == "uuid";
        column.uuid_bytes =
            target.fields[*field].type.kind == core::type_kind::uuid &&
            (data_type == "binary" || data_type == "varbinary" || data_type == "blob");
        column.nullable = text_of(cells[5]) == "YES";
        column.auto_increment = text_of(cells[6]).find("auto_increment") != std::string::npos;
    });
    if (!columns_read) {
        return false;
    }
    constexpr std::string_view indexes =
        "/* beds schema.indexes */ SELECT index_name, column_name "
        "FROM information_schema.statistics "
        "WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND non_unique = 0 "
        "ORDER BY index_name, seq_in_index";
    return ask(from, indexes, name, [&](std::span<const raw_cell> cells) {
        if (const auto field = field_of(target, text_of(cells[1]))) {
            to.unique_indexes[text_of(cells[0])].push_back(*field);
        } else {
            to.wider_indexes.insert(text_of(cells[0]));
        }
    });
}

/// Looks at the table, or at all that the view is over, until one is found that cannot roll back.
bool find_unsafe(connection& from, const qualified_name& name, std::set<std::string>& seen,
                 std::string& unsafe) {
    constexpr std::size_t most_objects = 64;
    if (seen.size() >= most_objects || !seen.insert(name.schema + '.' + name.name).second) {
        return true;
    }
    bool view = false;
    constexpr std::string_view engine =
        "/* beds schema.engine */ SELECT t.table_schema, t.table_name, t.table_type, t.engine, "
        "e.transactions, e.savepoints FROM information_schema.tables t "
        "LEFT JOIN information_schema.engines e ON e.engine = t.engine "
        "WHERE t.table_schema = COALESCE(?, DATABASE()) AND t.table_name = ?";
    const bool read = ask(from, engine, name, [&](std::span<const raw_cell> cells) {
        const std::string type = text_of(cells[2]);
        view = type == "VIEW";
        if (type != "SYSTEM VIEW" && (text_of(cells[4]) == "NO" || text_of(cells[5]) == "NO")) {
            unsafe = text_of(cells[0]) + '.' + text_of(cells[1]) + " (" + text_of(cells[3]) + ')';
        }
    });
    if (!read || !view) {
        return read;
    }
    std::string definition; // empty without the right to SHOW VIEW
    constexpr std::string_view text =
        "/* beds schema.view */ SELECT view_definition FROM information_schema.views "
        "WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?";
    if (!ask(from, text, name,
             [&](std::span<const raw_cell> cells) { definition = text_of(cells[0]); })) {
        return false;
    }
    for (auto& [schema, table] : tables_of_view(definition)) {
        if (!find_unsafe(from, {std::move(schema), std::move(table)}, seen, unsafe)) {
            return false;
        }
        if (!unsafe.empty()) {
            break;
        }
    }
    return true;
}

/// The text of one routine; nothing: not there or not to be read.
bool load_definition(connection& from, const qualified_name& name,
                     std::optional<std::string>& definition) {
    constexpr std::string_view routine =
        "/* beds schema.routine */ SELECT routine_definition FROM information_schema.routines "
        "WHERE routine_schema = COALESCE(?, DATABASE()) AND routine_name = ? "
        "AND routine_type = 'PROCEDURE'";
    return ask(from, routine, name, [&](std::span<const raw_cell> cells) {
        if (cells[0].data != nullptr) {
            definition = text_of(cells[0]);
        }
    });
}

/// Looks into the procedure and all that it calls, until one is found that may commit.
bool may_commit(connection& from, const qualified_name& name, std::set<std::string>& seen,
                bool& answer, bool& handles, core::content_hash& text) {
    constexpr std::size_t most_procedures = 64;
    if (!seen.insert(name.schema + '.' + lower(name.name)).second) {
        return true;
    }
    std::optional<std::string> definition;
    if (!load_definition(from, name, definition)) {
        return false;
    }
    if (!definition || seen.size() > most_procedures) {
        answer = true;
        return true;
    }
    text = core::combine(text, core::hash(*definition));
    const routine_findings found = scan_routine(*definition);
    handles = handles || found.handles;
    if (found.may_commit) {
        answer = true;
        return true;
    }
    for (const auto& called : found.calls) {
        qualified_name next = split(called);
        if (next.schema.empty()) {
            next.schema = name.schema; // a procedure calls within its own schema
        }
        if (!may_commit(from, next, seen, answer, handles, text)) {
            return false;
        }
        if (answer) {
            return true;
        }
    }
    return true;
}

} // namespace

std::shared_ptr<const template_shape> catalog::find(const templates::template_def& target) const {
    const std::lock_guard lock{mutex_};
    const auto found = templates_.find(target.name);
    return found != templates_.end() && found->second->describes(target) ? found->second : nullptr;
}

void catalog::put(std::shared_ptr<const template_shape> learned) {
    const std::lock_guard lock{mutex_};
    std::string name = learned->name;
    templates_.insert_or_assign(std::move(name), std::move(learned));
}

std::shared_ptr<const procedure_shape> catalog::find_procedure(std::string_view name) const {
    const std::lock_guard lock{mutex_};
    const auto found = procedures_.find(name);
    return found != procedures_.end() ? found->second : nullptr;
}

void catalog::put_procedure(std::string_view name, std::shared_ptr<const procedure_shape> learned) {
    const std::lock_guard lock{mutex_};
    procedures_.insert_or_assign(std::string{name}, std::move(learned));
}

std::optional<template_shape> load_template(connection& from,
                                            const templates::template_def& target) {
    template_shape made = assumed_shape(target);
    if (!load_table(from, target, target.read_object(), made.read)) {
        return std::nullopt;
    }
    if (target.read_object() == target.object) {
        made.write = made.read;
    } else if (!load_table(from, target, target.object, made.write)) {
        return std::nullopt;
    }
    auto unsafe = load_unsafe(from, target.object);
    if (!unsafe) {
        return std::nullopt;
    }
    made.write.unsafe = std::move(*unsafe);
    return made;
}

std::optional<std::string> load_unsafe(connection& from, std::string_view object) {
    std::set<std::string> seen;
    std::string unsafe;
    if (!find_unsafe(from, split(object), seen, unsafe)) {
        return std::nullopt;
    }
    return unsafe;
}

std::optional<procedure_shape> load_procedure(connection& from, std::string_view name) {
    const qualified_name about = split(name);
    procedure_shape made;
    constexpr std::string_view parameters =
        "/* beds schema.parameters */ SELECT parameter_name, parameter_mode, "
        "dtd_identifier, character_set_name, collation_name FROM information_schema.parameters "
        "WHERE "
        "specific_schema = COALESCE(?, DATABASE()) AND specific_name = ? "
        "AND routine_type = 'PROCEDURE' ORDER BY ordinal_position";
    const bool read = ask(from, parameters, about, [&](std::span<const raw_cell> cells) {
        const std::string mode = text_of(cells[1]);
        std::string type = text_of(cells[2]);
        if (cells[3].data != nullptr) {
            type += " CHARACTER SET " + text_of(cells[3]);
            if (cells[4].data != nullptr) {
                type += " COLLATE " + text_of(cells[4]);
            }
        }
        made.parameters.push_back(
            {text_of(cells[0]), std::move(type), mode != "OUT", mode != "IN"});
        made.known = true;
    });
    bool commits = false;
    bool handles = false;
    std::set<std::string> seen;
    if (!read || !may_commit(from, about, seen, commits, handles, made.text)) {
        return std::nullopt;
    }
    made.runs_alone = commits;
    made.handles = handles || commits;
    return made;
}

} // namespace beds::adapters::mariadb
