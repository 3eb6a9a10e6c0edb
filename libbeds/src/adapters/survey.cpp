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
                   std::all_of(value.values.begin(), value.values.end(),
                               [&](const auto& each) { return each.size() <= into.max; });
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

class side_by_side {
public:
    side_by_side(const templates::template_def& wanted, const surveyed& read,
                 const surveyed& written)
        : wanted_(wanted), read_(read), written_(written) {}

    std::vector<difference> run() {
        for (const auto& each : wanted_.fields) {
            compare_field(each);
        }
        if (wanted_.write.insert.empty() || wanted_.write.update.empty() ||
            wanted_.write.remove.empty()) {
            compare_writing();
        }
        compare_key();
        compare_indexes();
        return std::move(found_);
    }

private:
    void say(severity how, std::string key, std::string text) {
        found_.push_back({how, std::move(key), std::move(text)});
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

    void compare_field(const templates::field& field) {
        const auto key = "fields." + field.name;
        const auto* there = column(read_, field.column);
        if (there == nullptr) {
            for (const auto& each : read_.unknown) {
                if (same(each.name, field.column)) {
                    say(severity::error, key + ".type",
                        "column '" + field.column + "' is " + each.type +
                            ", which no type of a template holds");
                    return;
                }
            }
            std::vector<std::string> names;
            for (const auto& each : read_.found.fields) {
                names.push_back(each.column);
            }
            say(severity::error, key + ".column",
                "'" + read_.found.object + "' has no column '" + field.column + "'" +
                    core::did_you_mean(field.column, names));
            return;
        }
        if (!may_be_stored_as(family_of(field.type.kind), family_of(there->type.kind))) {
            say(severity::error, key + ".type",
                "the template says " + type_text(field.type) + ", column '" + there->column +
                    "' is " + type_text(there->type));
            return;
        }
        if (!fits(there->type, field.type)) {
            say(severity::warning, key + ".type",
                "column '" + there->column + "' (" + type_text(there->type) +
                    ") may hold values that are no " + type_text(field.type) +
                    "; who reads such a row is refused");
        }
        if (!fits(field.type, there->type)) {
            say(severity::warning, key + ".type",
                "column '" + there->column + "' (" + type_text(there->type) +
                    ") cannot hold every " + type_text(field.type) +
                    "; the database refuses the others");
        }
        if (field.nullable && !there->nullable) {
            say(severity::warning, key + ".nullable",
                "column '" + there->column +
                    "' is never NULL: who writes null is refused by the database");
        } else if (!field.nullable && there->nullable && !field.in_key) {
            say(severity::warning, key + ".nullable",
                "column '" + there->column + "' may be NULL, and null is read where it is");
        }
        const auto binary = field.collation.empty() || field.collation.ends_with("_bin");
        if (field.type.kind == type_kind::string &&
            (binary ? !there->collation.empty() : field.collation != there->collation) &&
            there->type.kind != type_kind::uuid) {
            say(severity::error, key + ".collation",
                "column '" + there->column + "' compares " +
                    (there->collation.empty() ? std::string{"binary"}
                                              : "by '" + there->collation + "'") +
                    ", the template says " +
                    (field.collation.empty() ? std::string{"binary"}
                                             : "'" + field.collation + "'"));
        }
    }

    void compare_writing() {
        if (!written_.transactional) {
            say(severity::error, "template.object",
                "what is written to '" + written_.found.object +
                    "' cannot be undone; writes are refused until it is InnoDB");
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
                    "database");
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
            if (each.source == templates::generated::database && !counts) {
                say(severity::error, "fields." + each.name + ".generated",
                    "column '" + there->column + "' is no AUTO_INCREMENT");
            } else if (each.source == templates::generated::no && there->required &&
                       !each.required && !each.default_text) {
                say(severity::warning, "fields." + each.name + ".required",
                    "column '" + there->column +
                        "' is not NULL and has no default: an insert without it is refused by "
                        "the database");
            }
            if (there->write_protected && !each.write_protected) {
                say(severity::warning, "protect.protected",
                    "column '" + there->column + "' is the database's own: protect field '" +
                        each.name + "'");
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
                    "' tells rows apart by " + listed(wanted));
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
            if (!there) {
                say(severity::error, key,
                    "'" + written_.found.object + "' has no index that begins with " +
                        listed(wanted) + ": finds would read all of it");
            } else if (index.unique && !unique) {
                say(severity::error, key + ".unique",
                    "no unique index of '" + written_.found.object + "' is over " + listed(wanted));
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
    std::vector<difference> found_;
};

difference no_procedure(const std::string& key, const std::string& name) {
    return {severity::error, key, "there is no procedure '" + name + "' that this account may see"};
}

std::string counted(std::size_t number, const char* what) {
    return std::to_string(number) + ' ' + what + (number == 1 ? "" : "s");
}

} // namespace

std::vector<difference> compare(const templates::call& wanted, const surveyed_procedure* there) {
    const auto key = "calls." + wanted.name;
    if (wanted.procedure.empty()) {
        return {}; // a pipeline
    }
    if (there == nullptr) {
        return {no_procedure(key + ".procedure", wanted.procedure)};
    }
    std::vector<difference> found;
    const auto& parameters = there->parameters;
    const auto takes = static_cast<std::size_t>(std::count_if(
        parameters.begin(), parameters.end(), [](const auto& each) { return each.in; }));
    const auto gives = static_cast<std::size_t>(std::count_if(
        parameters.begin(), parameters.end(), [](const auto& each) { return each.out; }));
    if (takes != wanted.args.size()) {
        found.push_back({severity::error, key + ".args",
                         "the template gives " + counted(wanted.args.size(), "argument") +
                             ", procedure '" + wanted.procedure + "' takes " +
                             std::to_string(takes)});
    }
    if (gives != wanted.out.size()) {
        found.push_back({severity::error, key + ".out",
                         "the template names " + counted(wanted.out.size(), "out parameter") +
                             ", procedure '" + wanted.procedure + "' has " +
                             std::to_string(gives)});
    }
    const bool reads = wanted.op_class == core::op_class::read;
    if (reads && !there->writes.empty()) {
        found.push_back({severity::error, key + ".class",
                         "procedure '" + wanted.procedure + "' writes (" + there->writes +
                             "): its calls are refused; say class = \"write\""});
    } else if (reads && there->may_write) {
        found.push_back({severity::warning, key + ".class",
                         "nothing shows that procedure '" + wanted.procedure +
                             "' only reads: it runs alone, and its failures are unknown; let BEDS "
                             "see its text, or declare it READS SQL DATA"});
    }
    if (there->commits && !reads) {
        found.push_back({severity::warning, key + ".procedure",
                         "procedure '" + wanted.procedure +
                             "' commits by itself, or its text cannot be read: it runs alone and "
                             "is at_least_once"});
    }
    return found;
}

std::vector<difference> compare(const templates::template_def& wanted, const std::string& key,
                                const std::string& name, const surveyed_procedure* there) {
    if (name.empty()) {
        return {};
    }
    if (there == nullptr) {
        return {no_procedure(key, name)};
    }
    std::vector<difference> found;
    for (const auto& each : there->parameters) {
        auto bare = each.name;
        if (bare.starts_with("p_")) {
            bare.erase(0, 2);
        }
        if (!wanted.find_field(bare) && !wanted.find_field(each.name) && bare != "set" &&
            bare != "affected") {
            found.push_back({severity::error, key,
                             "parameter '" + each.name + "' of procedure '" + name +
                                 "' is no field of the template" + wanted.suggest_field(bare)});
        }
    }
    if (there->commits) {
        found.push_back({severity::warning, key,
                         "procedure '" + name +
                             "' commits by itself, or its text cannot be read: it runs alone and "
                             "is at_least_once"});
    }
    return found;
}

std::vector<difference> compare(const templates::template_def& wanted, const surveyed& read,
                                const surveyed& written) {
    return side_by_side{wanted, read, written}.run();
}

} // namespace beds::adapters
