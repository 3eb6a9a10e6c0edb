#include "guests.hpp"
#include "ladders.hpp"
#include "payments.hpp"
#include "support/running_node.hpp"

using namespace beds;
using namespace std::chrono_literals;

namespace {

struct mariadb_world {
    mariadb_world()
        : rabbitmq(test::require_amqp()), control(test::shared_servers()),
          data(test::require_mariadb(), control) {
        data.sql("CREATE TABLE guests (id BIGINT PRIMARY KEY, email VARCHAR(40) COLLATE "
                 "utf8mb4_bin, name VARCHAR(40) COLLATE utf8mb4_bin, stays INT, gone DATETIME(6), "
                 "UNIQUE (email), KEY (name)) ENGINE=InnoDB");
        test::node_options options;
        options.templates = test::guest_templates("rel");
        const auto rel = data.settings();
        running = std::make_unique<test::running_node>(rabbitmq, &rel, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(30s)));
        client = running->new_client();
    }

    test::endpoint rabbitmq;
    test::server_control control;
    test::database data;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<client::client> client;
};

} // namespace

TEST_CASE("MariaDB: what is deleted by a mark is not there any more") {
    const mariadb_world here;
    test::check_soft_delete(*here.client);
}

TEST_CASE("MariaDB: on_conflict, and what is sent again") {
    const mariadb_world here;
    test::check_conflicts(*here.client);
}

TEST_CASE("MariaDB: on_conflict by a unique index that is not the key") {
    const mariadb_world here;
    test::guest_desk ask{*here.client};
    using Catch::Contains;
    CHECK_THAT(ask(R"("op":"insert","data":{"id":1,"email":"a","stays":1})", "all_guests"),
               Contains("applied"));
    CHECK_THAT(ask(R"("op":"insert","data":[{"id":7,"email":"a","stays":5},{"id":8,"email":"b"}],)"
                   R"("on_conflict":{"unique":["email"],"do":"update","set":["stays"]},)"
                   R"("return":["id","stays"])",
                   "all_guests"),
               Contains(R"("keys":[1,8])") && Contains(R"("count":2)") &&
                   Contains(R"("rows":[{"id":1,"stays":5},{"id":8,"stays":null}])"));
}

TEST_CASE("MariaDB: rows that are returned, and what is sent again") {
    const mariadb_world here;
    test::check_returned_rows(*here.client);
}

TEST_CASE("MariaDB: rows of writes by where") {
    const mariadb_world here;
    test::check_by_where(*here.client, true);
}

TEST_CASE("MariaDB: code beside a template") {
    const auto rabbitmq = test::require_amqp();
    const test::server_control control{test::shared_servers()};
    const test::database data{test::require_mariadb(), control};
    data.sql("CREATE TABLE payments (id BIGINT PRIMARY KEY, amount INT) ENGINE=InnoDB; "
             "CREATE TABLE ledger (payment BIGINT PRIMARY KEY, event VARCHAR(80) COLLATE "
             "utf8mb4_bin, parent VARCHAR(80) COLLATE utf8mb4_bin, depth INT) ENGINE=InnoDB");
    const auto rel = data.settings();
    const test::running_node running{rabbitmq, &rel, test::with_payments({}, "rel")};
    REQUIRE(running.ready(30s));
    const auto client = running.new_client();
    test::check_payments(*client, true);
    test::check_lineage(*client);
    CHECK_THAT(running.log(), Catch::Contains("BEDS_CUSTOM_FAILED") &&
                                  Catch::Contains("payments: nothing is paid"));
    CHECK(data.number("SELECT COUNT(*) FROM payments") ==
          data.number("SELECT COUNT(*) FROM ledger WHERE event <> ''"));
}

TEST_CASE("MariaDB: rows of writes through procedures, but not of those that commit") {
    const auto rabbitmq = test::require_amqp();
    const test::server_control control{test::shared_servers()};
    const test::database data{test::require_mariadb(), control};
    data.sql(
        R"(CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(40) COLLATE utf8mb4_bin) ENGINE=InnoDB;
DELIMITER //
CREATE PROCEDURE p_insert(IN p_id BIGINT, IN p_name VARCHAR(40)) MODIFIES SQL DATA
BEGIN INSERT INTO people VALUES (p_id, UPPER(p_name)); END//
CREATE PROCEDURE p_update(IN p_id BIGINT, IN p_set TEXT, IN p_name VARCHAR(40), OUT affected INT) MODIFIES SQL DATA
BEGIN UPDATE people SET name = CONCAT(p_name, '!') WHERE id = p_id; SET affected = ROW_COUNT(); END//
CREATE PROCEDURE p_delete(IN p_id BIGINT) MODIFIES SQL DATA BEGIN DELETE FROM people WHERE id = p_id; END//
CREATE PROCEDURE p_hasty(IN p_id BIGINT, IN p_set TEXT, IN p_name VARCHAR(40)) MODIFIES SQL DATA
BEGIN UPDATE people SET name = p_name WHERE id = p_id; COMMIT; END//
DELIMITER ;
)");
    const auto about = [](const std::string& name, const std::string& update) {
        return "[template]\nname = \"" + name +
               "\"\nstore = \"rel\"\nobject = \"people\"\nkey = [\"id\"]\n[fields]\n"
               "id = { type = \"int64\", required = true }\nname = { type = \"string\", max = 40 "
               "}\n[write]\ninsert = \"p_insert\"\nupdate = \"" +
               update + "\"\ndelete = \"p_delete\"\n";
    };
    test::node_options options;
    options.templates = {about("people", "p_update"), about("hasty", "p_hasty")};
    const auto rel = data.settings();
    const test::running_node running{rabbitmq, &rel, options};
    REQUIRE(running.ready(30s));
    const auto client = running.new_client();
    test::guest_desk ask{*client};
    using Catch::Contains;
    CHECK_THAT(ask(R"("op":"insert","data":{"id":1,"name":"ann"},"return":["name"])", "people"),
               Contains(R"("rows":[{"name":"ANN"}])"));
    CHECK_THAT(ask(R"("op":"update","key":1,"set":{"name":"bob"},"return":["name"])", "people"),
               Contains(R"("rows":[{"name":"bob!"}])"));
    CHECK_THAT(ask(R"("op":"update","key":1,"set":{"name":"cid"},"return":["name"])", "hasty"),
               Contains("UNSUPPORTED") && Contains(R"("field":"return")") &&
                   Contains(R"("effect":"none")"));
    CHECK_THAT(ask(R"("op":"delete","key":1,"return":["name"])", "people"),
               Contains(R"("rows":[{"name":"bob!"}])"));
    CHECK(data.number("SELECT COUNT(*) FROM people") == 0);
}

TEST_CASE("MariaDB: the order holds by values of every type that order_by takes") {
    const auto rabbitmq = test::require_amqp();
    const auto control = test::shared_servers();
    const test::database data{test::require_mariadb(), control};
    data.sql(
        "CREATE TABLE ladder_string (at VARCHAR(40) COLLATE utf8mb4_bin PRIMARY KEY, step INT);"
        "CREATE TABLE ladder_uuid (at CHAR(36) PRIMARY KEY, step INT);"
        "CREATE TABLE ladder_date (at DATE PRIMARY KEY, step INT);"
        "CREATE TABLE ladder_int64 (at BIGINT PRIMARY KEY, step INT);"
        "CREATE TABLE ladder_uint64 (at BIGINT UNSIGNED PRIMARY KEY, step INT)");
    const auto rel = data.settings();
    test::check_ladders(rabbitmq, &rel, {});
}
