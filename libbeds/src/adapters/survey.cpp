#include "core/characters.hpp"
#include "templates/text.hpp"

#include <beds/adapters/survey.hpp>
#include <beds/core/error.hpp>

#include <algorithm>
#include <optional>
#include <string_view>

namespace beds::adapters {
namespace {

using core::type_kind;
using severity = difference::severity;

/// Types of one family differ in their bounds only.
enum class family : std::uint8_t {
    logical,
    whole,
    approximate,
    exact,
    text,
    uuid,
    bytes,
    date,
    time,
    datetime,
    nested
};

family family_of(type_kind kind) {
    switch (kind) {
    case type_kind::boolean:
        return family::logical;
    case type_kind::int8:
    case type_kind::int16:
    case type_kind::int32:
    case type_kind::int64:
    case type_kind::uint8:
    case type_kind::uint16:
    case type_kind::uint32:
    case type_kind::uint64:
        return family::whole;
    case type_kind::float64:
        return family::approximate;
    case type_kind::decimal:
        return family::exact;
    case type_kind::string:
    case type_kind::enumeration:
        return family::text;
    case type_kind::uuid:
        return family::uuid;
    case type_kind::bytes:
        return family::bytes;
    case type_kind::date:
        return family::date;
    case type_kind::time:
        return family::time;
    case type_kind::datetime:
        return family::datetime;
    case type_kind::json:
    case type_kind::document:
        return family::nested;
    }
    return family::text;
}

/// A UUID may be stored as text or in 16 bytes, a truth value as a number, JSON as text.
bool may_be_stored_as(family wanted, family there) {
    return wanted == there ||
           (wanted == family::uuid && (there == family::text || there == family::bytes)) ||
           (wanted == family::logical && there == family::whole) ||
           (wanted == family::whole && there == family::logical) ||
           (wanted == family::nested && there == family::text);
}

struct bounds {
    bool below_zero = true;
    int bits = 64;
};

bounds bounds_of(type_kind kind) {
    switch (kind) {
    case type_kind::int8:
        return {true, 8};
    case type_kind::int16:
        return {true, 16};
    case type_kind::int32:
        return {true, 32};
    case type_kind::uint8:
        return {false, 8};
    case type_kind::uint16:
        return {false, 16};
    case type_kind::uint32:
        return {false, 32};
    case type_kind::uint64:
        return {false, 64};
    case type_kind::boolean:
        return {true, 8}; // a TINYINT(1) holds what a TINYINT does
    default:
        return {true, 64};
    }
}

/// Does a value of the one type always fit the other?
bool whole_fits(type_kind value, type_kind into) {
    const auto from = bounds_of(value);
    const auto to = bounds_of(into);
    if (from.below_zero == to.below_zero) {
        return from.bits <= to.bits;
    }
    return !from.below_zero && from.bits < to.bits;
}

bool fits(const core::field_type& value, const core::field_type& into) {
    const auto kind = family_of(value.kind);
    if (kind != family_of(into.kind)) {
        return true; // judged by `may_be_stored_as`
    }
    switch (kind) {
    case family::whole:
        return whole_fits(value.kind, into.kind);
    case family::exact:
        return value.scale <= into.scale &&
               value.precision - value.scale <= into.precision - into.scale;
    case family::bytes:
        return into.max == 0 || (value.max != 0 && value.max <= into.max);
    case family::text: {
        if (into.kind == type_kind::enumeration) {
            return value.kind == type_kind::enumeration &&
                   std::all_of(value.values.begin(), value.values.end(), [&](const auto& each) {
                       return std::find(into.values.begin(), into.values.end(), each) !=
                              into.values.end();
                   });
        }
        if (value.kind == type_kind::enumeration) {
            return into.max == 0 ||
                   std::all_of(value.values.begin(), value.values.end(), [&](const auto& each) {
                       return core::characters_in(each) <= into.max;
                   });
        }
        return into.max == 0 || (value.max != 0 && value.max <= into.max);
    }
    default:
        return true;
    }
}

std::string type_text(const core::field_type& type) {
    return core::to_string(type) + (type.max != 0 ? " of " + std::to_string(type.max) : "");
}

/// As a template writes it.
std::string type_key(const core::field_type& type) {
    auto made = "type = \"" + core::to_string(type) + '"';
    if (type.kind == type_kind::enumeration) {
        made += ", values = [";
        for (const auto& each : type.values) {
            made += (made.ends_with('[') ? "\"" : ", \"") + each + '"';
        }
        made += ']';
    }
    return made + (type.max != 0 ? ", max = " + std::to_string(type.max) : "");
}

/// The values of an enum that another type does not take, for a person: "'a', 'b' and 3 more".
std::string others_than(const core::field_type& into, const core::field_type& of) {
    constexpr std::size_t most_named = 5;
    std::string made;
    std::size_t count = 0;
    for (const auto& each : of.values) {
        auto alone = of;
        alone.values = {each};
        if (!fits(alone, into) && ++count <= most_named) {
            made += (made.empty() ? "'" : ", '") + each + '\'';
        }
    }
    return made +
           (count > most_named ? " and " + std::to_string(count - most_named) + " more" : "");
}

/// What happens to stored values that are none of the template's type.
std::string when_read(const core::field_type& there, const core::field_type& wanted) {
    switch (family_of(wanted.kind)) {
    case family::text:
    case family::bytes:
        return "they are read as they are";
    case family::exact:
        if (there.scale <= wanted.scale) {
            return "they are read as they are";
        }
        [[fallthrough]];
    default:
        return "who reads such a row is refused";
    }
}

std::string without_semicolon(std::string hint, std::string otherwise) {
    return hint.starts_with("; ") ? hint.substr(2) : otherwise;
}

bool same_name(std::string_view left, std::string_view right) {
    return templates::same_column(left, right, templates::engine::rel);
}

class side_by_side {
public:
    side_by_side(const templates::template_def& wanted, const surveyed& read,
                 const surveyed& written, core::op_class highest)
        : wanted_(wanted), read_(read), written_(written),
          writes_(highest != core::op_class::read) {}

    std::vector<difference> run() {
        for (const auto& each : wanted_.fields) {
            compare_field(each);
        }
        if (writes_ && (wanted_.write.insert.empty() || wanted_.write.update.empty() ||
                        wanted_.write.remove.empty())) {
            compare_writing();
        }
        compare_key();
        compare_indexes();
        return std::move(found_);
    }

private:
    void say(severity how, std::string key, std::string text, std::string advice) {
        found_.push_back({how, std::move(key), std::move(text), std::move(advice)});
    }

    [[nodiscard]] bool same(std::string_view left, std::string_view right) const {
        return templates::same_column(left, right, wanted_.store);
    }

    [[nodiscard]] const templates::field* column(const surveyed& in, std::string_view name) const {
        const auto& fields = in.found.fields;
        const auto at = std::find_if(fields.begin(), fields.end(),
                                     [&](const auto& each) { return same(each.column, name); });
        return at == fields.end() ? nullptr : &*at;
    }

    /// A string reads a time as it is stored, also one that is none. Nobody asks for it by that.
    [[nodiscard]] bool is_read_as_text(const templates::field& field,
                                       const templates::field& there) const {
        const auto kind = family_of(there.type.kind);
        return wanted_.store == templates::engine::rel && field.type.kind == type_kind::string &&
               !field.indexed &&
               (kind == family::date || kind == family::time || kind == family::datetime);
    }

    void compare_field(const templates::field& field) {
        const auto key = "fields." + field.name;
        const auto* there = column(read_, field.column);
        if (there == nullptr) {
            for (const auto& each : read_.unknown) {
                if (same(each.name, field.column)) {
                    say(severity::error, key + ".type",
                        "the template says " + type_text(field.type) + ", column '" + field.column +
                            "' is " + each.type + ", which no type of a template holds",
                        "leave the field out, or read a view that makes another type of it");
                    return;
                }
            }
            std::vector<std::string> names;
            for (const auto& each : read_.found.fields) {
                names.push_back(each.column);
            }
            say(severity::error, key + ".column",
                "'" + read_.found.object + "' has no column '" + field.column + "'",
                without_semicolon(core::did_you_mean(field.column, names),
                                  "name a column that is there, add it, or leave the field out"));
            return;
        }
        if (!may_be_stored_as(family_of(field.type.kind), family_of(there->type.kind)) &&
            !is_read_as_text(field, *there)) {
            say(severity::error, key + ".type",
                "the template says " + type_text(field.type) + ", column '" + there->column +
                    "' is " + type_text(there->type),
                "say " + type_key(there->type) + ", or change the column");
            return;
        }
        compare_bounds(field, *there);
        if (field.nullable && !there->nullable) {
            say(severity::warning, key + ".nullable",
                "column '" + there->column +
                    "' is never NULL: who writes null is refused by the database",
                "say nullable = false");
        } else if (!field.nullable && there->nullable && !field.in_key) {
            say(severity::warning, key + ".nullable",
                "column '" + there->column + "' may be NULL, and null is read where it is",
                "say nullable = true, or make the column NOT NULL");
        }
        const auto binary = field.collation.empty() || field.collation.ends_with("_bin");
        const bool is_string = field.type.kind == type_kind::string;
        const bool compares_text =
            is_string ? there->type.kind != type_kind::uuid
                      : field.type.kind == type_kind::enumeration && !field.collation.empty();
        if (compares_text &&
            (binary ? !there->collation.empty() : field.collation != there->collation)) {
            // What is not asked for by its value is compared by `if` alone.
            say(is_string && field.indexed ? severity::error : severity::warning,
                key + ".collation",
                "column '" + there->column + "' compares " +
                    (there->collation.empty() ? std::string{"binary"}
                                              : "by '" + there->collation + "'") +
                    ", the template says " +
                    (field.collation.empty() ? std::string{"binary"} : "'" + field.collation + "'"),
                there->collation.empty() ? "leave `collation` out"
                                         : "say collation = \"" + there->collation + '"');
        }
    }

    void compare_bounds(const templates::field& field, const templates::field& there) {
        const auto key = "fields." + field.name + ".type";
        const auto column = "column '" + there.column + "' (" + type_text(there.type) + ")";
        if (!fits(there.type, field.type)) {
            const bool of_list = field.type.kind == type_kind::enumeration;
            const auto others = others_than(field.type, there.type);
            say(severity::warning, key,
                column + " may hold values that are " +
                    (of_list ? "none of the template's" : "no " + type_text(field.type)) +
                    (others.empty() ? "; " : ": " + others + "; ") +
                    when_read(there.type, field.type),
                "say " + type_key(there.type));
        }
        if (!writes_ || field.write_protected || field.source == templates::generated::database) {
            return; // nobody writes it
        }
        if (!fits(field.type, there.type)) {
            const auto others = others_than(there.type, field.type);
            say(severity::warning, key,
                column + " cannot hold every " +
                    (others.empty() ? type_text(field.type) + "; the database refuses the others"
                                    : "value of the template; the database refuses " + others),
                "say " + type_key(there.type) + ", or change the column");
        }
        for (const auto& each : read_.narrow) {
            const auto wanted = bounds_of(field.type.kind);
            const bool whole = family_of(field.type.kind) == family::whole;
            if (!same(each.name, there.column) ||
                family_of(field.type.kind) != family_of(there.type.kind) ||
                field.source == templates::generated::now ||
                (each.bits != 0 && (!whole || wanted.bits <= each.bits))) {
                continue;
            }
            say(severity::warning, key,
                "column '" + there.column + "' is " + each.type + ", which keeps " + each.keeps +
                    " of what the template's " + type_text(field.type) + " may be",
                "make it " + each.enough + ", if that matters");
        }
    }

    void compare_writing() {
        if (!written_.transactional) {
            say(severity::error, "template.object",
                "what is written to '" + written_.found.object +
                    "' cannot be undone; writes are refused until it is InnoDB",
                "ALTER TABLE " + written_.found.object +
                    " ENGINE = InnoDB, or give the role no write instances");
        }
        if (!wanted_.write.insert.empty()) {
            return;
        }
        // What an insert of a client can never give.
        const auto given = [&](std::string_view name) {
            return std::any_of(wanted_.fields.begin(), wanted_.fields.end(),
                               [&](const auto& each) { return same(each.column, name); });
        };
        const auto missing = [&](const std::string& name) {
            say(severity::warning, "fields",
                "column '" + name + "' of '" + written_.found.object +
                    "' is not NULL, has no default and no field: every insert is refused by the "
                    "database",
                "make a field of it, or give the column a default");
        };
        for (const auto& each : written_.found.fields) {
            if (each.required && !given(each.column)) {
                missing(each.column);
            }
        }
        for (const auto& each : written_.unknown) {
            if (each.required) {
                missing(each.name);
            }
        }
        for (const auto& each : wanted_.fields) {
            const auto* there = column(written_, each.column);
            if (there == nullptr) {
                continue;
            }
            const bool counts = there->source == templates::generated::database;
            if (each.source == templates::generated::database && !counts && !written_.is_view) {
                say(severity::error, "fields." + each.name + ".generated",
                    "column '" + there->column + "' is no AUTO_INCREMENT",
                    "make it one, or let the client give the value");
            } else if (each.source == templates::generated::no && there->required &&
                       !each.required && !each.default_text) {
                say(severity::warning, "fields." + each.name + ".required",
                    "column '" + there->column +
                        "' is not NULL and has no default: an insert without it is refused by "
                        "the database",
                    "say required = true, or give a default");
            }
            if (there->write_protected && !each.write_protected) {
                say(severity::warning, "protect.protected",
                    "column '" + there->column + "' is the database's own: protect field '" +
                        each.name + "'",
                    "add \"" + each.name + "\" to `protected`");
            }
        }
    }

    /// Columns of a key or index of the live database, in order.
    [[nodiscard]] std::vector<std::string>
    columns_of(const surveyed& in, const std::vector<templates::field_id>& ids) const {
        std::vector<std::string> made;
        for (const auto id : ids) {
            made.push_back(in.found.fields[id].column);
        }
        return made;
    }
    [[nodiscard]] std::vector<std::string>
    columns_of(const std::vector<templates::field_id>& ids) const {
        std::vector<std::string> made;
        for (const auto id : ids) {
            made.push_back(wanted_.fields[id].column);
        }
        return made;
    }
    [[nodiscard]] bool holds(const std::vector<std::string>& list, const std::string& name) const {
        return std::any_of(list.begin(), list.end(),
                           [&](const auto& each) { return same(each, name); });
    }
    [[nodiscard]] static std::string listed(const std::vector<std::string>& names) {
        std::string made;
        for (const auto& each : names) {
            made += (made.empty() ? "" : ", ") + each;
        }
        return made;
    }

    void compare_key() {
        if (written_.is_view) {
            return; // has no indexes to be seen
        }
        const auto wanted = columns_of(wanted_.key);
        const auto unique_by = [&](const std::vector<std::string>& columns) {
            return !columns.empty() &&
                   std::all_of(columns.begin(), columns.end(),
                               [&](const auto& each) { return holds(wanted, each); });
        };
        bool told_apart = unique_by(columns_of(written_, written_.found.key));
        for (const auto& each : written_.found.indexes) {
            told_apart =
                told_apart || (each.unique && unique_by(columns_of(written_, each.fields)));
        }
        if (!told_apart) {
            say(severity::error, "template.key",
                "no primary key and no unique index of '" + written_.found.object +
                    "' tells rows apart by " + listed(wanted),
                "make a unique index over it, or name the fields of one");
        }
    }

    void compare_indexes() {
        if (written_.is_view) {
            return;
        }
        for (std::size_t i = 0; i < wanted_.indexes.size(); ++i) {
            const auto& index = wanted_.indexes[i];
            const auto wanted = columns_of(index.fields);
            bool there = begins_with(columns_of(written_, written_.found.key), wanted);
            bool unique = there && written_.found.key.size() == wanted.size();
            for (const auto& each : written_.found.indexes) {
                const auto columns = columns_of(written_, each.fields);
                if (begins_with(columns, wanted)) {
                    there = true;
                    unique = unique || (each.unique && columns.size() == wanted.size());
                }
            }
            const auto key = "index[" + std::to_string(i) + "]";
            const bool begun =
                std::any_of(written_.beginnings.begin(), written_.beginnings.end(),
                            [&](const auto& columns) { return begins_with(columns, wanted); });
            if (!there && begun && !index.unique) {
                say(severity::warning, key,
                    "the index of '" + written_.found.object + "' over " + listed(wanted) +
                        " holds beginnings only: conditions use it, `sort` does not",
                    "index the whole columns, if that matters");
            } else if (!there) {
                say(severity::error, key,
                    "'" + written_.found.object + "' has no index that begins with " +
                        listed(wanted) + ": finds would read all of it",
                    "CREATE INDEX … (" + listed(wanted) + "), or leave it out");
            } else if (index.unique && !unique) {
                say(severity::error, key + ".unique",
                    "no unique index of '" + written_.found.object + "' is over " + listed(wanted),
                    "make the index unique, or leave `unique` out");
            }
        }
    }

    [[nodiscard]] bool begins_with(const std::vector<std::string>& there,
                                   const std::vector<std::string>& wanted) const {
        return there.size() >= wanted.size() &&
               std::equal(wanted.begin(), wanted.end(), there.begin(),
                          [&](const auto& a, const auto& b) { return same(a, b); });
    }

    const templates::template_def& wanted_;
    const surveyed& read_;
    const surveyed& written_;
    bool writes_;
    std::vector<difference> found_;
};

difference not_there(const std::string& key, const std::string& what) {
    return {severity::error, key, "there is no " + what + " that this account may see",
            "create it, or grant EXECUTE on it"};
}

std::string counted(std::size_t number, const char* what) {
    return std::to_string(number) + ' ' + what + (number == 1 ? "" : "s");
}

/// A parameter's name as templates see it.
std::string_view plain_name(std::string_view name) {
    return name.size() > 2 && same_name(name.substr(0, 2), "p_") ? name.substr(2) : name;
}

using parameter = surveyed_procedure::parameter;

/// What a procedure takes, against what it is given. Nothing: it fits.
std::optional<difference> given_to(const parameter& to, const core::field_type& type,
                                   const std::string& key, const std::string& what) {
    const auto difference_of = [&](const char* how) {
        return difference{severity::warning, key,
                          what + " is " + type_text(type) + ", parameter '" + to.name + "' is " +
                              to.server_type + ": " + how,
                          to.type ? "say " + core::to_string(*to.type) + ", or change the parameter"
                                  : "change the parameter"};
    };
    if (!to.type) {
        return std::nullopt; // SET, YEAR and the like: the database takes texts and numbers
    }
    const auto from = family_of(type.kind);
    const auto into = family_of(to.type->kind);
    const bool wider = from == family::whole && (into == family::exact);
    if (!wider && !may_be_stored_as(from, into)) {
        return difference_of("the database converts what it can");
    }
    const bool unbounded = (from == family::text || from == family::bytes) && type.max == 0;
    if (!unbounded && !fits(type, *to.type)) {
        return difference_of("it cannot hold every one");
    }
    return std::nullopt;
}

/// Nothing where the template says that it may, or nothing is made.
std::optional<difference> hides(const std::string& key, const std::string& what, bool declared,
                                const surveyed_procedure& there) {
    if (declared || there.made_at_run_time.empty()) {
        return std::nullopt;
    }
    return difference{severity::error, key,
                      what + " makes statements at run time (PREPARE or EXECUTE in '" +
                          there.made_at_run_time + "'): it is not called",
                      "write them out; or see that no argument becomes part of a statement's text, "
                      "and say dynamic_sql = true"};
}

difference commits_itself(const std::string& key, const std::string& name) {
    return {severity::warning, key,
            "procedure '" + name +
                "' commits by itself, or its text cannot be read: it runs alone and is "
                "at_least_once",
            "take COMMIT and what implies it out, or GRANT SELECT ON mysql.proc"};
}

class side_by_side_call {
public:
    side_by_side_call(const templates::call& wanted, const surveyed_procedure& there)
        : wanted_(wanted), there_(there), key_("calls." + wanted.name) {
        for (const auto& each : there.parameters) {
            if (each.in) {
                in_.push_back(&each);
            }
            if (each.out) {
                out_.push_back(&each);
            }
        }
        for (std::size_t i = 0; i + 1 < there.parameters.size(); ++i) {
            if (!there.parameters[i].in && there.parameters[i + 1].in) {
                misplaced_ = &there.parameters[i];
            }
        }
    }

    std::vector<difference> run() {
        const bool reads = wanted_.op_class == core::op_class::read;
        if (reads && !there_.writes.empty()) {
            say(severity::error, ".class",
                wanted_.shown() + " writes (" + there_.writes + "): its calls are refused",
                "say class = \"write\"");
        } else if (reads && there_.may_write) {
            say(severity::warning, ".class",
                "nothing shows that " + wanted_.shown() +
                    " only reads: it runs alone, and its failures are unknown",
                "let BEDS see its text, or declare it READS SQL DATA");
        }
        if (there_.commits && !reads) {
            found_.push_back(commits_itself(key_ + ".procedure", wanted_.routine));
        }
        if (auto hidden = hides(key_ + (wanted_.is_function() ? ".function" : ".procedure"),
                                wanted_.shown(), wanted_.dynamic_sql, there_)) {
            found_.push_back(std::move(*hidden));
        }
        const bool takes = count(".args", "argument", in_.size(), wanted_.args.size(), "takes");
        const bool gives = count(".out", "out parameter", out_.size(), wanted_.out.size(), "has");
        if (misplaced_ != nullptr) {
            say(severity::error, ".procedure",
                wanted_.shown() + " has the OUT parameter '" + misplaced_->name +
                    "' before one that is IN, and calls give all arguments first",
                "put its OUT parameters last");
            return std::move(found_);
        }
        if (takes) {
            order(".args", wanted_.args, in_);
            if (both_ways()) {
                return std::move(found_); // what else differs comes from it
            }
            for (std::size_t i = 0; i < in_.size(); ++i) {
                if (auto wrong = given_to(*in_[i], wanted_.args[i].type, place(".args", i),
                                          "argument '" + wanted_.args[i].name + "'")) {
                    found_.push_back(std::move(*wrong));
                }
            }
        }
        if (gives) {
            order(".out", wanted_.out, out_);
            for (std::size_t i = 0; i < out_.size(); ++i) {
                taken_from(i);
            }
        }
        return std::move(found_);
    }

private:
    void say(severity how, const std::string& below, std::string text, std::string advice) {
        found_.push_back({how, key_ + below, std::move(text), std::move(advice)});
    }
    [[nodiscard]] std::string place(const char* list, std::size_t i) const {
        return key_ + list + '[' + std::to_string(i) + ']';
    }

    bool count(const char* list, const char* what, std::size_t there, std::size_t wanted,
               const char* does) {
        if (there == wanted) {
            return true;
        }
        say(severity::error, list,
            "the template " + std::string{*list == '.' && list[1] == 'a' ? "gives " : "names "} +
                counted(wanted, what) + ", " + wanted_.shown() + ' ' + does + ' ' +
                std::to_string(there),
            "name them all, in the procedure's order");
        return false;
    }

    /// Is each INOUT parameter an argument that `out` names, too, and no other? True: not.
    bool both_ways() {
        const auto before = found_.size();
        for (std::size_t i = 0; i < in_.size(); ++i) {
            const auto& name = wanted_.args[i].name;
            const bool said =
                std::any_of(wanted_.out.begin(), wanted_.out.end(),
                            [&](const templates::argument& each) { return each.name == name; });
            if (said && !in_[i]->out) {
                say(severity::error, ".out",
                    "'" + name + "' is an argument and an out parameter, '" + in_[i]->name +
                        "' of " + wanted_.shown() + " is IN only",
                    "take it out of `out`, or make the parameter INOUT");
            } else if (!said && in_[i]->out) {
                say(severity::error, ".out",
                    "parameter '" + in_[i]->name + "' of " + wanted_.shown() + " is INOUT",
                    "name '" + name + "' in `out`, too, before those that are OUT only");
            }
        }
        return found_.size() != before;
    }

    /// They are given by position: two that changed places are a wrong amount on a wrong account.
    void order(const char* list, const std::vector<templates::argument>& wanted,
               const std::vector<const parameter*>& there) {
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            if (same_name(wanted[i].name, plain_name(there[i]->name))) {
                continue;
            }
            const auto at = std::find_if(there.begin(), there.end(), [&](const auto* each) {
                return same_name(wanted[i].name, plain_name(each->name));
            });
            if (at != there.end()) {
                std::string names;
                for (const auto* each : there) {
                    names += (names.empty() ? "" : ", ") + each->name;
                }
                found_.push_back({severity::error, place(list, i),
                                  "'" + wanted[i].name + "' is given to parameter '" +
                                      there[i]->name + "' of " + wanted_.shown() +
                                      ", which has another one of that name",
                                  "write them in the procedure's order: " + names});
                return;
            }
        }
    }

    void taken_from(std::size_t i) {
        const auto& from = *out_[i];
        const auto& wanted = wanted_.out[i];
        if (from.type &&
            may_be_stored_as(family_of(wanted.type.kind), family_of(from.type->kind)) &&
            ((wanted.type.max == 0 && family_of(wanted.type.kind) == family::text) ||
             fits(*from.type, wanted.type))) {
            return;
        }
        const bool text = family_of(wanted.type.kind) == family::text;
        if (text) {
            return; // everything can be read as text
        }
        const bool wrong =
            from.type && !may_be_stored_as(family_of(wanted.type.kind), family_of(from.type->kind));
        found_.push_back({wrong ? severity::error : severity::warning, place(".out", i),
                          "'" + wanted.name + "' is " + type_text(wanted.type) + ", parameter '" +
                              from.name + "' is " + from.server_type +
                              ": what does not fit ends as INTERNAL",
                          from.type ? "say " + core::to_string(*from.type) : "say string"});
    }

    const templates::call& wanted_;
    const surveyed_procedure& there_;
    std::string key_;
    std::vector<const parameter*> in_;
    std::vector<const parameter*> out_;
    const parameter* misplaced_ = nullptr;
    std::vector<difference> found_;
};

class side_by_side_write {
public:
    side_by_side_write(const templates::template_def& wanted, core::verb op, const std::string& key,
                       const std::string& name, const surveyed_procedure& there)
        : wanted_(wanted), op_(op), key_(key), name_(name), there_(there) {}

    std::vector<difference> run() {
        for (const auto& each : there_.parameters) {
            one(each);
        }
        for (const auto& each : wanted_.fields) {
            missing(each);
        }
        if (op_ == core::verb::update && sets_ != 0 && sets_ + adds_ > 1 && !tells_what_is_set()) {
            found_.push_back(
                {severity::error, key_,
                 "procedure '" + name_ +
                     "' has no parameter p_set and cannot tell a field that is not given from null",
                 "add the parameter p_set, a text: the JSON list of the fields that are given"});
        }
        if (!dropped_.empty()) {
            found_.push_back({severity::warning, key_,
                              "procedure '" + name_ + "' has no parameter for " + dropped_ +
                                  ": who gives a value is refused (UNSUPPORTED)",
                              "add the parameters, or protect the fields"});
        }
        if (there_.commits) {
            found_.push_back(commits_itself(key_, name_));
        }
        if (auto hidden =
                hides(key_, "procedure '" + name_ + '\'', wanted_.write.dynamic_sql, there_)) {
            found_.push_back(std::move(*hidden));
        }
        return std::move(found_);
    }

private:
    [[nodiscard]] const templates::field* field_named(std::string_view name) const {
        const auto at = std::find_if(wanted_.fields.begin(), wanted_.fields.end(),
                                     [&](const auto& each) { return same_name(each.name, name); });
        return at == wanted_.fields.end() ? nullptr : &*at;
    }
    [[nodiscard]] bool takes(const templates::field& field) const {
        return std::any_of(
            there_.parameters.begin(), there_.parameters.end(),
            [&](const auto& each) { return same_name(plain_name(each.name), field.name); });
    }

    [[nodiscard]] bool tells_what_is_set() const {
        return std::any_of(
            there_.parameters.begin(), there_.parameters.end(),
            [&](const auto& each) { return each.in && same_name(plain_name(each.name), "set"); });
    }

    void one(const parameter& each) {
        const auto name = plain_name(each.name);
        const auto* field = field_named(name);
        const bool update = op_ == core::verb::update;
        sets_ += each.in && field != nullptr && !field->in_key ? 1U : 0U;
        for (const std::string_view prefix : {"inc_", "if_"}) {
            const bool allowed = update || (prefix == "if_" && op_ == core::verb::remove);
            if (field == nullptr && allowed && name.size() > prefix.size() &&
                same_name(name.substr(0, prefix.size()), prefix)) {
                field = field_named(name.substr(prefix.size()));
                adds_ += prefix == "inc_" ? 1U : 0U;
            }
        }
        if (field == nullptr) {
            if (each.in && !(update && same_name(name, "set"))) {
                found_.push_back(
                    {severity::error, key_,
                     "parameter '" + each.name + "' of procedure '" + name_ +
                         "' is no field of the template",
                     without_semicolon(wanted_.suggest_field(name),
                                       "give it the name of a field, with or without p_")});
            }
            return;
        }
        if (each.in) {
            if (auto wrong = given_to(each, field->type, key_, "field '" + field->name + "'")) {
                found_.push_back(std::move(*wrong));
            }
        }
    }

    void missing(const templates::field& field) {
        if (takes(field)) {
            return;
        }
        const auto refused = [&](const char* why) {
            found_.push_back({severity::error, key_,
                              "procedure '" + name_ + "' has no parameter for field '" +
                                  field.name + "', " + why,
                              "add the parameter p_" + field.name});
        };
        if (op_ != core::verb::insert) {
            if (field.in_key) {
                refused("which says which row is meant");
            } else if (op_ == core::verb::update && !field.write_protected) {
                drop(field);
            }
            return;
        }
        if (field.source == templates::generated::database) {
            return;
        }
        if (field.required) {
            refused("which every insert gives: every insert is refused");
        } else if (field.default_text || field.source != templates::generated::no) {
            refused("which has a default that BEDS gives: every insert is refused");
        } else if (!field.write_protected) {
            drop(field);
        }
    }

    void drop(const templates::field& field) {
        dropped_ += (dropped_.empty() ? "'" : ", '") + field.name + "'";
    }

    const templates::template_def& wanted_;
    core::verb op_;
    const std::string& key_;
    const std::string& name_;
    const surveyed_procedure& there_;
    std::string dropped_;
    std::size_t sets_ = 0; ///< parameters for fields that are no key
    std::size_t adds_ = 0; ///< for what is added
    std::vector<difference> found_;
};

} // namespace

std::string to_string(const difference& found, const templates::template_def& of) {
    const auto line = of.line_of(found.key);
    return (of.file.empty() ? of.name : of.file.string()) +
           (line == 0 ? "" : ':' + std::to_string(line)) + ": " + found.key + ": " +
           (found.how == severity::error ? "error: " : "warning: ") + found.text +
           (found.advice.empty() ? "" : "; " + found.advice);
}

std::vector<difference> compare(const templates::call& wanted, const surveyed_procedure* there) {
    if (wanted.routine.empty()) {
        return {}; // a pipeline
    }
    if (there == nullptr) {
        return {
            not_there("calls." + wanted.name + (wanted.is_function() ? ".function" : ".procedure"),
                      wanted.shown())};
    }
    return side_by_side_call{wanted, *there}.run();
}

std::vector<difference> compare(const templates::template_def& wanted, core::verb op,
                                const surveyed_procedure* there) {
    const auto& by = wanted.write;
    const auto& name = op == core::verb::insert   ? by.insert
                       : op == core::verb::update ? by.update
                                                  : by.remove;
    const auto key = op == core::verb::insert   ? std::string{"write.insert"}
                     : op == core::verb::update ? std::string{"write.update"}
                                                : std::string{"write.delete"};
    if (name.empty()) {
        return {};
    }
    if (there == nullptr) {
        return {not_there(key, "procedure '" + name + '\'')};
    }
    return side_by_side_write{wanted, op, key, name, *there}.run();
}

std::vector<difference> compare(const templates::template_def& wanted, const surveyed& read,
                                const surveyed& written, core::op_class highest) {
    return side_by_side{wanted, read, written, highest}.run();
}

} // namespace beds::adapters
