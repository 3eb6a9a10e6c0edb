#include "adapters/mariadb/survey.hpp"

#include "adapters/mariadb/catalog.hpp"
#include "adapters/mariadb/information_schema.hpp"
#include "templates/text.hpp"

#include <beds/core/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <utility>

namespace beds::adapters::mariadb {
namespace {

using core::type_kind;

[[noreturn]] void fail(const connection& from) {
    const auto& why = from.error();
    throw core::error(core::errc::refused, "the database does not tell what it holds",
                      {.origin = core::error_origin::mariadb,
                       .native_code = static_cast<int>(why.number),
                       .server_message = why.message});
}

std::uint64_t number_in(std::string_view digits, std::uint64_t otherwise) {
    std::uint64_t value = 0;
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return failure == std::errc{} && end == digits.data() + digits.size() ? value : otherwise;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// The values of `enum('a','it''s')`.
std::vector<std::string> values_of(std::string_view column_type) {
    std::vector<std::string> found;
    bool inside = false;
    for (std::size_t i = 0; i < column_type.size(); ++i) {
        const bool quote = column_type[i] == '\'';
        if (!inside) {
            if (quote) {
                found.emplace_back();
                inside = true;
            }
        } else if (quote && i + 1 < column_type.size() && column_type[i + 1] == '\'') {
            found.back() += column_type[i++];
        } else if (quote) {
            inside = false;
        } else {
            found.back() += column_type[i];
        }
    }
    return found;
}

std::optional<type_kind> integer_for(std::string_view data_type, bool is_unsigned) {
    struct width {
        std::string_view name;
        type_kind with_sign, without;
    };
    static constexpr std::array<width, 5> widths{{
        {"tinyint", type_kind::int8, type_kind::uint8},
        {"smallint", type_kind::int16, type_kind::uint16},
        {"mediumint", type_kind::int32, type_kind::uint32},
        {"int", type_kind::int32, type_kind::uint32},
        {"bigint", type_kind::int64, type_kind::uint64},
    }};
    for (const auto& each : widths) {
        if (each.name == data_type) {
            return is_unsigned ? each.without : each.with_sign;
        }
    }
    return std::nullopt;
}

std::optional<core::field_type> type_for(const column_report& column) {
    core::field_type made;
    const auto& name = column.data_type;
    const bool is_unsigned = contains(column.column_type, "unsigned");
    constexpr std::uint64_t most_characters = std::uint64_t{16} << 20;
    constexpr std::uint64_t most_digits = 38;
    if (column.column_type == "tinyint(1)") {
        made.kind = type_kind::boolean;
    } else if (const auto integer = integer_for(name, is_unsigned)) {
        made.kind = *integer;
    } else if (name == "decimal") {
        const auto precision = number_in(column.precision, most_digits + 1);
        const auto scale = number_in(column.scale, precision);
        if (precision > most_digits || scale > precision) {
            return std::nullopt;
        }
        made.kind = type_kind::decimal;
        made.precision = static_cast<std::uint8_t>(precision);
        made.scale = static_cast<std::uint8_t>(scale);
    } else if (name == "float" || name == "double") {
        made.kind = type_kind::float64;
    } else if (column.json || name == "json") {
        made.kind = type_kind::json;
    } else if (name == "enum") {
        made.kind = type_kind::enumeration;
        made.values = values_of(column.column_type);
        // The empty one is what MariaDB stores for a value that is none.
        if (made.values.empty() ||
            std::find(made.values.begin(), made.values.end(), "") != made.values.end()) {
            return std::nullopt;
        }
    } else if (name == "char" || name == "varchar" || name.ends_with("text") ||
               name.ends_with("blob") || name == "binary" || name == "varbinary") {
        const bool is_text = name.ends_with("char") || name.ends_with("text");
        made.kind = is_text ? type_kind::string : type_kind::bytes;
        const auto most = number_in(column.characters, 0);
        made.max = most <= most_characters ? static_cast<std::uint32_t>(most) : 0;
    } else if (name == "uuid") {
        made.kind = type_kind::uuid;
    } else if (name == "date") {
        made.kind = type_kind::date;
    } else if (name == "time") {
        made.kind = type_kind::time;
    } else if (name == "datetime" || name == "timestamp") {
        made.kind = type_kind::datetime;
    } else {
        return std::nullopt;
    }
    return made;
}

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("+-0123456789.eE") == std::string_view::npos &&
           text.find_first_of("0123456789") != std::string_view::npos;
}

std::string unquoted(std::string_view literal) {
    auto values = values_of(literal);
    return values.empty() ? std::string{} : std::move(values.front());
}

/// ZEROFILL shows in defaults, too.
std::string without_zeros(std::string number) {
    std::size_t zeros = 0;
    while (zeros + 1 < number.size() && number[zeros] == '0' && number[zeros + 1] >= '0' &&
           number[zeros + 1] <= '9') {
        ++zeros;
    }
    return number.erase(0, zeros);
}

/// The column's default as one of the template. False: the template cannot say it, the database
/// still does it.
bool take_default(const std::string& expression, templates::field& to) {
    const auto text = lower(expression);
    const bool literal = expression.size() >= 2 && expression.front() == '\'' &&
                         expression.back() == '\'' && !contains(expression, "\\");
    const auto value = literal ? unquoted(expression) : expression;
    const auto number = without_zeros(value);
    const auto as_text = [&](const std::string& given) {
        std::string json;
        core::append_json_string(json, given);
        to.default_text = std::move(json);
        return true;
    };
    switch (to.type.kind) {
    case type_kind::boolean:
        if (value != "0" && value != "1") {
            return false;
        }
        to.default_text = value == "1" ? "true" : "false";
        return true;
    case type_kind::decimal:
        return is_number(value) && as_text(number);
    case type_kind::string:
    case type_kind::enumeration:
        return literal && as_text(value);
    case type_kind::uuid:
        if (text == "uuid()") {
            to.source = templates::generated::uuid;
            return true;
        }
        return false;
    case type_kind::datetime:
        if (text.starts_with("current_timestamp") || text.starts_with("now(")) {
            to.source = templates::generated::now;
            return true;
        }
        return false;
    case type_kind::float64:
        if (!is_number(value)) {
            return false;
        }
        to.default_text = number.find_first_of(".eE") == std::string::npos ? number + ".0" : number;
        return true;
    default:
        if (!is_number(value) || value.find_first_of(".eE+") != std::string::npos) {
            return false;
        }
        // TOML's integers end at that of int64; digits in quotes do not.
        if (number_in(number, 0) >
            static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
            return as_text(number);
        }
        to.default_text = number;
        return true;
    }
}

/// What the column does not keep of what its type in a template may be.
std::optional<surveyed::narrow_column> narrow_for(const column_report& column) {
    surveyed::narrow_column made;
    made.name = column.name;
    made.type = column.column_type;
    const auto& name = column.data_type;
    if (name == "float") {
        made.keeps = "about 7 digits";
        made.enough = "DOUBLE";
        return made;
    }
    if (name == "mediumint") {
        made.keeps = "24 bits";
        made.bits = 24;
        made.enough = "INT";
        return made;
    }
    if (name == "datetime" || name == "timestamp" || name == "time") {
        const auto fraction = column.column_type.find('(');
        const auto digits = fraction == std::string::npos
                                ? std::string{"0"}
                                : column.column_type.substr(fraction + 1, 1);
        if (digits != "6") {
            made.keeps = digits == "0" ? "whole seconds" : digits + " digits of a second";
            made.enough = name == "time" ? "TIME(6)" : "DATETIME(6)";
        }
        if (name == "timestamp") {
            made.keeps += (made.keeps.empty() ? "" : " and ") +
                          std::string{"the years 1970 to 2038 (some servers: 2106)"};
            made.enough = "DATETIME(6)";
        }
        return made.keeps.empty() ? std::nullopt : std::optional{made};
    }
    return std::nullopt;
}

bool is_binary(std::string_view collation) {
    return collation.empty() || collation == "binary" || collation.ends_with("_bin");
}

/// Behind a text or name in quotes that begins at `from`.
std::size_t behind_quotes(std::string_view text, std::size_t from) {
    const char quote = text[from];
    for (auto i = from + 1; i < text.size(); ++i) {
        if (text[i] == '\\' && quote == '\'') {
            ++i;
        } else if (text[i] == quote) {
            if (i + 1 == text.size() || text[i + 1] != quote) {
                return i + 1;
            }
            ++i; // two of them are one
        }
    }
    return text.size();
}

/// The conditions of all `CHECK (…)` in what SHOW CREATE TABLE says.
std::vector<std::string_view> checks_in(std::string_view text) {
    constexpr std::string_view begin = "CHECK (";
    std::vector<std::string_view> found;
    std::optional<std::size_t> inside; ///< where the condition begins
    std::size_t depth = 0;
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] == '`' || text[i] == '\'') {
            i = behind_quotes(text, i);
            continue;
        }
        if (!inside && text.substr(i).starts_with(begin)) {
            i += begin.size();
            inside = i;
            depth = 1;
            continue;
        }
        depth += inside && text[i] == '(' ? 1U : 0U;
        depth -= inside && text[i] == ')' ? 1U : 0U;
        if (inside && depth == 0) {
            found.push_back(text.substr(*inside, i - *inside));
            inside.reset();
        }
        ++i;
    }
    return found;
}

/// The column that a condition, in lower case, keeps JSON; empty: none.
std::string json_column(std::string_view condition) {
    constexpr std::string_view begin = "json_valid(";
    if (!condition.starts_with(begin)) {
        return {};
    }
    condition.remove_prefix(begin.size());
    std::string name;
    if (condition.starts_with('`')) {
        const auto end = behind_quotes(condition, 0);
        for (std::size_t i = 1; i + 1 < end; ++i) {
            name += condition[i];
            i += condition[i] == '`' ? 1U : 0U;
        }
        condition.remove_prefix(end);
    } else { // the server may be told to leave the quotes out
        const auto end = std::min(condition.find(')'), condition.size());
        name = condition.substr(0, end);
        condition.remove_prefix(end);
    }
    if (!condition.starts_with(')')) {
        return {};
    }
    condition.remove_prefix(1);
    // `or` lets other texts in.
    const bool all =
        condition.empty() || (condition.starts_with(" and ") && !contains(condition, " or ") &&
                              !contains(condition, " xor "));
    return all ? name : std::string{};
}

struct index_report {
    std::vector<std::string> columns;
    bool unique = false;
    bool beginnings = false; ///< of some columns
    bool used = true;        ///< by the server
    std::string wrong;       ///< why no template can name it
};

class surveyor {
public:
    surveyor(connection& from, std::string_view object)
        : from_(from), name_(split(object)), object_(object) {}

    surveyed survey() {
        made_.found.store = templates::engine::rel;
        made_.found.object = object_;
        table();
        engines_behind();
        checks();
        columns();
        templates::name_fields(made_.found);
        for (std::size_t i = 0; i < remarks_.size(); ++i) {
            if (!remarks_[i].empty()) {
                made_.beside.of_fields[made_.found.fields[i].name] = remarks_[i];
            }
        }
        indexes();
        return std::move(made_);
    }

private:
    void ask_all(std::string_view text, const std::function<void(std::span<const raw_cell>)>& row) {
        if (!ask(from_, text, name_, row)) {
            fail(from_);
        }
    }
    void say(std::string text) { made_.beside.head.push_back(std::move(text)); }

    void table() {
        bool there = false;
        ask_all("/* beds survey.table */ SELECT table_type, engine, table_comment FROM "
                "information_schema.tables WHERE table_schema = COALESCE(?, DATABASE()) AND "
                "table_name = ?",
                [&](std::span<const raw_cell> cells) {
                    there = true;
                    made_.is_view = contains(text_of(cells[0]), "VIEW");
                    const auto engine = text_of(cells[1]);
                    const auto comment = text_of(cells[2]);
                    say("Made from the " + std::string{made_.is_view ? "view " : "table "} +
                        object_ + (comment.empty() || made_.is_view ? "." : ": " + comment));
                    if (!made_.is_view && engine != "InnoDB") {
                        made_.transactional = false;
                        say("Its engine is " + engine +
                            ", which cannot undo what it wrote: read it, or make it InnoDB.");
                    }
                });
        if (!there) {
            throw core::error(core::errc::unknown_name, "there is no table or view '" + object_ +
                                                            "' that this account may see");
        }
    }

    /// Of a view: all that it is over.
    void engines_behind() {
        const auto unsafe = load_unsafe(from_, object_);
        if (made_.is_view && unsafe && !unsafe->empty()) {
            made_.transactional = false;
            say("Behind it is " + *unsafe +
                ", which cannot undo what it wrote: read it, or make "
                "that table InnoDB.");
        }
    }

    /// MariaDB's JSON is text with a check; MySQL's is a type.
    void checks() {
        if (!from_.facts().is_mariadb || made_.is_view) {
            return;
        }
        bool told = false;
        ask_all("/* beds survey.checks */ SELECT check_clause FROM "
                "information_schema.check_constraints WHERE constraint_schema = COALESCE(?, "
                "DATABASE()) AND table_name = ?",
                [&](std::span<const raw_cell> cells) {
                    told = true;
                    note_check(text_of(cells[0]));
                });
        if (told) {
            return;
        }
        // That table is empty for an account with rights on single tables; this one asks for less.
        query asked;
        asked.text("SHOW CREATE TABLE ").object(object_);
        if (!ask(from_, asked, [&](std::span<const raw_cell> cells) {
                for (const auto clause : checks_in(cells[1].text())) {
                    note_check(std::string{clause});
                }
            })) {
            if (!from_.usable()) {
                fail(from_);
            }
            return; // with rights on single columns it is not shown: then they are texts
        }
        from_.forget(asked.text());
    }
    void note_check(std::string clause) {
        if (auto column = json_column(lower(std::move(clause))); !column.empty()) {
            json_.push_back(std::move(column));
        }
    }

    void columns() {
        ask_all("/* beds survey.columns */ SELECT column_name, data_type, column_type, "
                "CAST(character_maximum_length AS CHAR), CAST(numeric_precision AS CHAR), "
                "CAST(numeric_scale AS CHAR), collation_name, is_nullable, column_default, extra, "
                "column_comment FROM information_schema.columns WHERE table_schema = COALESCE(?, "
                "DATABASE()) AND table_name = ? ORDER BY ordinal_position",
                [&](std::span<const raw_cell> cells) {
                    column_report column;
                    column.name = text_of(cells[0]);
                    column.data_type = lower(text_of(cells[1]));
                    column.column_type = text_of(cells[2]);
                    column.characters = text_of(cells[3]);
                    column.precision = text_of(cells[4]);
                    column.scale = text_of(cells[5]);
                    column.collation = text_of(cells[6]);
                    column.nullable = text_of(cells[7]) == "YES";
                    column.extra = lower(text_of(cells[9]));
                    column.comment = text_of(cells[10]);
                    column.json =
                        std::find(json_.begin(), json_.end(), lower(column.name)) != json_.end();
                    column.by_default = default_of(cells[8], column);
                    // So a view shows an AUTO_INCREMENT, and what is computed. That it is never
                    // NULL holds all the same: behind outer joins and the like it says that it is.
                    column.default_hidden = made_.is_view && column.by_default == "0";
                    add(column);
                });
    }

    /// MariaDB gives expressions, MySQL what its literals say.
    [[nodiscard]] std::optional<std::string> default_of(const raw_cell& cell,
                                                        const column_report& column) const {
        if (cell.data == nullptr) {
            return std::nullopt;
        }
        auto text = text_of(cell);
        if (from_.facts().is_mariadb) {
            return text == "NULL" ? std::nullopt : std::optional{text};
        }
        const bool expression = contains(column.extra, "default_generated");
        return expression || is_number(text) ? text : '\'' + text + '\'';
    }

    void add(const column_report& column) {
        std::string remark;
        auto made = field_for(column, remark);
        if (made && !templates::is_identifier(column.name, templates::identifier::column,
                                              templates::engine::rel)) {
            made.reset();
            remark = "no field can have its name";
        }
        if (!made) {
            say("Left out: column " + column.name + ' ' + column.column_type + ": " + remark + '.');
            made_.unknown.push_back(
                {column.name, column.column_type,
                 !column.nullable && !column.by_default && !contains(column.extra, "generated")});
            return;
        }
        if (auto narrow = narrow_for(column)) {
            made_.narrow.push_back(std::move(*narrow));
        }
        made_.found.fields.push_back(std::move(*made));
        remarks_.push_back(std::move(remark));
    }

    void indexes() {
        std::map<std::string, index_report> found;
        // Indexes that the server keeps up and does not use: IGNORED, or in MySQL's words
        // INVISIBLE.
        constexpr unsigned long mariadb_that_ignores = 100600;
        constexpr unsigned long mysql_that_hides = 80000;
        const auto& server = from_.facts();
        const std::string unused =
            server.is_mariadb ? (server.version >= mariadb_that_ignores ? "ignored" : "'NO'")
            : server.version >= mysql_that_hides
                ? "CASE WHEN is_visible = 'YES' THEN 'NO' ELSE 'YES' END"
                : "'NO'";
        ask_all("/* beds survey.indexes */ SELECT index_name, column_name, CAST(non_unique AS "
                "CHAR), CAST(sub_part AS CHAR), index_type, " +
                    unused +
                    " FROM information_schema.statistics "
                    "WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? ORDER BY "
                    "index_name, seq_in_index",
                [&](std::span<const raw_cell> cells) {
                    auto& index = found[text_of(cells[0])];
                    index.columns.push_back(text_of(cells[1]));
                    index.unique = text_of(cells[2]) == "0";
                    if (cells[3].data != nullptr) {
                        index.wrong = "it holds the beginnings of its columns only";
                        index.beginnings = true;
                    } else if (const auto type = text_of(cells[4]);
                               type != "BTREE" && type != "HASH") {
                        index.wrong = "it is of the kind " + type;
                    } else if (text_of(cells[5]) == "YES") {
                        index.wrong = "the server does not use it (IGNORED)";
                    }
                    index.used = text_of(cells[5]) != "YES";
                });
        for (const auto& [name, index] : found) {
            if (index.beginnings && index.used) {
                made_.beginnings.push_back(index.columns);
            }
        }
        choose_key(found);
        for (const auto& [name, index] : found) {
            add(name, index);
        }
    }

    /// The primary key; without one the first unique index whose columns are never NULL.
    void choose_key(std::map<std::string, index_report>& found) {
        auto chosen = found.find("PRIMARY");
        if (chosen == found.end()) {
            chosen = std::find_if(found.begin(), found.end(), [&](const auto& each) {
                const auto& [name, index] = each;
                return index.unique && index.wrong.empty() &&
                       std::all_of(index.columns.begin(), index.columns.end(),
                                   [&](const std::string& column) {
                                       const auto id = field_of(column);
                                       return id && !made_.found.fields[*id].nullable;
                                   });
            });
        }
        if (chosen != found.end()) {
            for (const auto& column : chosen->second.columns) {
                if (const auto id = field_of(column)) {
                    auto& each = made_.found.fields[*id];
                    made_.found.key.push_back(*id);
                    each.in_key = true;
                    each.indexed = true;
                    each.nullable = false;
                }
            }
            if (made_.found.key.size() == chosen->second.columns.size()) {
                found.erase(chosen);
                return;
            }
            made_.found.key.clear();
        }
        say(made_.is_view
                ? "A view has no key that could be seen: name the fields that tell its rows "
                  "apart in `key`, and the indexes behind it as [[index]]."
                : "It has no primary key that a template can name: make one, or name in "
                  "`key` the fields that tell its rows apart.");
    }

    void add(const std::string& name, const index_report& from) {
        templates::index made;
        made.unique = from.unique;
        auto wrong = from.wrong;
        for (const auto& column : from.columns) {
            const auto id = field_of(column);
            if (!id) {
                wrong = column.empty() ? "it is over an expression" : "column " + column;
                break;
            }
            if (made_.found.fields[*id].type.kind == type_kind::json) {
                wrong = "column " + column + " is JSON";
            }
            made.fields.push_back(*id);
        }
        const auto& others = made_.found.indexes;
        if (wrong.empty() && std::any_of(others.begin(), others.end(), [&](const auto& other) {
                return other.fields == made.fields;
            })) {
            return; // two indexes over the same columns
        }
        if (!wrong.empty()) {
            say("Left out: index " + name + ": " + wrong + '.');
            return;
        }
        for (const auto id : made.fields) {
            made_.found.fields[id].indexed = true;
        }
        made_.found.indexes.push_back(std::move(made));
    }

    [[nodiscard]] std::optional<templates::field_id> field_of(const std::string& column) const {
        const auto wanted = lower(column);
        const auto& fields = made_.found.fields;
        const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& each) {
            return lower(each.column) == wanted;
        });
        return found == fields.end()
                   ? std::nullopt
                   : std::optional{static_cast<templates::field_id>(found - fields.begin())};
    }

    connection& from_;
    qualified_name name_;
    std::string object_;
    std::vector<std::string> json_;    ///< columns, in lower case
    std::vector<std::string> remarks_; ///< beside `made_.found.fields`
    surveyed made_;
};

} // namespace

std::optional<templates::field> field_for(const column_report& column, std::string& remark) {
    remark = column.comment;
    const auto type = type_for(column);
    if (!type) {
        remark = "no type of a template holds what it may";
        return std::nullopt;
    }
    const auto also = [&](const std::string& text) {
        remark += (remark.empty() ? "" : "; ") + text;
    };
    templates::field made;
    made.column = column.name;
    made.type = *type;
    made.nullable = column.nullable;
    if ((type->kind == type_kind::string || type->kind == type_kind::enumeration) &&
        !is_binary(column.collation)) {
        made.collation = column.collation;
    }
    if (column.default_hidden) {
        also("the default behind the view is not seen");
    } else if (contains(column.extra, "auto_increment")) {
        made.source = templates::generated::database;
    } else if (contains(column.extra, "virtual generated") ||
               contains(column.extra, "stored generated") || contains(column.extra, "persistent")) {
        made.write_protected = true;
        also("the database computes it");
    } else if (column.by_default) {
        if (!take_default(*column.by_default, made)) {
            also("the database's default is " + *column.by_default);
        }
    } else if (!column.nullable) {
        made.required = true;
    }
    if (contains(column.extra, "on update")) {
        made.write_protected = true;
        also("the database renews it at every update");
    }
    // What the database makes is never NULL in the words of a template.
    if (made.source != templates::generated::no && made.nullable) {
        also("may be NULL");
    }
    return made;
}

std::vector<std::string> list_objects(connection& from) {
    std::vector<std::string> found;
    const bool read = ask(from,
                          "/* beds survey.objects */ SELECT table_name FROM "
                          "information_schema.tables WHERE table_schema = COALESCE(?, DATABASE()) "
                          "AND table_name NOT LIKE ? AND table_type <> 'SEQUENCE' "
                          "ORDER BY table_name",
                          {{}, "beds\\_%"}, [&](std::span<const raw_cell> cells) {
                              found.push_back(text_of(cells[0]));
                          });
    if (!read) {
        fail(from);
    }
    return found;
}

std::optional<surveyed_procedure> survey_procedure(connection& from, std::string_view name) {
    const auto about = routine_of(name);
    const std::string of_type = "routine_type = '" + std::string{about.type()} + '\'';
    bool there = false;
    const bool read = ask(from,
                          "/* beds survey.procedure */ SELECT routine_name FROM "
                          "information_schema.routines WHERE routine_schema = COALESCE(?, "
                          "DATABASE()) AND routine_name = ? AND " +
                              of_type,
                          about.name, [&](std::span<const raw_cell>) { there = true; });
    const auto shape = read && there ? load_procedure(from, name) : std::nullopt;
    if (!read || (there && !shape)) {
        fail(from);
    }
    if (!there) {
        return std::nullopt;
    }
    surveyed_procedure made;
    made.commits = shape->runs_alone;
    made.may_write = shape->writes != writing::none;
    made.writes = shape->writes_by;
    made.made_at_run_time = shape->made_at_run_time;
    const bool parameters =
        ask(from,
            "/* beds survey.parameters */ SELECT parameter_name, COALESCE(parameter_mode, 'OUT'), "
            "data_type, dtd_identifier, CAST(character_maximum_length AS CHAR), "
            "CAST(numeric_precision AS CHAR), CAST(numeric_scale AS CHAR), collation_name FROM "
            "information_schema.parameters WHERE specific_schema = COALESCE(?, DATABASE()) AND "
            "specific_name = ? AND " +
                of_type + " ORDER BY ordinal_position = 0, ordinal_position",
            about.name, [&](std::span<const raw_cell> cells) {
                surveyed_procedure::parameter one;
                const auto mode = text_of(cells[1]);
                one.name = cells[0].data == nullptr ? "(value)" : text_of(cells[0]);
                one.in = mode != "OUT";
                one.out = mode != "IN";
                column_report as_column;
                as_column.data_type = lower(text_of(cells[2]));
                as_column.column_type = lower(text_of(cells[3]));
                as_column.characters = text_of(cells[4]);
                as_column.precision = text_of(cells[5]);
                as_column.scale = text_of(cells[6]);
                as_column.collation = text_of(cells[7]);
                one.server_type = as_column.column_type;
                one.type = type_for(as_column);
                made.parameters.push_back(std::move(one));
            });
    if (!parameters) {
        fail(from);
    }
    return made;
}

surveyed survey_object(connection& from, std::string_view object) {
    return surveyor{from, object}.survey();
}

} // namespace beds::adapters::mariadb
