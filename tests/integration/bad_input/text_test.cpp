#include "fixture.hpp"
#include "texts.hpp"

using namespace beds;
using namespace std::chrono_literals;

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
            // Without the accounts that other tests make meanwhile.
            "SELECT user, host FROM mysql.user WHERE user NOT REGEXP '^[a-z]+_[0-9a-f]{8,}$' "
            "ORDER BY 1, 2; SHOW DATABASES LIKE '" +
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

    test::check_texts(*client, [&](const std::string& text) {
        const auto got = client->call(client::call("tags", "say", {{"what", text}}));
        INFO(got.json().substr(0, 300));
        REQUIRE(got.ok());
        REQUIRE(got.front().out() != nullptr);
        return std::string{got.front().out()->find("again")->text};
    });
    test::raw_client raw{world.rabbitmq, running.tag()};
    raw.listen_to_the_dead();
    test::check_texts(running, raw);
    CHECK(world.data.number("SELECT COUNT(*) FROM tags") == 0);
    CHECK(world.data.number("SELECT COUNT(*) FROM notes") ==
          1 + static_cast<long long>(test::texts().size()));
    CHECK(schema() == before);
}
