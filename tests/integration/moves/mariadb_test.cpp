#include "moves.hpp"
#include "support/catch.hpp"

using namespace beds;
using namespace std::chrono_literals;

TEST_CASE("MariaDB: reloads move a template to another table and other columns, under load") {
    const auto rabbitmq = test::require_amqp();
    const auto control = test::shared_servers();
    const test::database data{test::require_mariadb(), control};
    for (const auto& each : test::moved_things()) {
        data.sql("CREATE TABLE " + each.object +
                 " (id BIGINT PRIMARY KEY, a VARCHAR(20), b VARCHAR(20), n BIGINT, m BIGINT, "
                 "KEY (a), KEY (b)) ENGINE=InnoDB;INSERT INTO " +
                 each.object + " SELECT seq, '" + each.a + "', '" + each.b + "', " +
                 std::to_string(each.n) + ", " + std::to_string(each.m) + " FROM seq_1_to_" +
                 std::to_string(test::moved_rows) + ";\nDELIMITER //\nCREATE PROCEDURE words_of_" +
                 each.object + "() READS SQL DATA\nBEGIN\nSELECT " + (each.n == 0 ? "a" : "b") +
                 " AS word FROM " + each.object +
                 " WHERE id <= " + std::to_string(test::moved_rows) + ";\nEND //\nDELIMITER ;\n");
    }
    const auto before = test::things_template("rel", false, "procedure = \"words_of_old_things\"");
    const auto after = test::things_template("rel", true, "procedure = \"words_of_new_things\"");
    const test::folder files;
    files.write("things.toml", before);
    test::node_options options{.rel = {.read = 2, .write = 2, .bulk = 0}};
    options.directory = files.root();
    options.templates = test::object_templates("rel");
    const auto rel = data.settings();
    const test::running_node running{rabbitmq, &rel, options};
    REQUIRE(running.ready(30s));
    test::check_moves(running, files, before, after);
}
