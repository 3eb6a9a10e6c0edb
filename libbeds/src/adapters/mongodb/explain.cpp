#include "adapters/explain_alone.hpp"
#include "adapters/mongodb/bson_reader.hpp"
#include "adapters/mongodb/session.hpp"

#include <beds/core/json.hpp>
#include <beds/core/supervisor.hpp>

namespace beds::adapters::mongodb {
namespace {

using core::datum;

/// A command as JSON. Below members that hold what callers sent, and what a template's pipeline
/// compares it with, a `?` stands for each value.
void append_shape(std::string& out, bson_iter_t members, bool array, bool values,
                  std::size_t& count) {
    char separator = array ? '[' : '{';
    bool any = false;
    while (bson_iter_next(&members)) {
        out.push_back(any ? ',' : separator);
        any = true;
        const std::string_view name{bson_iter_key(&members), bson_iter_key_len(&members)};
        if (!array) {
            core::append_json_string(out, name);
            out.push_back(':');
        }
        const bool nested = BSON_ITER_HOLDS_DOCUMENT(&members) || BSON_ITER_HOLDS_ARRAY(&members);
        // `update` is also the name of a command, and what is below that a collection's.
        const bool below = values || (!array && (name == "filter" || name == "q" || name == "u" ||
                                                 name == "query" || (name == "update" && nested) ||
                                                 name == "documents" || name == "pipeline"));
        bson_iter_t inner;
        if (nested && bson_iter_recurse(&members, &inner)) {
            append_shape(out, inner, BSON_ITER_HOLDS_ARRAY(&members), below, count);
        } else if (below) {
            out += "\"?\"";
            ++count;
        } else if (BSON_ITER_HOLDS_UTF8(&members)) {
            core::append_json_string(out, bson_iter_utf8(&members, nullptr));
        } else if (BSON_ITER_HOLDS_BOOL(&members)) {
            out += bson_iter_bool(&members) ? "true" : "false";
        } else {
            out += std::to_string(bson_iter_as_int64(&members));
        }
    }
    out += any ? (array ? "]" : "}") : (array ? "[]" : "{}");
}

std::string text_at(const datum& from, std::string_view name) {
    const auto* found = from.find(name);
    return found == nullptr || !found->is(datum::kind::string) ? std::string{}
                                                               : std::string{found->text};
}

/// Stages name what they read from below them.
void read_plan(const datum& from, const std::string& object, explanation& into) {
    for (const auto& item : from.items()) {
        read_plan(item, object, into);
    }
    for (const auto& [name, value] : from.members()) {
        if (name != "rejectedPlans" && name != "command") {
            read_plan(value, object, into);
        }
    }
    const auto stage = text_at(from, "stage");
    const auto index = text_at(from, "indexName");
    if (stage == "COLLSCAN") {
        into.steps.push_back({object, stage, {}, {}});
        into.warnings.push_back("every document of '" + object +
                                "' is read: no index leads to them");
    } else if (stage == "SORT") {
        into.warnings.emplace_back("the documents are sorted: no index has them in this order");
    } else if (!index.empty()) {
        into.steps.push_back({object, stage, index, {}});
    } else if (stage == "IDHACK") {
        into.steps.push_back({object, stage, "_id_", {}});
    }
}

} // namespace

explanation mongodb_session::explain(const bound_operation& op, core::deadline until) {
    constexpr std::size_t most_depth = 200;
    return explain_alone(
        *this, explaining_, op, until, most_depth, [&](const datum& plan, explanation& into) {
            read_plan(plan, writes(op) ? op.target->object : op.target->read_object(), into);
        });
}

mongodb_session::ending mongodb_session::explain_instead(const char* database) {
    if (!explaining_->statement.empty()) {
        return ending::refused; // what would follow a refusal is no part of it
    }
    const auto bytes = command_.finish();
    bson_t command;
    bson_iter_t members;
    if (!view_bson(command, bytes.data(), bytes.size()) || !bson_iter_init(&members, &command)) {
        return ending::refused;
    }
    append_shape(explaining_->statement, members, false, false, explaining_->values);
    if (bson_iter_init_find(&members, &command, "insert")) {
        explaining_->no_plan = "MongoDB explains no insert";
        return ending::refused;
    }
    // Concerns and limits belong to who asks, not to what is explained.
    bson_t inner;
    bson_t asked;
    bson_init(&inner);
    bson_copy_to_excluding_noinit(&command, &inner, "writeConcern", "readConcern", "comment",
                                  "maxTimeMS", nullptr);
    bson_init(&asked);
    BSON_APPEND_DOCUMENT(&asked, "explain", &inner);
    BSON_APPEND_UTF8(&asked, "verbosity", "queryPlanner");
    BSON_APPEND_INT64(&asked, "maxTimeMS", milliseconds_left());
    bson_destroy(&inner);
    control_.until =
        until_.is_never() ? until_ : core::deadline::at(until_.when() + core::supervisor::grace);
    bson_error_t error{};
    mongoc_client_command_simple(client_.get(), database, &asked, nullptr, reply_.give(), &error);
    bson_destroy(&asked);
    bson_iter_t found;
    if (bson_iter_init_find(&found, reply_.get(), "ok") && bson_iter_as_bool(&found)) {
        std::size_t size = 0;
        char* const text = bson_as_relaxed_extended_json(reply_.get(), &size);
        if (text != nullptr) {
            explaining_->plan.assign(text, size);
            bson_free(text);
        }
    } else {
        explaining_->no_plan = error.message; // the server's words, or why it is not reached
    }
    return ending::refused;
}

} // namespace beds::adapters::mongodb
