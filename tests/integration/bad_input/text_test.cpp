#include "fixture.hpp"

#include <beds/client/client.hpp>

using namespace beds;
using namespace std::chrono_literals;

namespace {

/// Text that means something to somebody: SQL, LIKE, escapes, JSON, BSON, terminals.
std::vector<std::string> texts() {
    return {
        "' OR '1'='1",
        "' OR 1=1 -- ",
        "'; DROP TABLE notes; -- ",
        "\\'; DROP TABLE notes; -- ",
        "\\",
        "\\\\'",
        "\"; DROP TABLE notes; #",
        "`; DROP TABLE notes; `",
        "1; DELETE FROM notes",
        "') UNION SELECT user, password FROM mysql.user -- ",
        "/*!50000 DROP TABLE notes */",
        "*/ DROP TABLE notes /*",
        "0x27",
        "\xEF\xBC\x87",          // a full-width apostrophe
        "\xE6\xBF\xBF\xC2\xA7'", // what becomes an apostrophe where bytes are taken for GBK
        "%bf%27",
        "%",
        "_",
        "100%_\\%",
        std::string("before\0after", 12),
        std::string(1, '\0'),
        "\x1A\b\t\r\n\x1B[2J",
        "\xF0\x9F\x92\xA3 \xF0\x9F\x87\xB2\xF0\x9F\x87\xBD",
        "\xE2\x80\xAE"
        "abc",                // right to left
        "e\xCC\x81 \xC3\xA9", // composed and not: not the same, and stays so
        "trailing space ",
        " ",
        "",
        "${jndi:ldap://x/}",
        "{\"$gt\":\"\"}",
        "$where",
        "__proto__",
        "NULL",
        "null",
        "1e309",
        "-0",
        "9223372036854775808",
        "@@version",
        "SLEEP(10)",
        "?",
        ":name",
        "beds_inbox",
        std::string(15'999, '\''),
    };
}

} // namespace

TEST_CASE("SQL in every string: it comes back byte for byte, and the database stays as it was") {
    test::notes_world world;
    world.data.sql("CREATE TABLE tags (name VARCHAR(700) PRIMARY KEY, note VARCHAR(100)) "
                   "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;"
                   "CREATE PROCEDURE say(IN what TEXT, OUT again TEXT) NO SQL SET again = what;");
    const auto schema = [&] {
        const auto own = "table_schema = '" + world.data.name() + "'";
        return world.data.sql(
            "SELECT table_name, column_name, column_type, collation_name FROM "
            "information_schema.columns WHERE " +
            own +
            " ORDER BY 1, ordinal_position;"
            "SELECT table_name, index_name, column_name FROM information_schema.statistics WHERE " +
            own +
            " ORDER BY 1, 2, seq_in_index;"
            "SELECT routine_name, routine_definition FROM information_schema.routines WHERE "
            "routine_schema = '" +
            world.data.name() +
            "';"
            "SELECT user, host FROM mysql.user ORDER BY 1, 2; SHOW DATABASES LIKE '" +
            world.data.name() + "%'");
    };
    const auto before = schema();

    test::node_options options;
    options.templates = {test::notes_template("notes", "rel"), R"toml(
[template]
name = "tags"
store = "rel"
object = "tags"
key = ["name"]
[fields]
name = { type = "string", max = 700, required = true }
note = { type = "string", max = 100 }
[calls.say]
procedure = "say"
class = "read"
args = [["what", "string"]]
out = [["again", "string"]]
)toml"};
    const auto rel = world.data.settings();
    test::running_node running{world.rabbitmq, &rel, options};
    REQUIRE(running.node().wait_ready(core::deadline::after(15s)));
    auto client = running.new_client();

    std::int64_t id = 1000;
    for (const auto& text : texts()) {
        INFO("text: " << text.substr(0, 60));
        ++id;
        // As a value.
        client::request insert{client::insert("notes", {{"id", id}, {"title", text}})};
        insert.id = text.substr(0, 200) + "/" + std::to_string(id); // and in the id
        const auto inserted = client->call(insert);
        INFO(inserted.json().substr(0, 300));
        REQUIRE(inserted.ok());
        const auto again = client->call(insert);
        CHECK(again.front().effect() == core::effect::applied);
        const auto fetched = client->call(client::fetch("notes", id));
        REQUIRE(fetched.front().size() == 1);
        CHECK(fetched.front()[0].text("title") == text);
        CHECK(fetched.front()[0].data().find("title")->is(core::datum::kind::string));
        // In conditions: it finds its own row and no other.
        const auto found = client->call(client::find("notes", {{"title", text}}));
        CHECK(found.front().size() == 1);
        // `%` and `_` mean nothing in a prefix.
        const auto begins = client->call(client::count(
            "notes",
            {{"title", client::value::object({{"prefix", text.substr(0, 1000)}})}, {"id", id}}));
        CHECK(begins.front().total() == 1U);
        // In `set`, in `if`.
        auto change = client::update("notes", id, {{"title", text + text.substr(0, 1)}});
        change.expect = client::value::object({{"title", text}});
        CHECK(client->call(change).front().count() == 1U);
        // As a key, and as an argument of a procedure.
        if (text.size() < 700) {
            REQUIRE(client->call(client::insert("tags", {{"name", text}, {"note", text}})).ok());
            const auto tag = client->call(client::fetch("tags", text));
            REQUIRE(tag.front().size() == 1);
            CHECK(tag.front()[0].text("name") == text);
            CHECK(client->call(client::update("tags", text, {{"note", "x"}})).front().count() ==
                  1U);
            CHECK(client->call(client::remove("tags", text)).front().count() == 1U);
        }
        const auto said = client->call(client::call("tags", "say", {{"what", text}}));
        INFO(said.json().substr(0, 300));
        REQUIRE(said.ok());
        REQUIRE(said.front().out() != nullptr);
        CHECK(said.front().out()->find("again")->text == text);

        // Where names belong it is refused, and the answer holds no SQL.
        const auto refused = [&](client::operation op, core::code why) {
            const auto got = client->call(std::move(op));
            INFO(got.json().substr(0, 300));
            CHECK(got.front().code() == why);
            CHECK(got.front().effect() == core::effect::none);
            if (text.find("SELECT") == std::string::npos) {
                CHECK(got.json().find("SELECT") == std::string::npos);
            }
        };
        if (text.empty()) {
            continue; // an empty name is no name
        }
        refused(client::insert("notes", {{"id", 1}, {text, 1}}), core::code::invalid_field);
        refused(client::find("notes", {{text, 1}}), core::code::invalid_field);
        refused(client::fetch("notes", client::value::object({{text, 1}})),
                core::code::invalid_field);
        refused(client::call("tags", text), core::code::invalid_field);
        auto sorted = client::find("notes");
        sorted.sort = {text};
        refused(sorted, core::code::invalid_field);
        auto some = client::fetch("notes", 1);
        some.fields = {text};
        refused(some, core::code::invalid_field);
        auto paged = client::find("notes");
        paged.after = text;
        refused(paged, core::code::invalid_field);
    }
    CHECK(client->call(client::count("tags")).front().total() == 0U);
    CHECK(world.data.number("SELECT COUNT(*) FROM notes") ==
          1 + static_cast<long long>(texts().size()));
    CHECK(schema() == before);
}
