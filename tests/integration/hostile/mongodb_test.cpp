#include "attempts.hpp"
#include "command_tap.hpp"
#include "corpus.hpp"
#include "integration/mongodb/fixture.hpp"
#include "support/catch.hpp"

using namespace beds;
using namespace std::chrono_literals;

namespace {

/// A node whose commands to MongoDB are read on their way.
class world {
public:
    world()
        : rabbitmq(test::require_amqp()), where(test::require_mongodb()),
          data(where.uri, test::unique_name()), tap(where.host, where.port) {
        data.run(R"({"createIndexes": "pairs", "indexes": [)"
                 R"({"key": {"area": 1, "name": 1}, "name": "key", "unique": true}]})");
        data.run(R"({"create": "bystander"})");
        test::node_options options;
        auto uri = where.uri;
        const auto port = ':' + std::to_string(where.port);
        uri.replace(uri.find(port), port.size(), ':' + std::to_string(tap.port()));
        options.mongodb = test::mongodb::settings_for(uri, data.name());
        options.templates = test::hostile_templates(false);
        for (const auto& text : options.templates) {
            data.make_indexes(text);
        }
        running = std::make_unique<test::running_node>(rabbitmq, nullptr, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(30s)));
        raw = std::make_unique<test::raw_client>(rabbitmq, running->tag());
        client = running->new_client();
    }

    [[nodiscard]] std::vector<std::string> rows() {
        std::vector<std::string> all;
        for (const char* name : {"notes", "tags", "pairs", "turns", "blobs", "bystander"}) {
            const auto some = data.documents(name);
            all.insert(all.end(), some.begin(), some.end());
        }
        return all;
    }
    [[nodiscard]] std::string collections() {
        return data.run(R"({"listCollections": 1, "nameOnly": true})");
    }

    test::endpoint rabbitmq;
    test::endpoint where;
    test::mongodb::raw_database data;
    test::mongodb::command_tap tap;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<test::raw_client> raw;
    std::unique_ptr<client::client> client;
};

} // namespace

TEST_CASE("MongoDB: whatever is sent, only commands run that run with harmless values, too") {
    world here;
    test::attempts attempts{*here.client, *here.raw, false};
    attempts.make_neighbours();
    const auto before = here.rows();
    const auto collections = here.collections();
    REQUIRE(before.size() == 4);

    for (const auto& text : {std::string{"alpha"}, std::string{"two words"}, std::string{},
                             std::string(500, 'x'), std::string(66'000, 'x')}) {
        attempts.text(text);
    }
    attempts.bytes("\xFF");
    attempts.json(R"({"a":[1,"x",null]})");
    attempts.json("[true]");
    attempts.wrong_values();
    const auto known = here.tap.take();

    const auto corpus = test::read_hostile_corpus();
    for (const auto& text : corpus.texts) {
        attempts.text(text);
    }
    for (const auto& bytes : corpus.bytes) {
        attempts.bytes(bytes);
    }
    for (const auto& json : corpus.json) {
        attempts.json(json);
    }
    attempts.wrong_values();
    const auto seen = here.tap.take();

    // What is refused is refused before the database: it hears nothing of it.
    for (const char* text : {"$where", "a.b", ""}) {
        attempts.names(text);
    }
    attempts.wrong_values();
    for (const auto& [shape, times] : here.tap.take()) {
        if (shape.find("hello") == std::string::npos && shape.find("ping") == std::string::npos) {
            FAIL_CHECK("asked of the server for what was refused: " << shape.substr(0, 500));
        }
    }

    CHECK(known.size() > 20);
    std::size_t commands = 0;
    for (const auto& [shape, times] : seen) {
        commands += times;
        if (!known.contains(shape)) {
            FAIL_CHECK(times << " times, and never with harmless values: "
                             << shape.substr(0, 2000));
        }
    }
    CHECK(commands > 20 * corpus.texts.size());
    CHECK(here.rows() == before);
    CHECK(here.collections() == collections);
}

TEST_CASE("MongoDB: a principal is who it is, whatever it is called") {
    world here;
    const auto principals = test::hostile_principals();
    test::check_principals(here.running->node(), principals);
    CHECK(here.data.documents("tags").size() == principals.size());
    CHECK(here.data.documents("beds_inbox").size() == principals.size());
}
