#include "adapters/mongodb/bson_reader.hpp"
#include "adapters/mongodb/indexes.hpp"
#include "adapters/mongodb/session.hpp"

#include <beds/core/error.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace beds::adapters::mongodb {
namespace {

using severity = difference::severity;

// Codes of the server.
constexpr std::int32_t no_right = 13;        // Unauthorized
constexpr std::int32_t no_collection = 26;   // NamespaceNotFound
constexpr std::int32_t no_such_command = 59; // CommandNotFound
constexpr std::int32_t is_a_view = 166;      // CommandNotSupportedOnView
constexpr std::int32_t sample = 100;         // documents, from each end of a collection
constexpr auto least_window = std::chrono::hours{1};

/// Does the server refuse it because of what it is: too old, or alone where it takes a replica set?
bool cannot_do(std::int32_t code) {
    constexpr std::array lacking{
        20,    // IllegalOperation: transactions of a server that stands alone
        115,   // CommandNotSupported
        168,   // InvalidPipelineOperator
        323,   // APIStrictError
        40324, // a stage that it does not know
        40573, // change streams of a server that stands alone
    };
    return std::find(lacking.begin(), lacking.end(), code) != lacking.end();
}

std::string without_semicolon(const std::string& hint, const char* otherwise) {
    return hint.starts_with("; ") ? hint.substr(2) : otherwise;
}

/// A value that an argument of this type may have, where the trial needs one.
core::value some(const core::field_type& type) {
    using core::type_kind;
    return type.kind >= type_kind::int8 && type.kind <= type_kind::uint64 ? core::value::of_int(1)
           : type.kind == type_kind::float64                              ? core::value::of_real(1)
                                                                          : core::value::of_null();
}

} // namespace

const std::map<std::string, bool, std::less<>>* mongodb_session::listing() {
    if (!listed_) {
        command_.clear();
        command_.int32("listCollections", 1);
        command_.boolean("nameOnly", 1);
        // Those that the account may use, where it may not list all.
        command_.boolean("authorizedCollections", 1);
        if (execute(aim::read) != ending::answered) {
            return nullptr;
        }
        auto& found = listed_.emplace();
        const auto how = each_document(aim::read, [&](const bson_iter_t& document) {
            bson_iter_t member;
            std::string name;
            bool view = false;
            if (bson_iter_recurse(&document, &member)) {
                while (bson_iter_next(&member)) {
                    const std::string_view what = bson_iter_key(&member);
                    if (what == "name" && BSON_ITER_HOLDS_UTF8(&member)) {
                        name = bson_iter_utf8(&member, nullptr);
                    } else if (what == "type" && BSON_ITER_HOLDS_UTF8(&member)) {
                        view = std::string_view{bson_iter_utf8(&member, nullptr)} == "view";
                    }
                }
            }
            if (!name.empty()) {
                found.emplace(std::move(name), view);
            }
            return true;
        });
        if (how != ending::answered) {
            listed_.reset();
            return nullptr;
        }
    }
    return &*listed_;
}

mongodb_session::ending mongodb_session::list_indexes(const std::string& collection,
                                                      std::vector<live_index>& into) {
    command_.clear();
    command_.string("listIndexes", collection);
    command_.begin_document("cursor");
    command_.end();
    const auto how = execute(aim::write);
    return how != ending::answered ? how
                                   : each_document(aim::write, [&](const bson_iter_t& document) {
                                         into.push_back(read_index(document));
                                         return true;
                                     });
}

void mongodb_session::learn_rights() {
    if (rights_known_) {
        return;
    }
    command_.clear();
    command_.int32("connectionStatus", 1);
    command_.boolean("showPrivileges", 1);
    const auto how = execute_on("admin", aim::read, time_limit::deadline);
    if (how != ending::answered && how != ending::refused) {
        return;
    }
    rights_known_ = true;
    bson_iter_t top;
    bson_iter_t list;
    bson_iter_t item;
    const auto at = [&](const char* path) {
        return bson_iter_init(&top, reply_.get()) && bson_iter_find_descendant(&top, path, &list) &&
               bson_iter_recurse(&list, &item);
    };
    if (how != ending::answered || !at("authInfo.authenticatedUsers") || !bson_iter_next(&item) ||
        !at("authInfo.authenticatedUserPrivileges")) {
        return; // it does not tell, or whoever comes may do anything
    }
    auto& all = rights_.emplace();
    while (bson_iter_next(&item)) {
        privilege one;
        bson_iter_t member;
        if (!bson_iter_recurse(&item, &member)) {
            continue;
        }
        bool somewhere = false;
        while (bson_iter_next(&member)) {
            const std::string_view what = bson_iter_key(&member);
            bson_iter_t inner;
            if (!bson_iter_recurse(&member, &inner)) {
                continue;
            }
            while (bson_iter_next(&inner)) {
                const std::string_view name = bson_iter_key(&inner);
                const std::string text =
                    BSON_ITER_HOLDS_UTF8(&inner) ? bson_iter_utf8(&inner, nullptr) : "";
                if (what == "actions") {
                    one.actions.push_back(text);
                } else if (what == "resource" && name == "anyResource") {
                    somewhere = one.anywhere = true;
                } else if (what == "resource" && name == "db") {
                    one.database = text;
                } else if (what == "resource" && name == "collection") {
                    one.collection = text;
                    somewhere = true;
                }
            }
        }
        if (somewhere) { // not the cluster's
            all.push_back(std::move(one));
        }
    }
}

bool mongodb_session::may(std::string_view action, std::string_view collection) const {
    return !rights_ || std::any_of(rights_->begin(), rights_->end(), [&](const privilege& each) {
        return (each.anywhere || ((each.database.empty() || each.database == shared_->database()) &&
                                  (each.collection.empty() || each.collection == collection))) &&
               std::find(each.actions.begin(), each.actions.end(), action) != each.actions.end();
    });
}

/// One comparison. Nothing is changed or made: the server is asked what it holds, finds that match
/// nothing are run, and pipelines explained.
class mongodb_session::comparing {
public:
    explicit comparing(mongodb_session& with) : with_(with) {}

    std::vector<difference> run(const templates::template_def& wanted, core::op_class highest) {
        const bool writes = highest != core::op_class::read;
        const bool viewed = !wanted.read_view.empty();
        with_.learn_rights();
        must_answer();
        if (viewed) {
            read_view(wanted);
        }
        if (!viewed || writes) {
            object(wanted, writes);
        }
        const auto there = place_of(wanted.read_object());
        if (there == place::collection) { // what stands behind a view may be much
            documents(wanted);
        }
        for (const auto& each : wanted.calls) {
            if (each.op_class <= highest && there != place::missing) {
                call(wanted, each);
            }
        }
        return std::move(found_);
    }

    std::vector<difference> run_own() {
        with_.learn_rights();
        must_answer();
        inbox();
        write_concern();
        return std::move(found_);
    }

private:
    enum class place : std::uint8_t {
        collection,
        view,
        missing,
        unknown, ///< the server does not tell
    };

    void say(severity how, std::string key, std::string text, std::string advice) {
        found_.push_back({how, std::move(key), std::move(text), std::move(advice)});
    }

    [[noreturn]] void give_up() const {
        throw core::error(core::errc::unreachable,
                          with_.is_late() ? "the time was over while templates were compared"
                                          : "the connection broke while templates were compared");
    }
    void must_answer() const {
        if (!with_.usable() || with_.until_.expired()) {
            give_up();
        }
    }
    /// Of a command: the server took it. Throws when the server was not there.
    bool answered(ending how) const {
        if (how == ending::not_sent || how == ending::lost) {
            give_up();
        }
        return how == ending::answered;
    }
    [[nodiscard]] std::string servers_words() const { return std::string{with_.error_.message}; }
    [[nodiscard]] std::int32_t code() const { return with_.error_.code; }

    place place_of(std::string_view name) {
        const auto* const all = with_.listing();
        must_answer();
        if (all == nullptr) {
            return place::unknown;
        }
        const auto at = all->find(name);
        return at == all->end() ? place::missing : at->second ? place::view : place::collection;
    }

    /// What is there and is like it.
    std::string hint(std::string_view name) {
        std::vector<std::string> names;
        for (const auto& [each, view] : *with_.listed_) {
            if (!each.starts_with("system.") && !each.starts_with("beds_")) {
                names.push_back(each);
            }
        }
        return core::did_you_mean(name, names);
    }

    void read_view(const templates::template_def& wanted) {
        const auto& name = wanted.read_view;
        const auto where = place_of(name);
        if (where == place::missing) {
            say(severity::error, "read.view",
                "there is no view or collection '" + name + "' that this account may see",
                without_semicolon(hint(name), "create it, or grant find on it"));
        } else {
            try_find(name, where, "read.view");
        }
    }

    /// What it holds, and by the way what it is. False: its indexes may not be seen.
    bool see_indexes(const std::string& name, place& where, std::vector<live_index>& into) {
        if (!answered(with_.list_indexes(name, into))) {
            into.clear();
            if (code() == no_collection) {
                where = place::missing;
            } else if (code() == is_a_view) {
                where = place::view;
            } else {
                unseen_ = true;
            }
        }
        return !unseen_;
    }

    void object(const templates::template_def& wanted, bool writes) {
        const auto& name = wanted.object;
        auto where = place_of(name);
        std::vector<live_index> indexes;
        if (where == place::collection || where == place::unknown) {
            if (!see_indexes(name, where, indexes)) {
                say(severity::warning, "template.key",
                    "the indexes of '" + name +
                        "' are not compared, and nobody knows whether two documents may have "
                        "one key: this account may not listIndexes: " +
                        servers_words(),
                    "grant listIndexes on it");
            }
        }
        if (where == place::missing) {
            missing(wanted, writes, indexes);
        } else {
            if (wanted.read_view.empty()) {
                try_find(name, where, "template.object");
            }
            if (where == place::view) {
                written_view(wanted, writes);
                return; // has no indexes of its own
            }
        }
        if (!unseen_ && (writes || where != place::missing)) {
            auto more = compare_indexes(wanted, indexes, writes);
            std::move(more.begin(), more.end(), std::back_inserter(found_));
        }
        if (writes) {
            rights(wanted);
        }
    }

    /// The first insert makes it, as it is then.
    void missing(const templates::template_def& wanted, bool writes,
                 std::vector<live_index>& indexes) {
        const auto like = with_.listed_ ? hint(wanted.object) : std::string{};
        say(severity::warning, "template.object",
            "there is no collection '" + wanted.object + "' that this account may see: " +
                (writes ? "the first insert makes it, with an index of `_id` only"
                        : "nothing is found"),
            without_semicolon(like, "its DBA makes it and its indexes: bedsctl schema --engine "
                                    "mongodb --indexes"));
        indexes = {index_of_ids()};
    }

    void written_view(const templates::template_def& wanted, bool writes) {
        if (writes) {
            say(severity::warning, "template.object",
                "'" + wanted.object +
                    "' is a view, which takes no writes: every insert, update and delete is "
                    "refused",
                "name its collection as `object` and it as [read] `view`, or give the role no "
                "write instances");
        }
    }

    /// A find that may read and finds no document.
    void find_nothing(std::string_view name) {
        auto& command = with_.command_;
        command.string("find", name);
        command.begin_document("filter");
        command.begin_document("_id");
        command.begin_array("$in");
        command.end();
        command.end();
        command.end();
    }

    void try_find(const std::string& name, place where, const char* key) {
        auto& command = with_.command_;
        command.clear();
        // What stands behind a view may be much: it is not run.
        const bool explained = where == place::view;
        if (explained) {
            command.begin_document("explain");
        }
        find_nothing(name);
        if (explained) {
            command.end();
            command.string("verbosity", "queryPlanner");
        } else {
            command.elements_of(with_.shared_->read_members());
        }
        if (answered(with_.execute(aim::read)) || (explained && code() == no_such_command)) {
            return;
        }
        if (code() == no_right) {
            say(severity::error, key,
                "this account may not find in '" + name +
                    "', and no document can be read: " + servers_words(),
                "grant find on it");
        } else {
            say(severity::error, key, "'" + name + "' cannot be read: " + servers_words(),
                explained ? "mend the view" : "see what the server lacks for it");
        }
    }

    // ---- documents, as far as a few of them tell ----

    struct seen {
        std::size_t without = 0;          ///< a value
        std::size_t wrong = 0;            ///< of another type
        std::set<std::string_view> kinds; ///< of those
        std::size_t unfound = 0;          ///< read, but stored in another form
        std::set<std::string_view> forms; ///< of those
    };

    /// Whether documents are asked for the field: not where the template lets it hold anything.
    static bool is_looked_at(const templates::field& field) {
        return field.type.kind != core::type_kind::json &&
               field.type.kind != core::type_kind::document;
    }

    bool ask_for_some(const templates::template_def& wanted, std::int32_t direction) {
        auto& command = with_.command_;
        command.clear();
        command.string("find", wanted.read_object());
        command.begin_document("sort");
        command.int32("_id", direction);
        command.end();
        command.begin_document("projection");
        bool ids = false;
        for (const auto& field : wanted.fields) {
            if (is_looked_at(field)) {
                command.int32(field.column, 1);
                ids = ids || field.column == "_id";
            }
        }
        if (!ids) {
            command.int32("_id", 0);
        }
        command.end();
        command.int32("limit", sample);
        command.elements_of(with_.shared_->read_members());
        return answered(with_.execute(aim::read));
    }

    /// Conditions look for values in the form that the template says.
    static bool is_found(bson_type_t there, const templates::field& as) {
        using templates::stored_form;
        if (as.type.kind == core::type_kind::datetime) {
            return as.stored == stored_form::date
                       ? there == BSON_TYPE_DATE_TIME
                       : there == BSON_TYPE_INT64 || there == BSON_TYPE_INT32;
        }
        return as.type.kind != core::type_kind::string ||
               (there == BSON_TYPE_OID) == (as.stored == stored_form::object_id);
    }

    static void look_at(const bson_iter_t& document, const templates::field& field,
                        core::arena& memory, seen& to) {
        bson_iter_t member;
        if (!bson_iter_recurse(&document, &member) ||
            !bson_iter_find(&member, field.column.c_str()) || BSON_ITER_HOLDS_NULL(&member) ||
            BSON_ITER_HOLDS_UNDEFINED(&member)) {
            ++to.without;
            return;
        }
        core::value ignored;
        if (!read_value(member, field.type, memory, ignored)) {
            ++to.wrong;
            to.kinds.insert(plural_of(bson_iter_type(&member)));
        } else if (!is_found(bson_iter_type(&member), field)) {
            ++to.unfound;
            to.forms.insert(plural_of(bson_iter_type(&member)));
        }
    }

    /// A warning is all that a document can be reason for: it is refused by itself when it is read,
    /// and one write may mend it.
    void documents(const templates::template_def& wanted) {
        std::vector<seen> fields(wanted.fields.size());
        std::size_t looked_at = 0;
        core::arena memory{4096};
        for (const std::int32_t direction : {1, -1}) {
            if (direction < 0 && looked_at < static_cast<std::size_t>(sample)) {
                break; // all of them were seen
            }
            if (!ask_for_some(wanted, direction)) {
                return; // told when it was tried
            }
            const auto how = with_.each_document(aim::read, [&](const bson_iter_t& document) {
                memory.reset();
                ++looked_at;
                for (std::size_t i = 0; i < fields.size(); ++i) {
                    if (is_looked_at(wanted.fields[i])) {
                        look_at(document, wanted.fields[i], memory, fields[i]);
                    }
                }
                return true;
            });
            if (!answered(how)) {
                return;
            }
        }
        const auto of_them = " of " + std::to_string(looked_at) + " documents that were looked at";
        for (std::size_t i = 0; i < fields.size(); ++i) {
            const auto& field = wanted.fields[i];
            const auto listed = [](const std::set<std::string_view>& of) {
                std::string all;
                for (const auto each : of) {
                    all.append(all.empty() ? "" : ", ").append(each);
                }
                return all;
            };
            if (fields[i].unfound != 0) {
                say(severity::warning, "fields." + field.name + ".stored",
                    "'" + field.column + "' is stored in another form in " +
                        std::to_string(fields[i].unfound) + of_them + " (" +
                        listed(fields[i].forms) + "): no condition finds them",
                    field.type.kind == core::type_kind::string
                        ? "say stored = \"object_id\" where they are ObjectIds, leave it out where "
                          "they are text"
                        : "say stored = \"date\" where they are dates, leave it out where they "
                          "are whole numbers");
            }
            if (fields[i].wrong != 0) {
                say(severity::warning, "fields." + field.name + ".type",
                    "'" + field.column + "' is no " + core::to_string(field.type) + " in " +
                        std::to_string(fields[i].wrong) + of_them + " (" + listed(fields[i].kinds) +
                        "): who reads one of them is refused",
                    "say the type that they have, or mend them");
            }
            if (fields[i].without != 0 && !field.nullable) {
                say(severity::warning, "fields." + field.name + ".nullable",
                    "'" + field.column + "' is not there, or null, in " +
                        std::to_string(fields[i].without) + of_them + ": null is read there",
                    "say nullable = true, or mend them");
            }
        }
    }

    void rights(const templates::template_def& wanted) {
        struct use {
            const char* action;
            const char* told;
        };
        static constexpr std::array<use, 3> uses{{
            {"insert", "and every insert is refused"},
            {"update", "and every update is refused, and every delete, which marks first"},
            {"remove", "and every delete is refused"},
        }};
        for (const auto& each : uses) {
            if (wanted.soft_delete && each.action == std::string_view{"remove"}) {
                continue;
            }
            if (!with_.may(each.action, wanted.object)) {
                say(severity::warning, "template.object",
                    "this account may not " + std::string{each.action} + " in '" + wanted.object +
                        "', " + each.told,
                    "grant " + std::string{each.action} +
                        " on it, or give the role no write instances");
            }
        }
    }

    /// The server says whether it would run a pipeline when it explains it.
    void call(const templates::template_def& wanted, const templates::call& called) {
        if (called.pipeline.empty()) {
            return;
        }
        const pipeline stages{called};
        core::arena memory{4096};
        std::vector<core::value> arguments;
        for (const auto& each : called.args) {
            arguments.push_back(some(each.type));
        }
        auto& command = with_.command_;
        command.clear();
        command.begin_document("explain");
        command.string("aggregate", stages.writes() ? wanted.object : wanted.read_object());
        if (!stages.problem().empty() || stages.append_to(command, "pipeline", arguments, memory)) {
            return; // told when it was loaded
        }
        command.begin_document("cursor");
        command.end();
        command.end();
        command.string("verbosity", "queryPlanner");
        if (answered(with_.execute(aim::read))) {
            return;
        }
        const auto key = "calls." + called.name + ".pipeline";
        if (code() == no_right) {
            say(severity::error, key,
                "this account may not run call '" + called.name + "': " + servers_words(),
                "grant find on the collections that it reads");
        } else if (cannot_do(code())) {
            say(severity::error, key,
                "this server cannot do what call '" + called.name +
                    "' asks for: " + servers_words(),
                "have a server that can (change streams take a replica set, some stages a newer "
                "one), or leave the call out");
        } // else it may be for the arguments of the trial
    }

    // ---- what is BEDS's own ----

    void inbox() {
        constexpr const char* how_to_make =
            "its DBA runs: bedsctl schema --engine mongodb >inbox.js; mongosh \"…/DATABASE\" "
            "inbox.js";
        auto where = place_of("beds_inbox");
        std::vector<live_index> indexes;
        if (where != place::missing && !see_indexes("beds_inbox", where, indexes)) {
            say(severity::warning, "beds_inbox",
                "this account may not listIndexes of 'beds_inbox': nobody knows whether old "
                "entries go: " +
                    servers_words(),
                "grant listIndexes on beds_inbox");
        }
        if (where == place::view) {
            say(severity::error, "beds_inbox", "'beds_inbox' is a view: writes are refused",
                std::string{"drop it; then "} + how_to_make);
            return;
        }
        if (where != place::missing) {
            try_inbox();
        }
        for (const auto* action : {"insert", "update", "remove"}) {
            if (!with_.may(action, "beds_inbox")) {
                say(severity::error, "beds_inbox",
                    "this account may not " + std::string{action} +
                        " in 'beds_inbox': writes are refused",
                    "grant find, insert, update and remove on beds_inbox");
            }
        }
        if (where == place::missing) {
            say(severity::warning, "beds_inbox",
                "there is no collection 'beds_inbox': the first write makes it, without the index "
                "that lets old entries go, so that it only grows",
                how_to_make);
        } else if (!unseen_) {
            window(indexes, how_to_make);
        }
    }

    void try_inbox() {
        with_.command_.clear();
        find_nothing("beds_inbox");
        if (!answered(with_.execute(aim::write))) {
            say(severity::error, "beds_inbox",
                "'beds_inbox' cannot be read: writes are refused: " + servers_words(),
                "grant find, insert, update and remove on beds_inbox");
        }
    }

    void window(const std::vector<live_index>& indexes, const char* how_to_make) {
        const auto at = std::find_if(indexes.begin(), indexes.end(), [](const auto& each) {
            return each.expire_after && each.only.empty() &&
                   each.columns == std::vector<std::string>{"t"};
        });
        if (at == indexes.end()) {
            say(severity::warning, "beds_inbox",
                "'beds_inbox' has no index that lets old entries go, so that it only grows",
                how_to_make);
        } else if (*at->expire_after < least_window) {
            say(severity::warning, "beds_inbox",
                "'beds_inbox' forgets after " + std::to_string(at->expire_after->count()) +
                    " s: a write that waits longer in a queue and is sent again may happen twice",
                "set `days` in inbox.js to what outlasts the queues, and run it again");
        }
    }

    /// Answers of several servers, asked of one that stands alone.
    void write_concern() {
        const auto* const concern = mongoc_uri_get_write_concern(with_.shared_->uri());
        if (!with_.stands_alone_ || concern == nullptr) {
            return;
        }
        const auto* const tag = mongoc_write_concern_get_wtag(concern);
        const auto servers = mongoc_write_concern_get_w(concern);
        if (servers > 1 || (tag != nullptr && *tag != '\0')) {
            say(severity::error, "uri",
                "w=" + (servers > 1 ? std::to_string(servers) : std::string{tag}) +
                    " asks for the answers of a replica set, and this server stands alone: writes "
                    "are refused",
                "name a replica set, or leave `w` out");
        }
    }

    mongodb_session& with_;
    bool unseen_ = false; ///< indexes that may not be seen
    std::vector<difference> found_;
};

std::vector<difference> mongodb_session::compare(const templates::template_def& wanted,
                                                 core::op_class highest, core::deadline until) {
    until_ = until;
    return comparing{*this}.run(wanted, highest);
}

std::vector<difference> mongodb_session::compare_own(core::deadline until) {
    until_ = until;
    return comparing{*this}.run_own();
}

} // namespace beds::adapters::mongodb
