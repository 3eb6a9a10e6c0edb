#include "adapters/mariadb/compare.hpp"

#include "adapters/mariadb/catalog.hpp"
#include "adapters/mariadb/information_schema.hpp"
#include "adapters/mariadb/query.hpp"
#include "adapters/mariadb/survey.hpp"
#include "templates/text.hpp"

#include <beds/core/error.hpp>

#include <algorithm>
#include <optional>

namespace beds::adapters::mariadb {
namespace {

using severity = difference::severity;

// Numbers of the server.
constexpr unsigned no_right_on_database = 1044;
constexpr unsigned no_column = 1054;
constexpr unsigned no_right_on_table = 1142;
constexpr unsigned no_right_on_column = 1143;
constexpr unsigned no_table = 1146;

bool is_right(unsigned number) {
    return number == no_right_on_database || number == no_right_on_table ||
           number == no_right_on_column;
}

/// All lines of one column, or nothing.
std::optional<std::vector<std::string>> lines_of(connection& from, std::string_view question) {
    std::vector<std::string> lines;
    query asked;
    asked.text(question);
    if (!ask(from, asked, [&](const auto& cells) { lines.push_back(text_of(cells[0])); })) {
        return std::nullopt;
    }
    return lines;
}

/// LIKE as grants on databases mean it: `%`, `_`, and `\\` before what is meant literally.
bool like(std::string_view text, std::string_view pattern) {
    if (pattern.empty()) {
        return text.empty();
    }
    if (pattern.front() == '%') {
        for (std::size_t i = 0; i <= text.size(); ++i) {
            if (like(text.substr(i), pattern.substr(1))) {
                return true;
            }
        }
        return false;
    }
    const bool literal = pattern.front() == '\\' && pattern.size() > 1;
    const auto wanted = literal ? pattern[1] : pattern.front();
    return !text.empty() && ((wanted == '_' && !literal) || text.front() == wanted) &&
           like(text.substr(1), pattern.substr(literal ? 2 : 1));
}

/// Reads `name` in backticks, or a bare one up to a dot or a blank, from the front.
std::string take_name(std::string_view& from) {
    std::string name;
    if (!from.starts_with('`')) {
        const auto end = std::min(from.find_first_of(". "), from.size());
        name = from.substr(0, end);
        from.remove_prefix(end);
        return name;
    }
    for (std::size_t i = 1; i < from.size(); ++i) {
        if (from[i] == '`' && i + 1 < from.size() && from[i + 1] == '`') {
            name += from[i++];
        } else if (from[i] == '`') {
            from.remove_prefix(i + 1);
            return name;
        } else {
            name += from[i];
        }
    }
    from = {};
    return name;
}

/// The server says whether it would run a statement when it prepares it: it looks at tables,
/// columns and rights and runs nothing.
class trial {
public:
    trial(connection& with, const templates::template_def& wanted, core::op_class highest)
        : with_(with), wanted_(wanted), writes_(highest != core::op_class::read),
          highest_(highest) {}

    std::vector<difference> run() {
        if (look()) {
            statements();
        }
        procedures();
        return std::move(found_);
    }

private:
    void add(std::vector<difference> more) {
        found_.insert(found_.end(), std::make_move_iterator(more.begin()),
                      std::make_move_iterator(more.end()));
    }

    /// Nothing: the server takes it.
    std::optional<server_error> refused(const query& asked) {
        if (with_.prepared(asked.text()) != nullptr) {
            with_.forget(asked.text());
            return std::nullopt;
        }
        if (!with_.usable() || classify(with_.error().number).reach == reach::session) {
            throw core::error(core::errc::unreachable,
                              "the connection broke while templates were compared");
        }
        return with_.error();
    }

    /// False: there is nothing to try statements on.
    bool look() {
        for (const bool view : {false, true}) {
            if (view && wanted_.read_view.empty()) {
                continue;
            }
            const auto& object = view ? wanted_.read_view : wanted_.object;
            const std::string key = view ? "read.view" : "template.object";
            if (!view && !wanted_.read_view.empty() && !touches_object()) {
                continue;
            }
            try {
                (view ? read_ : written_) = survey_object(with_, object);
            } catch (const core::error& failed) {
                if (failed.code() != core::errc::unknown_name) {
                    throw;
                }
                const auto hint = core::did_you_mean(object, list_objects(with_));
                found_.push_back(
                    {severity::error, key, failed.message(),
                     hint.empty() ? "create it, or grant SELECT on it" : hint.substr(2)});
                return false;
            }
            query asked;
            asked.comment(wanted_.name, "check").text("SELECT 1 FROM ").object(object);
            if (const auto why = refused(asked)) {
                if (!is_right(why->number)) {
                    found_.push_back({severity::error, key,
                                      "'" + object + "' cannot be read: " + why->message,
                                      "mend the view, or the rights of its definer"});
                    return false;
                }
            }
        }
        if (!written_) {
            written_ = read_; // all writing goes through procedures
        } else if (!read_) {
            read_ = written_;
        }
        add(adapters::compare(wanted_, *read_, *written_,
                              touches_object() ? highest_ : core::op_class::read));
        return true;
    }

    /// Do statements of BEDS read or write the object itself?
    [[nodiscard]] bool touches_object() const {
        return wanted_.read_view.empty() ||
               (writes_ && (wanted_.write.insert.empty() || wanted_.write.update.empty() ||
                            wanted_.write.remove.empty()));
    }

    [[nodiscard]] static bool has(const surveyed& in, const templates::field& field) {
        return std::any_of(in.found.fields.begin(), in.found.fields.end(), [&](const auto& each) {
            return templates::same_column(each.column, field.column, templates::engine::rel);
        });
    }

    void try_one(const query& asked, const std::string& key, const char* right,
                 const std::string& object, severity how, const char* told) {
        const auto why = refused(asked);
        if (!why) {
            return;
        }
        const bool denied = is_right(why->number);
        found_.push_back(
            {how, key,
             (denied ? "this account may not " + std::string{right} + ' ' +
                           (std::string_view{right} == "SELECT" ? "from '" : "'") + object + "'"
                     : "'" + object + "' takes no " + right) +
                 ", " + told + ": " + why->message,
             denied ? "GRANT " + std::string{right} + " ON " + object +
                          ", as `bedsctl schema --grants` prints it"
                    : std::string{"change the view, write through a procedure of [write], or give "
                                  "the role no write instances"}});
    }

    query select(const surveyed& from, const std::string& object, bool keys_only) const {
        query asked;
        asked.comment(wanted_.name, "check").text("SELECT ");
        std::string_view glue;
        for (const auto& each : wanted_.fields) {
            if ((each.in_key || !keys_only) && has(from, each)) {
                asked.text(glue).name(each.column);
                glue = ",";
            }
        }
        asked.text(glue.empty() ? "1" : "").text(" FROM ").object(object);
        return asked;
    }

    void by_key(query& asked) const {
        asked.text(" WHERE ");
        std::string_view glue;
        for (const auto id : wanted_.key) {
            asked.text(glue).name(wanted_.fields[id].column).text(" = ?");
            glue = " AND ";
        }
    }

    void statements() {
        const auto& object = wanted_.object;
        const bool viewed = !wanted_.read_view.empty();
        try_one(select(*read_, wanted_.read_object(), false),
                viewed ? "read.view" : "template.object", "SELECT", wanted_.read_object(),
                severity::error, "and no row can be read");
        if (!writes_ || !touches_object()) {
            return;
        }
        if (std::any_of(wanted_.key.begin(), wanted_.key.end(),
                        [&](auto id) { return !has(*written_, wanted_.fields[id]); })) {
            return; // told as a missing column
        }
        constexpr auto how = severity::warning;
        if (viewed) {
            try_one(select(*written_, object, true), "template.object", "SELECT", object, how,
                    "and what is written is looked for there");
        }
        if (wanted_.write.insert.empty()) {
            query asked;
            asked.comment(wanted_.name, "check").text("INSERT INTO ").object(object).text(" (");
            std::string values;
            for (const auto& each : wanted_.fields) {
                const bool given = !each.write_protected || each.default_text.has_value() ||
                                   each.source != templates::generated::no;
                if (given && each.source != templates::generated::database &&
                    has(*written_, each)) {
                    asked.text(values.empty() ? "" : ",").name(each.column);
                    values += values.empty() ? "?" : ",?";
                }
            }
            asked.text(") VALUES (").text(values).text(")");
            try_one(asked, "template.object", "INSERT", object, how, "and every insert is refused");
        }
        if (wanted_.write.update.empty()) {
            query asked;
            asked.comment(wanted_.name, "check").text("UPDATE ").object(object).text(" SET ");
            std::string_view glue;
            for (const auto& each : wanted_.fields) {
                if (!each.write_protected && !each.in_key && has(*written_, each)) {
                    asked.text(glue).name(each.column).text(" = ?");
                    glue = ",";
                }
            }
            by_key(asked);
            if (!glue.empty()) {
                try_one(asked, "template.object", "UPDATE", object, how, "and updates are refused");
            }
        }
        if (wanted_.has_rows_that_expire() ||
            (wanted_.write.remove.empty() && !wanted_.soft_delete)) {
            query asked;
            asked.comment(wanted_.name, "check").text("DELETE FROM ").object(object);
            by_key(asked);
            try_one(asked, "template.object", "DELETE", object, how,
                    wanted_.has_rows_that_expire() ? "and rows that are too old stay"
                                                   : "and deletes are refused");
        }
    }

    // ---- procedures ----

    [[nodiscard]] bool executable(const std::string& procedure) {
        if (!asked_) {
            asked_ = true;
            grants_ = lines_of(with_, "SHOW GRANTS");
            const auto schema = lines_of(with_, "SELECT DATABASE()");
            schema_ = schema && !schema->empty() ? schema->front() : std::string{};
        }
        const auto about = routine_of(procedure);
        const auto& in = about.name.schema;
        return !grants_ ||
               may_execute(*grants_, in.empty() ? schema_ : in, about.name.name, about.type());
    }

    void procedure(const std::string& name, const std::string& key,
                   std::vector<difference> (*compare)(const trial&, const surveyed_procedure*),
                   const templates::call* called = nullptr, core::verb op = core::verb::call) {
        if (name.empty()) {
            return;
        }
        called_ = called;
        op_ = op;
        const auto there = survey_procedure(with_, name);
        add(compare(*this, there ? &*there : nullptr));
        if (there && !executable(name)) {
            const bool function = routine_of(name).function;
            const auto shown = name.substr(0, name.size() - (function ? 2 : 0));
            found_.push_back({severity::error, key,
                              "this account may not EXECUTE " +
                                  std::string{function ? "function '" : "procedure '"} + shown +
                                  '\'',
                              "GRANT EXECUTE ON " + std::string{routine_of(name).type()} + ' ' +
                                  shown + ", as `bedsctl schema --grants` prints it"});
        }
    }

    void procedures() {
        const auto writing = [](const trial& of, const surveyed_procedure* there) {
            return adapters::compare(of.wanted_, of.op_, there);
        };
        if (writes_) {
            procedure(wanted_.write.insert, "write.insert", writing, nullptr, core::verb::insert);
            procedure(wanted_.write.update, "write.update", writing, nullptr, core::verb::update);
            procedure(wanted_.write.remove, "write.delete", writing, nullptr, core::verb::remove);
        }
        for (const auto& each : wanted_.calls) {
            if (each.op_class <= highest_) {
                procedure(
                    each.routine,
                    "calls." + each.name + (each.is_function() ? ".function" : ".procedure"),
                    [](const trial& of, const surveyed_procedure* there) {
                        return adapters::compare(*of.called_, there);
                    },
                    &each);
            }
        }
    }

    connection& with_;
    const templates::template_def& wanted_;
    bool writes_;
    core::op_class highest_;
    std::optional<surveyed> read_;
    std::optional<surveyed> written_;
    bool asked_ = false;
    std::optional<std::vector<std::string>> grants_;
    std::string schema_;
    const templates::call* called_ = nullptr; ///< at hand
    core::verb op_ = core::verb::call;
    std::vector<difference> found_;
};

// ---- what is BEDS's own ----

constexpr const char* how_to_make = "its DBA runs: bedsctl schema | mariadb DATABASE";

std::optional<server_error> refused(connection& with, std::string_view text) {
    if (with.prepared(text) != nullptr) {
        with.forget(text);
        return std::nullopt;
    }
    if (!with.usable() || classify(with.error().number).reach == reach::session) {
        throw core::error(core::errc::unreachable,
                          "the connection broke while the inbox was looked at");
    }
    return with.error();
}

/// A column of the inbox that is not what inbox.sql makes, in its words; empty: it is.
std::string misshapen(const surveyed& there) {
    struct column {
        const char* name;
        core::type_kind kind;
        std::uint32_t least; ///< characters or bytes
        const char* as;
    };
    static constexpr column columns[]{
        {"principal", core::type_kind::bytes, 1020, "VARBINARY(1020)"},
        {"id", core::type_kind::bytes, 512, "VARBINARY(512)"},
        {"content", core::type_kind::bytes, 16, "BINARY(16)"},
        {"reply", core::type_kind::bytes, (1U << 24U) - 1, "MEDIUMBLOB"},
        {"created", core::type_kind::datetime, 0, "TIMESTAMP(6)"},
    };
    const auto& fields = there.found.fields;
    for (const auto& wanted : columns) {
        const auto at = std::find_if(fields.begin(), fields.end(), [&](const auto& each) {
            return lower(each.column) == wanted.name;
        });
        if (at == fields.end()) {
            return "it has no column " + std::string{wanted.name};
        }
        // Tables of before: blanks at the end of an account's name did not count.
        if (at->type.kind == core::type_kind::string && at->type.max >= 255 &&
            std::string_view{wanted.name} == "principal") {
            continue;
        }
        if (at->type.kind != wanted.kind || (at->type.max != 0 && at->type.max < wanted.least)) {
            return "its column " + std::string{wanted.name} + " is not " + wanted.as;
        }
    }
    const auto is_identity = [&](const std::vector<templates::field_id>& ids) {
        return ids.size() == 2 && lower(fields[ids[0]].column) == "principal" &&
               lower(fields[ids[1]].column) == "id";
    };
    if (!is_identity(there.found.key) &&
        std::none_of(there.found.indexes.begin(), there.found.indexes.end(),
                     [&](const auto& each) { return each.unique && is_identity(each.fields); })) {
        return "it has no primary key (principal, id): a write that is sent twice would happen "
               "twice";
    }
    return {};
}

} // namespace

bool may_execute(std::span<const std::string> grants, std::string_view schema,
                 std::string_view name, std::string_view type) {
    const auto wanted_schema = lower(std::string{schema});
    const auto wanted_name = lower(std::string{name});
    for (const auto& line : grants) {
        constexpr std::string_view begin = "GRANT ";
        const auto on = line.find(" ON ");
        if (!line.starts_with(begin) || on == std::string::npos) {
            continue; // a role, or how the account is identified
        }
        auto privileges = ", " + line.substr(begin.size(), on - begin.size()) + ",";
        if (privileges.find(", EXECUTE,") == std::string::npos &&
            privileges.find(", ALL PRIVILEGES,") == std::string::npos) {
            continue;
        }
        std::string_view object = std::string_view{line}.substr(on + 4);
        const bool one = object.starts_with("PROCEDURE ") || object.starts_with("FUNCTION ");
        if (one) {
            if (!object.starts_with(type)) {
                continue;
            }
            object.remove_prefix(type.size() + 1);
        }
        const auto in = lower(take_name(object));
        object.remove_prefix(std::min<std::size_t>(1, object.size()));
        const auto of = lower(take_name(object));
        if (one ? in == wanted_schema && of == wanted_name
                : of == "*" && (in == "*" || like(wanted_schema, in))) {
            return true;
        }
    }
    return false;
}

std::vector<difference> compare_template(connection& with, const templates::template_def& wanted,
                                         core::op_class highest) {
    return trial{with, wanted, highest}.run();
}

std::vector<difference> compare_own(connection& with,
                                    std::span<const templates::template_def* const> targets) {
    std::vector<difference> found;
    struct use {
        const char* text;
        const char* right;
        severity how;
        const char* told;
    };
    static constexpr use uses[]{
        {"/* beds check */ SELECT principal, id, content, reply, created FROM beds_inbox", "SELECT",
         severity::error, "writes are refused"},
        {"/* beds check */ INSERT INTO beds_inbox (principal, id, content, reply) VALUES "
         "(?,?,?,?)",
         "INSERT", severity::error, "writes are refused"},
        {"/* beds check */ DELETE FROM beds_inbox WHERE created < ?", "DELETE", severity::warning,
         "old rows stay, and the table grows"},
    };
    for (const auto& each : uses) {
        const auto why = refused(with, each.text);
        if (!why) {
            continue;
        }
        if (is_right(why->number)) {
            found.push_back({each.how, "beds_inbox",
                             "this account may not " + std::string{each.right} +
                                 " in table 'beds_inbox': " + each.told,
                             "GRANT SELECT, INSERT, DELETE ON beds_inbox"});
            continue;
        }
        found.push_back({severity::error, "beds_inbox",
                         why->number == no_table ? "there is no table 'beds_inbox': writes are "
                                                   "refused"
                         : why->number == no_column
                             ? "table 'beds_inbox' is none of BEDS: " + why->message
                             : "table 'beds_inbox' cannot be used: " + why->message,
                         how_to_make});
        return found;
    }
    if (found.empty()) {
        const auto there = survey_object(with, "beds_inbox");
        if (const auto wrong = misshapen(there); !wrong.empty()) {
            found.push_back({severity::error, "beds_inbox",
                             "table 'beds_inbox' is not as BEDS needs it: " + wrong,
                             "rename it; then " + std::string{how_to_make}});
        }
        if (!there.transactional) {
            found.push_back({severity::error, "beds_inbox",
                             "table 'beds_inbox' cannot undo what it wrote: writes are refused",
                             "ALTER TABLE beds_inbox ENGINE = InnoDB"});
        }
    }
    const bool procedures = std::any_of(targets.begin(), targets.end(), [](const auto* each) {
        return !each->write.insert.empty() || !each->write.update.empty() ||
               !each->write.remove.empty() ||
               std::any_of(each->calls.begin(), each->calls.end(),
                           [](const auto& call) { return !call.routine.empty(); });
    });
    if (procedures && !survey_procedure(with, "beds_kill")) {
        found.push_back({severity::warning, "beds_kill",
                         "there is no procedure 'beds_kill' that this account may see: late "
                         "procedures of other definers go on at the server",
                         std::string{how_to_make} + ", and GRANT EXECUTE ON PROCEDURE beds_kill"});
    }
    return found;
}

} // namespace beds::adapters::mariadb
