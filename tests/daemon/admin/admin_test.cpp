#include "daemon/bedsd/process.hpp"
#include "support/catch.hpp"
#include "support/http.hpp"
#include "support/running_node.hpp"

#include <beds/amqp/topology.hpp>

#include <map>
#include <sstream>

using namespace beds;
using namespace daemon_test;
using namespace std::chrono_literals;
using test::http_get;

namespace {

constexpr std::string_view items_template = R"([template]
name = "items"
store = "rel"
object = "items"
key = ["id"]
[fields]
id = { type = "int64", required = true }
name = { type = "string", max = 40 }
)";

/// Series of Prometheus' text, by name with labels.
class metrics {
public:
    explicit metrics(const std::string& text) {
        std::istringstream lines{text};
        for (std::string line; std::getline(lines, line);) {
            const auto blank = line.rfind(' ');
            if (!line.empty() && line.front() != '#' && blank != std::string::npos) {
                series_[line.substr(0, blank)] = std::stod(line.substr(blank + 1));
            }
        }
    }
    /// -1 when there is no such series.
    [[nodiscard]] double operator[](const std::string& name) const {
        const auto found = series_.find(name);
        return found == series_.end() ? -1 : found->second;
    }
    /// All series that begin so.
    [[nodiscard]] double sum(const std::string& begin) const {
        double total = 0;
        for (const auto& [name, value] : series_) {
            total += name.starts_with(begin) ? value : 0;
        }
        return total;
    }
    [[nodiscard]] double of(const std::string& figure, const std::string& name) const {
        return (*this)["beds_" + figure + "{template=\"" + name + "\"}"];
    }
    /// received - all that became of it
    [[nodiscard]] double missing(const std::string& name) const {
        return of("received_total", name) - of("replied_ok_total", name) -
               of("rejected_total", name) - of("unknown_total", name) - of("dead_total", name) -
               of("requeued_total", name) - of("in_flight", name);
    }

private:
    std::map<std::string, double> series_;
};

test::private_servers& servers() {
    static test::private_servers made{test::server::rabbitmq, test::server::mariadb};
    return made;
}

/// bedsd with admin pages over servers that may be stopped.
class served_daemon {
public:
    served_daemon() : data_(servers().mariadb(), servers()) {
        data_.sql("CREATE TABLE items (id BIGINT PRIMARY KEY, name VARCHAR(40)) ENGINE = InnoDB");
        const auto amqp = servers().amqp();
        const auto mariadb = servers().mariadb();
        files_.write("templates/items.toml", items_template);
        const auto config = files_.write(
            "beds.toml",
            "[broker_services.app_server]\nhost = " + in_quotes(amqp.host) +
                "\nport = " + std::to_string(amqp.port) + "\nvhost = " + in_quotes(amqp.path) +
                "\nuser = " + in_quotes(amqp.user) + "\npass = " + in_quotes(amqp.password) +
                "\nqueue_tag = " + in_quotes(tag_) +
                "\ninstances.rel = { read = 2, write = 1 }\n[rel_services.rel]\nhost = " +
                in_quotes(mariadb.host) + "\nport = " + std::to_string(mariadb.port) +
                "\nuser = " + in_quotes(mariadb.user) + "\npass = " + in_quotes(mariadb.password) +
                "\ndatabase = " + in_quotes(data_.name()) +
                "\n[admin]\nlisten = \"127.0.0.1:0\"\n");
        bedsd_ = std::make_unique<process>(
            files_, std::vector<std::string>{BEDSD_PROGRAM, "--config", config.string()});
        const auto until = std::chrono::steady_clock::now() + 30s;
        constexpr std::string_view before = "pages at http://127.0.0.1:";
        while (port_ == 0) {
            INFO(log());
            REQUIRE(bedsd_->wait(20ms) == -1);
            REQUIRE(std::chrono::steady_clock::now() < until);
            const auto text = log();
            const auto at = text.find(before);
            if (at != std::string::npos && text.find('\n', at) != std::string::npos) {
                port_ = static_cast<std::uint16_t>(std::stoi(text.substr(at + before.size())));
            }
        }
    }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string log() const { return files_.read("err"); }
    [[nodiscard]] const std::string& tag() const { return tag_; }
    [[nodiscard]] bool becomes(int status, std::chrono::seconds within = 30s) const {
        const auto until = std::chrono::steady_clock::now() + within;
        while (http_get(port_, "/ready").status != status) {
            if (std::chrono::steady_clock::now() > until) {
                return false;
            }
            ::poll(nullptr, 0, 50);
        }
        return true;
    }
    [[nodiscard]] metrics look() const { return metrics{http_get(port_, "/metrics").body}; }
    /// Waits until nothing is in flight.
    [[nodiscard]] metrics look_at_rest() const {
        const auto until = std::chrono::steady_clock::now() + 20s;
        auto seen = look();
        while (seen.sum("beds_in_flight") != 0 && std::chrono::steady_clock::now() < until) {
            seen = look();
        }
        return seen;
    }
    int stop() {
        bedsd_->signal(SIGTERM);
        return bedsd_->wait(20s);
    }

private:
    test::database data_;
    std::string tag_ = test::unique_name("t") + "_";
    folder files_;
    std::unique_ptr<process> bedsd_;
    std::uint16_t port_ = 0;
};

std::string operation(const std::string& rest) {
    return R"({"v":1,"template":"items",)" + rest + "}";
}

} // namespace

TEST_CASE("the pages of a daemon: traffic, bad requests, a database that goes and comes back") {
    served_daemon node;
    REQUIRE(node.becomes(200));
    CHECK(http_get(node.port(), "/live").status == 200);

    test::raw_client client{servers().amqp(), node.tag()};
    client.listen_to_the_dead();
    int expected_replies = 0;
    const auto ask = [&](const std::string& key, const std::string& body, const std::string& id,
                         const std::string& type = "application/json") {
        client.publish({.key = key,
                        .body = body,
                        .message_id = id,
                        .reply_to = client.reply_queue(),
                        .content_type = type});
        ++expected_replies;
    };
    constexpr int rows = 40;
    for (int i = 0; i < rows; ++i) {
        const auto id = std::to_string(i);
        ask("items.write", operation(R"("op":"insert","data":{"id":)" + id + R"(,"name":"x"})"),
            "w" + id);
    }
    REQUIRE(client.settle());
    for (int i = 0; i < rows; ++i) {
        REQUIRE(client.reply());
    }
    for (int i = 0; i < 2 * rows; ++i) {
        ask("items.read", operation(R"("op":"fetch","key":)" + std::to_string(i)), "");
    }
    ask("items.write", operation(R"("op":"insert","data":{"id":1})"), "twice");  // duplicate
    ask("items.read", operation(R"("op":"find","where":{"nmae":"x"})"), "");     // no such field
    ask("items.read", R"({"v":1,"template":"itmes","op":"fetch","key":1})", ""); // no template
    ask("items.read", operation(R"("op":"frobnicate")"), "");                    // a call, unknown
    ask("items.read", "{", "");                                                  // no JSON
    ask("items.read", operation(R"("op":"count")"), "", "text/xml");             // not taken apart
    ask("items.read",
        R"({"v":1,"ops":[{"template":"items","op":"count"},{"template":"items","op":"fetch"}]})",
        "");
    // Nobody to be told: one goes to the dead queue, the other is done.
    client.publish({.key = "items.write",
                    .body = operation(R"("op":"insert","data":{"id":"no number"})"),
                    .message_id = "dead"});
    client.publish({.key = "items.write",
                    .body = operation(R"("op":"insert","data":{"id":5000})"),
                    .message_id = "quiet"});
    REQUIRE(client.settle());
    REQUIRE(client.dead());
    for (int i = rows; i < expected_replies; ++i) {
        REQUIRE(client.reply());
    }

    const auto seen = node.look_at_rest();
    INFO(http_get(node.port(), "/metrics").body);
    CHECK(seen.of("received_total", "items") == rows + 2 * rows + 4 + 2 + 1);
    CHECK(seen[R"(beds_requests_total{template="items",op="insert",code="OK"})"] == rows + 1);
    CHECK(seen[R"(beds_requests_total{template="items",op="fetch",code="OK"})"] == 2 * rows);
    CHECK(seen[R"(beds_requests_total{template="items",op="insert",code="DUPLICATE_KEY"})"] == 1);
    CHECK(seen[R"(beds_requests_total{template="items",op="find",code="INVALID_FIELD"})"] == 1);
    CHECK(seen[R"(beds_requests_total{template="",op="fetch",code="UNKNOWN_TEMPLATE"})"] == 1);
    CHECK(seen[R"(beds_requests_total{template="",op="",code="INVALID_ENVELOPE"})"] == 2);
    CHECK(seen.of("dead_total", "items") == 1);
    CHECK(seen.of("replied_ok_total", "items") == rows + 2 * rows + 1 + 1);
    CHECK(seen.of("rejected_total", "") == 3);
    CHECK(seen.sum("beds_received_total") == seen.sum("beds_requests_total"));
    CHECK(seen[R"(beds_request_seconds_count{connection="rel",class="write"})"] == rows + 3);
    CHECK(seen[R"(beds_batch_operations_sum{connection="rel",class="write"})"] == rows + 3);
    CHECK(seen[R"(beds_reconnects_total{backend="rel"})"] == 0);
    for (const auto* name : {"items", ""}) {
        CHECK(seen.missing(name) == 0);
    }

    // bedsctl shows the same.
    const folder output;
    process bedsctl{output,
                    {BEDSCTL_PROGRAM, "status", "-o", "table", "--admin",
                     "127.0.0.1:" + std::to_string(node.port())}};
    CHECK(bedsctl.wait(20s) == 0);
    INFO(output.read("out") << output.read("err"));
    CHECK(contains(output.read("out"), "ready\n"));
    CHECK(
        contains(output.read("out"), "items     127       122         4         0        1     "));

    // The queues are asked for every few seconds, the first time perhaps before they are declared.
    const auto dead_queue = "beds_queue_messages{service=\"app_server\",queue=\"" +
                            amqp::dead_queue(node.tag()).str() + "\"}";
    const auto asked_by = core::deadline::after(20s);
    while (node.look()[dead_queue] < 0 && !asked_by.expired()) {
        std::this_thread::sleep_for(100ms);
    }
    CHECK(node.look()[dead_queue] == 0); // its letter was taken

    servers().kill(test::server::mariadb);
    CHECK(node.becomes(503));
    const auto away = http_get(node.port(), "/ready");
    INFO(away.body);
    CHECK(contains(away.body, R"("name":"rabbitmq app_server","required":true,"ready":true})"));
    CHECK(contains(away.body, R"("name":"database rel","required":true,"ready":false,"reason":")"));
    CHECK(http_get(node.port(), "/live").status == 200);
    for (int i = 0; i < 5; ++i) {
        ask("items.read", operation(R"("op":"fetch","key":1)"), "");
        ask("items.write", operation(R"("op":"update","key":1,"set":{"name":"y"})"),
            "away" + std::to_string(i));
    }
    REQUIRE(client.settle());
    for (int i = 0; i < 10; ++i) {
        REQUIRE(client.reply());
    }
    const auto without = node.look_at_rest();
    CHECK(
        without[R"(beds_requests_total{template="items",op="fetch",code="BACKEND_UNAVAILABLE"})"] ==
        5);
    CHECK(without[R"(beds_dependency_ready{dependency="database rel",required="true"})"] == 0);
    CHECK(without.missing("items") == 0);

    // What waits until its database is back shows where it waits.
    client.publish({.key = "items.write",
                    .body = operation(R"("op":"update","key":1,"set":{"name":"z"})"),
                    .message_id = "parked"});
    REQUIRE(client.settle());
    const auto waiting = [&](const std::string& queue) {
        return R"(beds_queue_messages{service="app_server",queue=")" + node.tag() + queue + "\"}";
    };
    const auto seen_by = core::deadline::after(20s);
    while (node.look()[waiting("rel.write.again")] != 1 && !seen_by.expired()) {
        std::this_thread::sleep_for(100ms);
    }
    const auto kept = node.look();
    CHECK(kept[waiting("rel.write.again")] == 1);
    for (const auto* empty : {"rel.write", "rel.read", "rel.write.retry.1", "rel.write.retry.3",
                              "rel.write.quarantine", "rel.read.quarantine"}) {
        CHECK(kept[waiting(empty)] == 0);
    }
    const folder listed;
    process status{listed,
                   {BEDSCTL_PROGRAM, "status", "-o", "table", "--admin",
                    "127.0.0.1:" + std::to_string(node.port())}};
    CHECK(status.wait(20s) == 1); // not ready
    INFO(listed.read("out"));
    CHECK(contains(listed.read("out"), node.tag() + "rel.write.again"));
    CHECK(contains(listed.read("out"), node.tag() + "rel.read.quarantine"));

    servers().start(test::server::mariadb);
    CHECK(node.becomes(200));
    CHECK(node.look()[R"(beds_reconnects_total{backend="rel"})"] > 0);
    CHECK(node.stop() == 0);
}

TEST_CASE("figures add up at every moment, also when RabbitMQ goes away in the middle of work") {
    served_daemon node;
    REQUIRE(node.becomes(200));
    {
        test::raw_client client{servers().amqp(), node.tag()};
        int looks = 0;
        bool kept = true;
        for (int round = 0; round < 20; ++round) {
            for (int i = 0; i < 200; ++i) {
                client.publish({.key = "items.read",
                                .body = operation(R"("op":"fetch","key":1)"),
                                .reply_to = client.reply_queue()});
            }
            REQUIRE(client.settle());
            for (int i = 0; i < 5; ++i, ++looks) {
                kept = kept && node.look().missing("items") == 0;
            }
        }
        CHECK(kept);
        CHECK(looks == 100);
        for (int i = 0; i < 2000; ++i) {
            client.publish({.key = "items.read",
                            .body = operation(R"("op":"find","limit":1)"),
                            .reply_to = client.reply_queue()});
        }
        REQUIRE(client.settle());
        servers().stop(test::server::rabbitmq);
    }
    CHECK(node.becomes(503));
    CHECK(contains(http_get(node.port(), "/ready").body,
                   R"("name":"rabbitmq app_server","required":true,"ready":false)"));
    const auto seen = node.look();
    CHECK(seen.missing("items") == 0);
    CHECK(seen.of("in_flight", "items") == 0);
    servers().start(test::server::rabbitmq);
    const bool again = node.becomes(200, 60s);
    INFO(http_get(node.port(), "/ready").body);
    CHECK(again);
    CHECK(node.look()[R"(beds_reconnects_total{backend="rabbitmq"})"] > 0);
    CHECK(node.stop() == 0);
}

TEST_CASE("an address that is taken ends the start") {
    served_daemon node;
    const folder files;
    files.write("templates/items.toml", items_template);
    const auto config =
        files.write("beds.toml", "[broker_services.app_server]\nhost = \"127.0.0.1\"\nport = 1\n"
                                 "user = \"u\"\npass = \"p\"\ninstances.rel = { read = 1 }\n"
                                 "[rel_services.rel]\nhost = \"127.0.0.1\"\nport = 1\n"
                                 "user = \"u\"\npass = \"p\"\ndatabase = \"d\"\n"
                                 "[admin]\nlisten = \"127.0.0.1:" +
                                     std::to_string(node.port()) + "\"\n");
    process second{files, {BEDSD_PROGRAM, "--config", config.string()}};
    CHECK(second.wait(20s) == 1);
    CHECK(contains(files.read("err"), "cannot listen on 127.0.0.1:"));
    CHECK(node.stop() == 0);
}
