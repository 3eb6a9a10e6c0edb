#include "daemon/bedsd/process.hpp"
#include "support/catch.hpp"
#include "support/queues.hpp"
#include "support/servers.hpp"

#include <memory>
#include <sstream>

using namespace daemon_test;
using namespace std::chrono_literals;

namespace {

constexpr auto soon = 20s;

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
                    stock BIGINT NOT NULL DEFAULT 0, KEY name (name)) ENGINE = InnoDB;
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
class service {
public:
    service()
        : amqp_(beds::test::require_amqp()), mariadb_(beds::test::require_mariadb()),
          control_(beds::test::shared_servers()), database_(beds::test::unique_name()) {
        beds::test::remove_queues_after_the_test(amqp_, tag_);
        control_.mariadb_root("CREATE DATABASE " + database_ +
                              " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
        std::ifstream inbox{BEDS_INBOX_SQL};
        sql(std::string{std::istreambuf_iterator<char>{inbox}, {}});
        sql("DELIMITER //\n" + std::string{schema} + "//");
        files_.write("pass", mariadb_.password);
        files_.write("templates/items.toml", items_template);
        config_ = files_.write(
            "beds.toml",
            "[broker_services.app_server]\nhost = " + in_quotes(amqp_.host) +
                "\nport = " + std::to_string(amqp_.port) + "\nvhost = " + in_quotes(amqp_.path) +
                "\nuser = " + in_quotes(amqp_.user) +
                "\npass_env = \"TEST_AMQP_PASS\"\nqueue_tag = " + in_quotes(tag_) +
                "\ninstances.rel = { read = 1, write = 1 }\n[rel_services.rel]\nhost = " +
                in_quotes(mariadb_.host) + "\nport = " + std::to_string(mariadb_.port) +
                "\nuser = " + in_quotes(mariadb_.user) +
                "\npass_file = \"pass\"\ndatabase = " + in_quotes(database_) + "\n");
        bedsd_ = std::make_unique<process>(
            files_, std::vector<std::string>{BEDSD_PROGRAM, "--config", config_.string()},
            std::vector<std::string>{"TEST_AMQP_PASS=" + amqp_.password});
        const auto until = std::chrono::steady_clock::now() + soon;
        // Brokers of both kinds: a row that is not there is refused by the one that writes.
        while (ask({"call", "items", "count"}).code != 0 ||
               ask({"call", "items", "delete", "key:=0"}).code != 1) {
            INFO(files_.read("err"));
            REQUIRE(bedsd_->wait(50ms) == -1);
            REQUIRE(std::chrono::steady_clock::now() < until);
        }
    }
    ~service() {
        bedsd_.reset();
        try {
            control_.mariadb_root("DROP DATABASE " + database_);
        } catch (const std::exception&) {
            // The server is gone: nothing to clean.
        }
    }
    service(const service&) = delete;
    service& operator=(const service&) = delete;

    /// bedsctl with these arguments and the service's address in the environment.
    [[nodiscard]] answer ask(std::vector<std::string> arguments) const {
        return run(std::move(arguments), {"AMQP_URL=" + amqp_.uri, "BEDS_QUEUE_TAG=" + tag_});
    }
    [[nodiscard]] answer run(std::vector<std::string> arguments,
                             const std::vector<std::string>& environment) const {
        arguments.insert(arguments.begin(), BEDSCTL_PROGRAM);
        return run_program(std::move(arguments), environment, soon);
    }
    void stop() {
        bedsd_->signal(SIGTERM);
        CHECK(bedsd_->wait(soon) == 0);
    }
    void sql(const std::string& text) const {
        control_.mariadb_root("USE " + database_ + ";\n" + text);
    }
    [[nodiscard]] std::string tag() const { return tag_; }
    [[nodiscard]] const beds::test::endpoint& amqp() const { return amqp_; }
    [[nodiscard]] std::string config() const { return config_.string(); }
    [[nodiscard]] const folder& files() const { return files_; }

private:
    beds::test::endpoint amqp_;
    beds::test::endpoint mariadb_;
    beds::test::server_control control_;
    std::string database_;
    std::string tag_ = beds::test::unique_name("t") + "_";
    folder files_;
    std::filesystem::path config_;
    std::unique_ptr<process> bedsd_;
};

} // namespace

TEST_CASE("bedsctl asks a running bedsd") {
    service node;

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
        const auto file = node.files().write("requests.ndjson", requests.str());
        const folder output;
        process bedsctl{
            output,
            {"/bin/sh", "-c",
             "exec '" + std::string{BEDSCTL_PROGRAM} + "' call --json - <'" + file.string() + "'"},
            {"AMQP_URL=" + node.amqp().uri, "BEDS_QUEUE_TAG=" + node.tag()}};
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
        const auto file = node.files().write("requests.ndjson",
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
        CHECK(contains(brief.out, "items     id   3       take"));
        const auto full = node.run({"describe", "items", "-o", "table"},
                                   {"AMQP_URL=", "BEDS_CONFIG=" + node.config(),
                                    "TEST_AMQP_PASS=" + node.amqp().password});
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
                     {"AMQP_URL=" + node.amqp().uri, "BEDS_QUEUE_TAG=" + node.tag() + "other_"});
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
