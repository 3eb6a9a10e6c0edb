#include "daemon/service.hpp"

#include <sstream>

using namespace daemon_test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view items_template = R"([template]
name = "items"
version = 1
service = "app_server"
store = "rel"
object = "items"
key = ["id"]
[fields]
id = { type = "int64", generated = "database" }
name = { type = "string", max = 40, required = true }
stock = { type = "int64", default = 0 }
ratio = { type = "double", nullable = true }
[[index]]
fields = ["name"]
[calls.take]
procedure = "sp_take"
class = "write"
args = [["item", "int64"], ["amount", "int64"]]
out = [["remaining", "int64"]]
[calls.take.errors]
"45001" = "NOT_ENOUGH"
[calls.meet]
procedure = "sp_meet"
class = "write"
out = [["met", "int64"]]
[calls.come]
procedure = "sp_come"
class = "read"
out = [["here", "int64"]]
)";

constexpr const char* schema = R"(
CREATE TABLE items (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL,
                    stock BIGINT NOT NULL DEFAULT 0, ratio DOUBLE, KEY name (name)) ENGINE = InnoDB;
CREATE PROCEDURE sp_take(IN p_item BIGINT, IN p_amount BIGINT, OUT p_remaining BIGINT) MODIFIES SQL DATA
    IF (SELECT stock FROM items WHERE id = p_item) < p_amount THEN
        SIGNAL SQLSTATE '45001';
    ELSE
        UPDATE items SET stock = stock - p_amount WHERE id = p_item;
        SELECT stock INTO p_remaining FROM items WHERE id = p_item;
    END IF//
CREATE PROCEDURE sp_meet(OUT p_met BIGINT) MODIFIES SQL DATA
BEGIN
    DECLARE looks INT DEFAULT 0;
    SET p_met = 0;
    WHILE NOT p_met AND looks < 300 DO
        DO SLEEP(0.01);
        SET p_met = IS_USED_LOCK(DATABASE()) IS NOT NULL, looks = looks + 1;
    END WHILE;
END//
CREATE PROCEDURE sp_come(OUT p_here BIGINT) READS SQL DATA
    SET p_here = GET_LOCK(DATABASE(), 0);
)";

/// bedsd over a database of its own.
struct items_service : service {
    items_service()
        : service({.sql = "DELIMITER //\n" + std::string{schema} + "//",
                   .templates = {{"items", std::string{items_template}}}}) {}
};

} // namespace

TEST_CASE("bedsctl asks a running bedsd") {
    items_service node;

    SECTION("every operation") {
        const auto inserted = node.ask({"call", "items", "insert", "name=rope", "stock:=10"});
        INFO(inserted.out << inserted.err);
        CHECK(inserted.code == 0);
        CHECK(contains(inserted.out, R"("effect":"applied","count":1,"keys":[1])"));

        const auto fetched =
            node.ask({"call", "items", "fetch", "key=1", "--fields", "name,stock", "-o", "table"});
        CHECK(fetched.code == 0);
        CHECK(fetched.out == "name  stock\n----  -----\nrope  10\n1 row\n");

        CHECK(node.ask({"call", "items", "update", "key:=1", "name=line", "--inc", "stock:=-1",
                        "--if", "name=rope"})
                  .code == 0);
        const auto conflict =
            node.ask({"call", "items", "update", "key:=1", "name=x", "--if", "name=rope"});
        CHECK(conflict.code == 1);
        CHECK(contains(conflict.out, R"("code":"CONFLICT")"));

        CHECK(node.ask({"call", "items", "insert", "name=hook"}).code == 0);
        const auto found = node.ask(
            {"call", "items", "find", "name.ge=a", "--sort=-name", "--limit", "1", "-o", "table"});
        CHECK(contains(found.out, "1   line  9\n1 row\nmore with --after "));
        const auto cursor_at = found.out.find("--after ") + 8;
        const auto cursor =
            found.out.substr(cursor_at, found.out.find('\n', cursor_at) - cursor_at);
        const auto next = node.ask({"call", "items", "find", "name.ge=a", "--sort=-name", "--limit",
                                    "1", "--after", cursor, "-o", "table"});
        CHECK(contains(next.out, "2   hook  0\n1 row\n"));
        CHECK(contains(node.ask({"call", "items", "exists", "name=hook"}).out, R"("exists":true)"));
        CHECK(node.ask({"call", "items", "delete", "key=2"}).code == 0);
        CHECK(contains(node.ask({"call", "items", "count"}).out, R"("total":1)"));
    }

    SECTION("a number as text is refused, and how to write it is told") {
        const auto text = node.ask({"call", "items", "insert", "name=rope", "ratio=0.1"});
        INFO(text.out << text.err);
        CHECK(text.code == 1);
        CHECK(contains(text.err, "  write ratio:=0.1 (a value in JSON)\n"));
        CHECK(node.ask({"call", "items", "insert", "name=rope", "ratio:=0.1"}).code == 0);
    }

    SECTION("a call, refused and repeated") {
        CHECK(node.ask({"call", "items", "insert", "name=rope", "stock:=10"}).code == 0);
        const std::vector<std::string> take{"call",      "items", "take",   "item:=1",
                                            "amount:=3", "--id",  "order-1"};
        const auto first = node.ask(take);
        INFO(first.out << first.err);
        CHECK(first.code == 0);
        CHECK(contains(first.out, R"("out":{"remaining":7})"));
        const auto again = node.ask(take);
        CHECK(contains(again.out, R"("out":{"remaining":7})"));
        const auto refused =
            node.ask({"call", "items", "take", "item:=1", "amount:=8", "-o", "table"});
        CHECK(refused.code == 1);
        CHECK(refused.out.empty());
        CHECK(contains(refused.err, "REJECTED NOT_ENOUGH"));
        const auto misspelt = node.ask({"call", "items", "fetsh", "key=1", "-o", "table"});
        CHECK(misspelt.code == 1);
        CHECK(contains(misspelt.err, "did you mean 'fetch'"));
    }

    SECTION("a stream of requests is answered line by line, in order") {
        constexpr int count = 2000;
        std::ostringstream requests;
        node.sql("INSERT INTO items (id, name) SELECT seq, CONCAT('item ', seq) FROM seq_1_to_" +
                 std::to_string(count));
        for (int i = 1; i <= count; ++i) {
            requests << R"({"v":1,"template":"items","op":"fetch","key":)" << i << "}\n";
        }
        requests << "no request\n";
        const auto file = node.files.write("requests.ndjson", requests.str());
        const folder output;
        process bedsctl{
            output,
            {"/bin/sh", "-c",
             "exec '" + std::string{BEDSCTL_PROGRAM} + "' call --json - <'" + file.string() + "'"},
            {"AMQP_URL=" + node.amqp.uri, "BEDS_QUEUE_TAG=" + node.tag}};
        CHECK(bedsctl.wait(soon) == 1); // of the last line
        std::istringstream lines{output.read("out")};
        int line = 0;
        for (std::string text; std::getline(lines, text);) {
            ++line;
            INFO("line " << line << ": " << text);
            if (line <= count) {
                REQUIRE(contains(text, "\"name\":\"item " + std::to_string(line) + "\""));
            } else {
                CHECK(contains(text, "INVALID_ENVELOPE"));
            }
        }
        CHECK(line == count + 1);
    }

    SECTION("a stream sends on before it is answered") {
        // The first waits in the database for what the second does there.
        const auto file = node.files.write("requests.ndjson",
                                           R"({"v":1,"template":"items","op":"call","name":"meet"}
{"v":1,"template":"items","op":"call","name":"come"}
)");
        const auto both = node.ask({"call", "--json", file.string()});
        INFO(both.out << both.err);
        CHECK(both.code == 0);
        CHECK(contains(both.out, R"("out":{"met":1})"));
    }

    SECTION("describe, by URL and by configuration") {
        const auto brief = node.ask({"describe", "-o", "table"});
        CHECK(brief.code == 0);
        CHECK(contains(brief.out, "items     id   4       take"));
        const auto full = node.run(
            {"describe", "items", "-o", "table"},
            {"AMQP_URL=", "BEDS_CONFIG=" + node.config, "TEST_AMQP_PASS=" + node.amqp.password});
        INFO(full.err);
        CHECK(full.code == 0);
        CHECK(contains(full.out, "item int64, amount int64  remaining int64  NOT_ENOUGH"));
        const auto unknown = node.ask({"describe", "itmes", "-o", "table"});
        CHECK(unknown.code == 1);
        CHECK(contains(unknown.err, "did you mean 'items'"));
    }

    SECTION("nobody there") {
        const auto no_rabbitmq =
            node.run({"describe"}, {"AMQP_URL=amqp://guest:c4n4ry@127.0.0.1:1/%2F"});
        CHECK(no_rabbitmq.code == 3);
        CHECK(contains(no_rabbitmq.err, "cannot use RabbitMQ at 127.0.0.1:1"));
        CHECK_FALSE(contains(no_rabbitmq.err, "c4n4ry"));

        const auto no_node =
            node.run({"describe", "--timeout", "1s"},
                     {"AMQP_URL=" + node.amqp.uri, "BEDS_QUEUE_TAG=" + node.tag + "other_"});
        CHECK(no_node.code == 3);
        CHECK(contains(no_node.err, "other_beds.events")); // what is missing

        node.stop();
        const auto gone = node.ask({"call", "items", "count", "--timeout", "500ms", "-o", "table"});
        CHECK(gone.code == 3);
        CHECK(gone.out.empty());
    }

    SECTION("a wrong command line opens nothing") {
        const auto wrong =
            node.run({"call", "items", "fetch"}, {"AMQP_URL=amqp://guest:guest@127.0.0.1:1/%2F"});
        CHECK(wrong.code == 2);
        CHECK(contains(wrong.err, "fetch takes key=VALUE"));
    }
}
