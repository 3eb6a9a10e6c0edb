#include "adapters/mongodb/indexes.hpp"

#include "adapters/mongodb/bson_writer.hpp"

#include <beds/adapters/mongodb.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <algorithm>

namespace beds::adapters::mongodb {
namespace {

using severity = difference::severity;
using columns = std::vector<std::string>;
using bytes = std::vector<std::uint8_t>;

bytes document_of(const bson_iter_t& at) {
    if (!BSON_ITER_HOLDS_DOCUMENT(&at)) {
        return {};
    }
    std::uint32_t size = 0;
    const std::uint8_t* data = nullptr;
    bson_iter_document(&at, &size, &data);
    return {data, data + size};
}

std::string to_json(std::span<const std::uint8_t> document) {
    bson_t view;
    if (!view_bson(view, document.data(), document.size())) {
        return {};
    }
    std::size_t size = 0;
    char* const text = bson_as_relaxed_extended_json(&view, &size);
    std::string made = text == nullptr ? std::string{} : std::string{text, size};
    bson_free(text);
    return made;
}

/// A value by itself, for comparison: numbers of one size are the same whatever their type.
std::string value_text(const bson_iter_t& at) {
    if (BSON_ITER_HOLDS_DOUBLE(&at) &&
        bson_iter_double(&at) == static_cast<double>(bson_iter_as_int64(&at))) {
        return R"({ "v" : )" + std::to_string(bson_iter_as_int64(&at)) + " }";
    }
    owned_bson alone;
    bson_append_iter(alone.get(), "v", 1, &at);
    const auto* const data = bson_get_data(alone.get());
    return to_json({data, alone.get()->len});
}

/// `{"member": "value"}` of a filter that says what its members are equal to, in any order.
std::vector<std::pair<std::string, std::string>> equalities(std::span<const std::uint8_t> filter) {
    std::vector<std::pair<std::string, std::string>> made;
    bson_t view;
    bson_iter_t at;
    if (view_bson(view, filter.data(), filter.size()) && bson_iter_init(&at, &view)) {
        while (bson_iter_next(&at)) {
            bson_iter_t value = at;
            bson_iter_t inner;
            if (BSON_ITER_HOLDS_DOCUMENT(&at) && bson_iter_recurse(&at, &inner) &&
                bson_iter_find(&inner, "$eq")) {
                value = inner;
            }
            made.emplace_back(bson_iter_key(&at), value_text(value));
        }
    }
    std::sort(made.begin(), made.end());
    return made;
}

/// `where` of a template's index in stored names and values; empty: all documents.
bytes filter_of(const templates::template_def& of, const templates::index& index) {
    core::arena memory{1024};
    core::datum tree;
    if (index.where_json.empty() || core::parse_json(index.where_json, memory, tree)) {
        return {};
    }
    bson_writer made;
    for (const auto& [name, given] : tree.members()) {
        const auto id = of.find_field(name);
        core::value value;
        if (id && !core::convert(given, of.fields[*id].type, memory, value)) {
            static_cast<void>(append_field(made, of.fields[*id].column, value, of, *id, memory));
        }
    }
    const auto done = made.finish();
    return {done.begin(), done.end()};
}

columns columns_of(const templates::template_def& of, const std::vector<templates::field_id>& ids) {
    columns made;
    for (const auto id : ids) {
        made.push_back(of.fields[id].column);
    }
    return made;
}

std::string listed(const columns& names) {
    std::string made;
    for (const auto& each : names) {
        made += (made.empty() ? "" : ", ") + each;
    }
    return made;
}

bool begins_with(const columns& there, const columns& wanted) {
    return there.size() >= wanted.size() && std::equal(wanted.begin(), wanted.end(), there.begin());
}

bool same_members(columns left, columns right) {
    std::sort(left.begin(), left.end());
    std::sort(right.begin(), right.end());
    return left == right;
}

std::string seconds_text(std::chrono::seconds given) {
    return std::to_string(given.count()) + " s";
}

/// An index to be made: `{"createIndexes": …}` as Extended JSON without types of their own.
struct new_index {
    columns over;
    bool unique = false;
    std::optional<std::chrono::seconds> expire_after = {};
    bytes only = {};
};

std::string command_for(const std::string& collection, const new_index& made,
                        const std::string& name) {
    bson_writer to;
    to.string("createIndexes", collection);
    to.begin_array("indexes");
    to.begin_document("0");
    to.begin_document("key");
    for (const auto& each : made.over) {
        to.int32(each, 1);
    }
    to.end();
    to.string("name", name);
    if (made.unique) {
        to.boolean("unique", 1);
    }
    if (made.expire_after) {
        to.int64("expireAfterSeconds", made.expire_after->count());
    }
    if (!made.only.empty()) {
        to.begin_document("partialFilterExpression");
        to.elements_of(made.only);
        to.end();
    }
    to.end();
    to.end();
    return to_json(to.finish());
}

/// As the server would call it by itself.
std::string usual_name(const columns& over) {
    std::string made;
    for (const auto& each : over) {
        made += (made.empty() ? "" : "_") + each + "_1";
    }
    return made;
}

std::string run_by_dba(const std::string& command) {
    return "db.runCommand(" + command + ")";
}

class side_by_side {
public:
    side_by_side(const templates::template_def& wanted, std::span<const live_index> there,
                 bool writes)
        : wanted_(wanted), there_(there), writes_(writes), key_(columns_of(wanted, wanted.key)) {
        const auto own = std::find_if(there.begin(), there.end(),
                                      [](const auto& each) { return each.name == "_id_"; });
        if (own != there.end()) {
            collation_ = own->collation; // the collection's, with which operations compare
        }
    }

    std::vector<difference> run() {
        compare_key();
        for (std::size_t i = 0; i < wanted_.indexes.size(); ++i) {
            compare_index(wanted_.indexes[i], "index[" + std::to_string(i) + "]");
        }
        return std::move(found_);
    }

private:
    void say(severity how, std::string key, std::string text, std::string advice) {
        found_.push_back({how, std::move(key), std::move(text), std::move(advice)});
    }

    /// Do finds and sorts of BEDS use it? Not yet said: for which documents.
    [[nodiscard]] bool serves(const live_index& each) const {
        return each.plain && !each.hidden && each.collation == collation_;
    }

    void compare_key() {
        const bool one_each = std::any_of(there_.begin(), there_.end(), [&](const auto& each) {
            return tells_apart(each, key_);
        });
        if (!one_each) {
            say(writes_ ? severity::error : severity::warning, "template.key",
                "no unique index of '" + wanted_.object + "' tells documents apart by " +
                    listed(key_) +
                    (writes_ ? ": two inserts of one key both succeed, and no DUPLICATE_KEY is told"
                             : ": several may have one key, of which a fetch reads one"),
                run_by_dba(key_index_command(wanted_)) +
                    ", or name the fields of a unique index in `key`");
            return;
        }
        const bool led_to = std::any_of(there_.begin(), there_.end(), [&](const auto& each) {
            return serves(each) && each.only.empty() && !each.columns.empty() &&
                   std::find(key_.begin(), key_.end(), each.columns.front()) != key_.end();
        });
        if (!led_to) {
            say(severity::warning, "template.key",
                "no index of '" + wanted_.object + "' that operations use leads to a document by " +
                    listed(key_) + ": every fetch reads all of it",
                "show the index that is hidden, or make one with the collection's collation");
        }
    }

    void compare_index(const templates::index& index, const std::string& key) {
        const auto over = columns_of(wanted_, index.fields);
        const auto only = filter_of(wanted_, index);
        const live_index* leads = nullptr;
        const live_index* other = nullptr; ///< over the same members, for other documents
        bool unique = false;
        const live_index* expires = nullptr;
        for (const auto& each : there_) {
            const bool same_documents =
                only.empty() ? each.only.empty() && !each.sparse
                             : !each.only.empty() && equalities(each.only) == equalities(only);
            unique = unique || (each.unique && same_members(each.columns, over) &&
                                (only.empty() ? each.only.empty() : same_documents));
            if (!serves(each) || !begins_with(each.columns, over)) {
                continue;
            }
            // All documents are more than some.
            if (same_documents || (!only.empty() && each.only.empty() && !each.sparse)) {
                leads = &each;
            } else {
                other = &each;
            }
            if (each.columns == over && each.expire_after) {
                expires = &each;
            }
        }
        const auto make = run_by_dba(command_for(
            wanted_.object, {over, index.unique, index.expire_after, only}, usual_name(over)));
        if (leads == nullptr && other != nullptr) {
            say(severity::error, key + (only.empty() ? "" : ".where"),
                "index '" + other->name + "' of '" + wanted_.object + "' over " + listed(over) +
                    " holds " +
                    (other->only.empty() ? "only documents that have them"
                                         : "only documents with " + to_json(other->only)) +
                    (only.empty() ? ": finds would read all documents"
                                  : ", the template says " + to_json(only)),
                "drop it, then " + make +
                    (only.empty() ? "" : ", or say the same `where` in the template"));
        } else if (leads == nullptr) {
            say(severity::error, key,
                "'" + wanted_.object + "' has no index that begins with " + listed(over) +
                    ", in that order: finds would read all of it",
                make + ", or leave it out");
            return;
        } else if (index.unique && !unique) {
            say(writes_ ? severity::error : severity::warning, key + ".unique",
                "no unique index of '" + wanted_.object + "' is over " + listed(over),
                "drop '" + leads->name + "', then " + make + ", or leave `unique` out");
        }
        compare_expiry(index, key, over, expires);
    }

    void compare_expiry(const templates::index& index, const std::string& key, const columns& over,
                        const live_index* there) {
        const auto change = [&](const std::string& name) {
            return run_by_dba(R"({ "collMod" : ")" + wanted_.object +
                              R"(", "index" : { "name" : ")" + name +
                              R"(", "expireAfterSeconds" : )" +
                              std::to_string(index.expire_after->count()) + " } }");
        };
        if (index.expire_after && there == nullptr) {
            const auto plain = std::find_if(there_.begin(), there_.end(),
                                            [&](const auto& each) { return each.columns == over; });
            say(severity::error, key + ".expire_after",
                "no index of '" + wanted_.object + "' over " + listed(over) +
                    " lets documents go, the template says after " +
                    seconds_text(*index.expire_after),
                (plain == there_.end() ? "make it with expireAfterSeconds" : change(plain->name)) +
                    ", or leave `expire_after` out");
        } else if (index.expire_after && *there->expire_after != *index.expire_after) {
            say(severity::error, key + ".expire_after",
                "index '" + there->name + "' of '" + wanted_.object + "' lets documents go after " +
                    seconds_text(*there->expire_after) + ", the template says after " +
                    seconds_text(*index.expire_after),
                change(there->name) + ", or say expire_after = \"" +
                    std::to_string(there->expire_after->count()) + "s\"");
        } else if (!index.expire_after && there != nullptr) {
            say(severity::warning, key,
                "index '" + there->name + "' of '" + wanted_.object + "' lets documents go after " +
                    seconds_text(*there->expire_after) + ", and the template does not say so" +
                    (wanted_.fields[index.fields.front()].stored == templates::stored_form::usual
                         ? ": what BEDS writes there is no BSON date and stays"
                         : ""),
                "say expire_after = \"" + std::to_string(there->expire_after->count()) + "s\"");
        }
    }

    const templates::template_def& wanted_;
    std::span<const live_index> there_;
    bool writes_;
    columns key_;
    bytes collation_;
    std::vector<difference> found_;
};

} // namespace

live_index index_of_ids() {
    live_index made;
    made.name = "_id_";
    made.columns = {"_id"};
    made.unique = true;
    return made;
}

live_index read_index(const bson_iter_t& document) {
    live_index made;
    bson_iter_t member;
    if (!bson_iter_recurse(&document, &member)) {
        return made;
    }
    while (bson_iter_next(&member)) {
        const std::string_view what = bson_iter_key(&member);
        bson_iter_t column;
        if (what == "name" && BSON_ITER_HOLDS_UTF8(&member)) {
            made.name = bson_iter_utf8(&member, nullptr);
        } else if (what == "key" && bson_iter_recurse(&member, &column)) {
            while (bson_iter_next(&column)) {
                made.columns.emplace_back(bson_iter_key(&column));
                made.plain = made.plain && BSON_ITER_HOLDS_NUMBER(&column);
            }
        } else if (what == "unique") {
            made.unique = bson_iter_as_bool(&member);
        } else if (what == "sparse") {
            made.sparse = bson_iter_as_bool(&member);
        } else if (what == "hidden") {
            made.hidden = bson_iter_as_bool(&member);
        } else if (what == "partialFilterExpression") {
            made.only = document_of(member);
        } else if (what == "collation") {
            made.collation = document_of(member);
        } else if (what == "expireAfterSeconds") {
            made.expire_after = std::chrono::seconds{bson_iter_as_int64(&member)};
        }
    }
    made.unique = made.unique || made.columns == columns{"_id"};
    return made;
}

bool tells_apart(const live_index& index, std::span<const std::string> columns) {
    return index.unique && index.only.empty() && !index.columns.empty() &&
           std::all_of(index.columns.begin(), index.columns.end(), [&](const auto& each) {
               return std::find(columns.begin(), columns.end(), each) != columns.end();
           });
}

std::vector<difference> compare_indexes(const templates::template_def& wanted,
                                        std::span<const live_index> there, bool writes) {
    return side_by_side{wanted, there, writes}.run();
}

std::string key_index_command(const templates::template_def& of) {
    const auto over = columns_of(of, of.key);
    if (std::find(over.begin(), over.end(), "_id") != over.end()) {
        return {};
    }
    return command_for(of.object, {over, true}, usual_name(over));
}

} // namespace beds::adapters::mongodb

namespace beds::adapters {

std::vector<std::string> mongodb_index_commands(const templates::template_def& of) {
    using namespace mongodb;
    std::vector<std::string> made;
    std::vector<live_index> there; // with what was made so far
    there.push_back(index_of_ids());
    if (auto command = key_index_command(of); !command.empty()) {
        live_index key;
        key.columns = columns_of(of, of.key);
        key.unique = true;
        there.push_back(std::move(key));
        made.push_back(std::move(command));
    }
    for (const auto& each : of.indexes) {
        const auto over = columns_of(of, each.fields);
        const auto only = filter_of(of, each);
        const bool enough =
            !each.expire_after &&
            std::any_of(there.begin(), there.end(), [&](const live_index& known) {
                return known.only.empty() && begins_with(known.columns, over) &&
                       (!each.unique || (known.unique && known.columns.size() == over.size()));
            });
        if (enough) {
            continue;
        }
        live_index one;
        one.columns = over;
        one.unique = each.unique;
        one.only = only;
        // Names are unique in a collection, columns need not be.
        auto name = usual_name(over);
        const auto same = std::count_if(there.begin(), there.end(),
                                        [&](const auto& known) { return known.columns == over; });
        name += same == 0 ? "" : "_" + std::to_string(same + 1);
        made.push_back(command_for(of.object, {over, each.unique, each.expire_after, only}, name));
        there.push_back(std::move(one));
    }
    if (made.empty()) {
        // Every collection has this one: where there is no collection it makes it.
        made.push_back(command_for(of.object, {{"_id"}}, index_of_ids().name));
    }
    return made;
}

} // namespace beds::adapters
