#include "fixture.hpp"

#include <beds/templates/registry.hpp>

#include <mongoc/mongoc.h>

#include <stdexcept>
#include <utility>

namespace beds::test::mongodb {

config::rec_service_settings settings_for(const std::string& uri, const std::string& database) {
    config::rec_service_settings made;
    made.uri = core::secret{uri};
    made.database = database;
    made.coalesce = mariadb_coalesce(); // the same switch for both engines
    return made;
}

struct raw_database::impl {
    mongoc_client_t* client = nullptr;
};

raw_database::raw_database(const std::string& uri, std::string name)
    : impl_(std::make_unique<impl>()), name_(std::move(name)) {
    mongoc_init();
    impl_->client = mongoc_client_new(uri.c_str());
    if (impl_->client == nullptr) {
        throw std::runtime_error{"not a connection string: " + uri};
    }
}

raw_database::~raw_database() {
    try {
        run(R"({"dropDatabase": 1})");
    } catch (const std::exception&) {
        // The server may be gone by now.
    }
    mongoc_client_destroy(impl_->client);
}

std::string raw_database::run(const std::string& command) {
    bson_error_t error{};
    bson_t* const parsed = bson_new_from_json(reinterpret_cast<const std::uint8_t*>(command.data()),
                                              static_cast<ssize_t>(command.size()), &error);
    if (parsed == nullptr) {
        throw std::runtime_error{std::string{"not JSON: "} + error.message + ": " + command};
    }
    bson_t reply;
    const bool done =
        mongoc_client_command_simple(impl_->client, name_.c_str(), parsed, nullptr, &reply, &error);
    char* const json = bson_as_canonical_extended_json(&reply, nullptr);
    const std::string text = json;
    bson_free(json);
    bson_destroy(&reply);
    bson_destroy(parsed);
    if (!done) {
        throw std::runtime_error{std::string{error.message} + ": " + command};
    }
    return text;
}

void raw_database::forget(const std::string& collection) {
    try {
        run(R"({"drop": ")" + collection + R"("})");
    } catch (const std::exception&) {
        // It was not there.
    }
}

void raw_database::make(const templates::template_def& target) {
    forget(target.object);
    std::string indexes;
    const auto add = [&](const std::vector<templates::field_id>& fields) {
        std::string key;
        std::string name;
        for (const auto field : fields) {
            const auto& column = target.fields[field].column;
            key += (key.empty() ? "" : ", ") + ('"' + column + R"(": 1)");
            name += column + '_';
        }
        indexes += (indexes.empty() ? "" : ", ") +
                   (R"({"key": {)" + key + R"(}, "name": ")" + name + R"(", "unique": true})");
    };
    if (target.key.size() != 1 || target.fields[target.key.front()].column != "_id") {
        add(target.key);
    }
    for (const auto& index : target.indexes) {
        if (index.unique) {
            add(index.fields);
        }
    }
    if (indexes.empty()) {
        run(R"({"create": ")" + target.object + R"("})");
    } else {
        run(R"({"createIndexes": ")" + target.object + R"(", "indexes": [)" + indexes + "]}");
    }
}

void raw_database::make_indexes(const std::string& template_text) {
    const auto of = templates::parse(template_text);
    for (const auto& command : adapters::mongodb_index_commands(of.parsed.value())) {
        run(command);
    }
}

std::vector<std::string> raw_database::documents(const std::string& collection) {
    std::vector<std::string> found;
    bson_t* const all = bson_new();
    mongoc_collection_t* const from =
        mongoc_client_get_collection(impl_->client, name_.c_str(), collection.c_str());
    mongoc_cursor_t* const cursor = mongoc_collection_find_with_opts(from, all, nullptr, nullptr);
    const bson_t* document = nullptr;
    while (mongoc_cursor_next(cursor, &document)) {
        char* const json = bson_as_canonical_extended_json(document, nullptr);
        found.emplace_back(json);
        bson_free(json);
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(from);
    bson_destroy(all);
    return found;
}

answer run(adapters::session& session, testing::operations& ops, core::deadline until) {
    answer got;
    got.outcomes.resize(ops.size());
    std::vector<adapters::stored_reply> known;
    got.step = session.begin(adapters::work_kind::write, until, {}, adapters::lookup::none,
                             ops.memory(), known);
    if (got.step == adapters::step_result::done) {
        got.step = session.run(ops.group(), got.sink, got.outcomes, ops.memory());
    }
    if (got.step == adapters::step_result::done) {
        session.seal({});
        session.commit();
    } else {
        session.rollback();
    }
    return got;
}

std::string text_of(const core::outcome& outcome) {
    std::string text{core::to_string(outcome.status)};
    text += ' ';
    text += core::to_string(outcome.code);
    text += ' ';
    text += core::to_string(outcome.effect);
    if (!outcome.field.empty()) {
        text += " field=";
        text += outcome.field;
    }
    return text;
}

} // namespace beds::test::mongodb
