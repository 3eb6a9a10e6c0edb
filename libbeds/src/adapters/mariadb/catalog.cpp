#include "adapters/mariadb/catalog.hpp"

#include "adapters/mariadb/information_schema.hpp"
#include "adapters/mariadb/routine_scan.hpp"

#include <algorithm>
#include <charconv>
#include <map>
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

unsigned number_of(const raw_cell& cell, unsigned otherwise) {
    const auto text = text_of(cell);
    unsigned made = otherwise;
    std::from_chars(text.data(), text.data() + text.size(), made);
    return made;
}

bool load_table(connection& from, const templates::template_def& target, std::string_view object,
                table_shape& to) {
    const qualified_name name = split(object);
    constexpr std::string_view columns =
        "/* beds schema.columns */ SELECT column_name, data_type, column_type, "
        "character_set_name, collation_name, is_nullable, extra, "
        "CAST(datetime_precision AS CHAR), CAST(character_maximum_length AS CHAR) "
        "FROM information_schema.columns "
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
        const bool of_time =
            data_type == "datetime" || data_type == "timestamp" || data_type == "time";
        column.fraction = of_time ? number_of(cells[7], column.fraction) : column.fraction;
        column.padded_to = data_type == "binary" && !column.uuid_bytes ? number_of(cells[8], 0) : 0;
        column.trims = data_type == "char";
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

/// Looks into a procedure and all that it calls.
class routine_walk {
public:
    explicit routine_walk(connection& from) : from_(from) {}

    /// False: the connection's `error()` says why.
    bool look(const routine_name& at) { return look_into(at.name, at.type()); }

    void tell(procedure_shape& to) const {
        to.runs_alone = commits_;
        to.handles = handles_ || commits_;
        to.text = text_;
        to.made_at_run_time = made_at_run_time_;
        to.writes = unseen_ ? writing::perhaps : writing::none;
        for (const auto& each : writes_) {
            const auto kept = [this](const std::string& table) {
                return !temporary_.contains(table);
            };
            const auto count = std::count_if(each.tables.begin(), each.tables.end(), kept);
            if (each.tables.empty() || count == static_cast<std::ptrdiff_t>(each.tables.size())) {
                to.writes = writing::certain;
                to.writes_by = each.shown;
                return;
            }
            if (count != 0) {
                to.writes = writing::perhaps;
            }
        }
    }

private:
    struct change {
        std::vector<std::string> tables; ///< `schema.name` in lower case
        std::string shown;
    };

    bool look_into(const qualified_name& name, std::string_view type) {
        constexpr std::size_t most_routines = 64;
        if (!seen_.insert(std::string{type} + ' ' + lower(name.schema + '.' + name.name)).second) {
            return true;
        }
        std::optional<std::string> definition;
        std::string schema;
        bool promised = false;
        const std::string text =
            "/* beds schema.routine */ SELECT routine_definition, routine_schema, sql_data_access "
            "FROM information_schema.routines WHERE routine_schema = COALESCE(?, DATABASE()) AND "
            "routine_name = ? AND routine_type = '" +
            std::string{type} + '\'';
        if (!ask(from_, text, name, [&](std::span<const raw_cell> cells) {
                if (cells[0].data != nullptr) { // NULL: not to be read
                    definition = text_of(cells[0]);
                }
                schema = text_of(cells[1]);
                const auto access = text_of(cells[2]);
                promised = access == "READS SQL DATA" || access == "NO SQL";
            })) {
            return false;
        }
        if (!definition || seen_.size() > most_routines) {
            commits_ = commits_ || type == "PROCEDURE";
            unseen_ = unseen_ || !promised;
            return true;
        }
        text_ = core::combine(text_, core::hash(*definition));
        const routine_findings found = scan_routine(*definition);
        handles_ = handles_ || found.handles;
        commits_ = commits_ || (found.may_commit && type == "PROCEDURE");
        unseen_ = unseen_ || (found.made_at_run_time && !promised);
        if (found.made_at_run_time && made_at_run_time_.empty()) {
            made_at_run_time_ = name.name;
        }
        take_writes(found, schema, name.name);
        for (const auto& called : found.calls) {
            if (!look_into(within(called, schema), "PROCEDURE")) {
                return false;
            }
        }
        for (const auto& called : found.functions) {
            auto next = within(called, schema);
            const std::set<std::string>* stored = nullptr;
            if (!functions_of(next.schema, stored)) {
                return false;
            }
            if (stored->contains(lower(next.name)) && !look_into(next, "FUNCTION")) {
                return false;
            }
        }
        return true;
    }

    /// A routine names what it uses within its own schema.
    static qualified_name within(const std::string& name, const std::string& schema) {
        qualified_name made = split(name);
        if (made.schema.empty()) {
            made.schema = schema;
        }
        return made;
    }

    void take_writes(const routine_findings& found, const std::string& schema,
                     const std::string& routine) {
        const auto full = [&](const std::string& table) {
            const auto name = within(table, schema);
            return lower(name.schema + '.' + name.name);
        };
        for (const auto& each : found.temporary) {
            temporary_.insert(full(each));
        }
        for (const auto& each : found.writes) {
            change made;
            made.shown = each.statement;
            for (const auto& table : each.tables) {
                made.shown += (made.tables.empty() ? " " : ", ") + table;
                made.tables.push_back(full(table));
            }
            made.shown += seen_.size() > 1 ? " in " + routine : std::string{};
            writes_.push_back(std::move(made));
        }
    }

    bool functions_of(const std::string& schema, const std::set<std::string>*& to) {
        const auto [at, added] = functions_.try_emplace(schema);
        to = &at->second;
        constexpr std::string_view text =
            "/* beds schema.functions */ SELECT routine_name FROM information_schema.routines "
            "WHERE routine_schema = ? AND routine_type = ?";
        return !added ||
               ask(from_, text, {schema, "FUNCTION"}, [&](std::span<const raw_cell> cells) {
                   at->second.insert(lower(text_of(cells[0])));
               });
    }

    connection& from_;
    std::set<std::string> seen_;
    bool commits_ = false;
    bool handles_ = false;
    bool unseen_ = false;
    std::string made_at_run_time_;
    core::content_hash text_;
    std::vector<change> writes_;
    std::set<std::string> temporary_;
    std::map<std::string, std::set<std::string>> functions_; ///< by schema
};

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
    const routine_name about = routine_of(name);
    procedure_shape made;
    // The value of a function stands at position 0, without name and mode.
    const std::string parameters =
        "/* beds schema.parameters */ SELECT parameter_name, COALESCE(parameter_mode, 'OUT'), "
        "dtd_identifier, character_set_name, collation_name FROM information_schema.parameters "
        "WHERE "
        "specific_schema = COALESCE(?, DATABASE()) AND specific_name = ? "
        "AND routine_type = '" +
        std::string{about.type()} + "' ORDER BY ordinal_position = 0, ordinal_position";
    const bool read = ask(from, parameters, about.name, [&](std::span<const raw_cell> cells) {
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
    routine_walk routines{from};
    if (!read || !routines.look(about)) {
        return std::nullopt;
    }
    routines.tell(made);
    return made;
}

} // namespace beds::adapters::mariadb
