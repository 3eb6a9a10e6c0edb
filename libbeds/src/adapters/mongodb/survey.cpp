#include "adapters/mongodb/bson_reader.hpp"
#include "adapters/mongodb/session.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <utility>

namespace beds::adapters::mongodb {
namespace {

using core::type_kind;

/// Documents that are looked at, from each end of the collection.
constexpr std::int32_t sample = 500;
constexpr std::size_t most_fields = 200;

/// What was seen of one member of the documents.
struct member_report {
    std::set<bson_type_t> types;
    std::size_t seen = 0; ///< with a value that is not null
    std::size_t longest = 0;
    bool uuids_only = true;    ///< of binaries
    std::size_t no_number = 0; ///< NaN or infinite
    std::uint32_t scale = 0;   ///< of decimals, most digits behind the point
    std::size_t order = 0;     ///< in which it was met first
};

bool can_be_stored_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && name != "_beds" &&
           std::all_of(name.begin(), name.end(),
                       [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

std::uint32_t digits_behind_point(const bson_iter_t& at) {
    bson_decimal128_t value;
    bson_iter_decimal128(&at, &value);
    char text[BSON_DECIMAL128_STRING];
    bson_decimal128_to_string(&value, text);
    const std::string_view digits = text;
    const auto point = digits.find('.');
    return point == std::string_view::npos
               ? 0
               : static_cast<std::uint32_t>(digits.find_first_not_of("0123456789", point + 1) ==
                                                    std::string_view::npos
                                                ? digits.size() - point - 1
                                                : 0);
}

bool is_finite_decimal(const bson_iter_t& at) {
    bson_decimal128_t value;
    bson_iter_decimal128(&at, &value);
    char text[BSON_DECIMAL128_STRING];
    bson_decimal128_to_string(&value, text);
    return std::string_view{text}.find_first_of("Nn") == std::string_view::npos; // NaN, Infinity
}

void note(member_report& to, const bson_iter_t& at) {
    const auto type = bson_iter_type(&at);
    if (type == BSON_TYPE_NULL || type == BSON_TYPE_UNDEFINED) {
        return;
    }
    ++to.seen;
    to.types.insert(type);
    if (type == BSON_TYPE_UTF8) {
        std::uint32_t size = 0;
        bson_iter_utf8(&at, &size);
        to.longest = std::max<std::size_t>(to.longest, size);
    } else if (type == BSON_TYPE_BINARY) {
        bson_subtype_t subtype = BSON_SUBTYPE_BINARY;
        std::uint32_t size = 0;
        const std::uint8_t* bytes = nullptr;
        bson_iter_binary(&at, &subtype, &size, &bytes);
        to.uuids_only = to.uuids_only && subtype == BSON_SUBTYPE_UUID;
        to.longest = std::max<std::size_t>(to.longest, size);
    } else if (type == BSON_TYPE_DECIMAL128) {
        to.scale = std::max(to.scale, digits_behind_point(at));
        to.no_number += is_finite_decimal(at) ? 0U : 1U;
    } else if (type == BSON_TYPE_DOUBLE) {
        to.no_number += std::isfinite(bson_iter_double(&at)) ? 0U : 1U;
    }
}

/// Why no field was made of it.
std::string why_left_out(const member_report& seen) {
    std::vector<std::string_view> names;
    for (const auto type : seen.types) {
        if (std::find(names.begin(), names.end(), plural_of(type)) == names.end()) {
            names.push_back(plural_of(type));
        }
    }
    std::string list;
    for (const auto& name : names) {
        list += (list.empty() ? "" : ", ") + std::string{name};
    }
    return names.size() == 1 ? "it holds " + list + ", which no type of a template holds"
                             : "it holds values of several types: " + list;
}

/// The narrowest type of a template that holds all that was seen.
std::optional<core::field_type> type_for(const member_report& seen, std::string& remark,
                                         templates::stored_form& stored) {
    const auto only = [&](std::initializer_list<bson_type_t> types) {
        return std::all_of(seen.types.begin(), seen.types.end(), [&](bson_type_t each) {
            return std::find(types.begin(), types.end(), each) != types.end();
        });
    };
    core::field_type made;
    if (seen.types.empty()) {
        made.kind = type_kind::document;
        remark = "null in all that was looked at";
    } else if (only({BSON_TYPE_BOOL})) {
        made.kind = type_kind::boolean;
    } else if (only({BSON_TYPE_INT32})) {
        made.kind = type_kind::int32;
    } else if (only({BSON_TYPE_INT32, BSON_TYPE_INT64})) {
        made.kind = type_kind::int64;
    } else if (only({BSON_TYPE_INT32, BSON_TYPE_INT64, BSON_TYPE_DOUBLE})) {
        made.kind = type_kind::float64;
    } else if (only({BSON_TYPE_DECIMAL128})) {
        made.kind = type_kind::decimal;
        made.precision = 34;
        made.scale = static_cast<std::uint8_t>(std::min<std::uint32_t>(seen.scale, 34));
    } else if (only({BSON_TYPE_UTF8})) {
        made.kind = type_kind::string;
    } else if (only({BSON_TYPE_OID})) {
        made.kind = type_kind::string;
        made.max = 24;
        stored = templates::stored_form::object_id;
    } else if (only({BSON_TYPE_BINARY})) {
        made.kind = seen.uuids_only ? type_kind::uuid : type_kind::bytes;
    } else if (only({BSON_TYPE_DATE_TIME})) {
        made.kind = type_kind::datetime;
        stored = templates::stored_form::date;
    } else if (only({BSON_TYPE_DOCUMENT, BSON_TYPE_ARRAY})) {
        made.kind = type_kind::document;
    } else {
        return std::nullopt;
    }
    return made;
}

} // namespace

std::vector<std::string> mongodb_session::objects(core::deadline until) {
    until_ = until;
    const auto* const all = listing();
    if (all == nullptr) {
        throw core::error(core::errc::refused, "the database does not tell what it holds");
    }
    std::vector<std::string> found;
    for (const auto& [name, view] : *all) {
        if (!name.starts_with("system.") && !name.starts_with("beds_")) {
            found.push_back(name);
        }
    }
    return found;
}

surveyed mongodb_session::survey(std::string_view object, core::deadline until) {
    const auto known = objects(until);
    if (std::find(known.begin(), known.end(), object) == known.end()) {
        throw core::error(core::errc::unknown_name, "there is no collection '" +
                                                        std::string{object} +
                                                        "' that this account may see");
    }
    surveyed made;
    made.found.store = templates::engine::rec;
    made.found.object = object;
    std::map<std::string, member_report> members;
    std::size_t documents = 0;
    for (const std::int32_t direction : {1, -1}) {
        if (direction < 0 && documents < static_cast<std::size_t>(sample)) {
            break; // all of them were seen
        }
        command_.clear();
        command_.string("find", object);
        command_.begin_document("sort");
        command_.int32("_id", direction);
        command_.end();
        command_.int32("limit", sample);
        if (execute(aim::read) != ending::answered) {
            throw core::error(core::errc::refused,
                              "the documents of '" + std::string{object} + "' cannot be read");
        }
        each_document(aim::read, [&](const bson_iter_t& document) {
            bson_iter_t member;
            ++documents;
            if (bson_iter_recurse(&document, &member)) {
                while (bson_iter_next(&member)) {
                    auto& one = members[bson_iter_key(&member)];
                    one.order = one.order == 0 ? members.size() : one.order;
                    note(one, member);
                }
            }
            return true;
        });
    }
    auto& head = made.beside.head;
    head.push_back("Made from " + std::to_string(documents) + " documents of the collection " +
                   std::string{object} +
                   (documents < static_cast<std::size_t>(sample)
                        ? ", all that it holds."
                        : ", the first and the last by _id: others may differ."));

    std::vector<std::pair<std::string, member_report>> in_order{members.begin(), members.end()};
    std::sort(in_order.begin(), in_order.end(),
              [](const auto& a, const auto& b) { return a.second.order < b.second.order; });
    std::vector<std::string> remarks;
    for (const auto& [name, seen] : in_order) {
        if (name == "_beds") {
            continue;
        }
        std::string remark;
        auto stored = templates::stored_form::usual;
        const auto type = can_be_stored_name(name) && made.found.fields.size() < most_fields
                              ? type_for(seen, remark, stored)
                              : std::nullopt;
        if (!type) {
            head.push_back("Left out: member " + name + ": " +
                           (!can_be_stored_name(name) ? "no field can have its name"
                            : made.found.fields.size() >= most_fields
                                ? "a template holds no more fields"
                                : why_left_out(seen)) +
                           '.');
            continue;
        }
        auto& field = made.found.fields.emplace_back();
        field.column = name;
        field.type = *type;
        field.stored = stored;
        // The server gives it to a document that comes without.
        field.write_protected = name == "_id" && stored == templates::stored_form::object_id;
        if (seen.no_number != 0) {
            remark += (remark.empty() ? "" : "; ") + std::string{"NaN or infinite in "} +
                      std::to_string(seen.no_number) + " of them: who reads one is refused";
        }
        if (seen.seen != 0 && seen.seen < documents) {
            remark += (remark.empty() ? "" : "; ") + std::string{"in "} +
                      std::to_string(seen.seen) + " of them";
        }
        remarks.push_back(std::move(remark));
    }
    templates::name_fields(made.found);
    for (std::size_t i = 0; i < remarks.size(); ++i) {
        if (!remarks[i].empty()) {
            made.beside.of_fields[made.found.fields[i].name] = remarks[i];
        }
    }
    survey_indexes(made);
    return made;
}

void mongodb_session::survey_indexes(surveyed& made) {
    std::vector<live_index> found;
    if (list_indexes(made.found.object, found) != ending::answered) {
        made.beside.head.emplace_back("Its indexes may not be seen by this account.");
        return;
    }
    const auto some_only = [](const live_index& index) {
        return !index.only.empty() || index.sparse;
    };
    const auto field_of = [&](const std::string& column) -> std::optional<field_id> {
        const auto& all = made.found.fields;
        const auto at = std::find_if(all.begin(), all.end(),
                                     [&](const auto& each) { return each.column == column; });
        return at == all.end() ? std::nullopt
                               : std::optional{static_cast<field_id>(at - all.begin())};
    };
    const auto fields_of = [&](const live_index& index) {
        std::vector<field_id> ids;
        for (const auto& column : index.columns) {
            if (const auto id = field_of(column)) {
                ids.push_back(*id);
            }
        }
        return ids.size() == index.columns.size() && !ids.empty() ? ids : std::vector<field_id>{};
    };
    const auto can_be_key = [&](const live_index& index) {
        const auto ids = fields_of(index);
        return index.unique && index.plain && !some_only(index) && !ids.empty() &&
               std::all_of(ids.begin(), ids.end(), [&](field_id id) {
                   const auto& field = made.found.fields[id];
                   return field.type.kind != type_kind::document &&
                          field.type.kind != type_kind::float64;
               });
    };
    // `_id` first, but after what else tells documents apart where the server makes it.
    const auto rank = [&](const live_index& index) {
        const auto ids = fields_of(index);
        const bool made_up = !ids.empty() && made.found.fields[ids.front()].write_protected;
        return made_up ? 2 : index.name == "_id_" ? 0 : 1;
    };
    std::stable_sort(found.begin(), found.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    const auto key = std::find_if(found.begin(), found.end(), can_be_key);
    if (key != found.end()) {
        made.found.key = fields_of(*key);
        for (const auto id : made.found.key) {
            auto& field = made.found.fields[id];
            field.in_key = true;
            field.indexed = true;
            field.nullable = false;
            field.required = true;
            field.write_protected = false;
        }
    } else {
        made.beside.head.emplace_back(
            "No unique index is over fields that a request can name: make one, and name its "
            "fields in `key`.");
    }
    for (auto at = found.begin(); at != found.end(); ++at) {
        const auto ids = fields_of(*at);
        if (at == key || (at->name == "_id_" && ids.empty() && key != found.end())) {
            continue;
        }
        std::string wrong;
        if (!at->plain) {
            wrong = "it is of a kind that no condition uses";
        } else if (some_only(*at)) {
            wrong = "it holds some documents only";
        } else if (ids.empty()) {
            wrong = "it is over what is no field";
        }
        for (const auto id : ids) {
            if (made.found.fields[id].type.kind == type_kind::document) {
                wrong = "field " + made.found.fields[id].name + " is nested";
            }
        }
        if (!wrong.empty()) {
            made.beside.head.push_back("Left out: index " + at->name + ": " + wrong + '.');
            continue;
        }
        templates::index index;
        index.fields = ids;
        index.unique = at->unique;
        if (ids.size() == 1 && made.found.fields[ids.front()].type.kind == type_kind::datetime) {
            index.expire_after = at->expire_after;
        }
        for (const auto id : ids) {
            made.found.fields[id].indexed = true;
        }
        made.found.indexes.push_back(std::move(index));
    }
}

} // namespace beds::adapters::mongodb
