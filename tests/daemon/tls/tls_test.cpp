#include "daemon/bedsd/process.hpp"
#include "support/catch.hpp"
#include "support/queues.hpp"
#include "support/servers.hpp"

#include <memory>

using namespace daemon_test;
using namespace std::chrono_literals;
using beds::test::endpoint;

namespace {

constexpr auto soon = 20s;

constexpr std::string_view items_template = R"([template]
name = "items"
store = "rel"
object = "items"
key = ["id"]
[fields]
id = { type = "int64", required = true }
name = { type = "string", max = 40 }
)";

constexpr std::string_view papers_template = R"([template]
name = "papers"
store = "rec"
object = "papers"
key = ["id"]
[fields]
id = { type = "int64", required = true, column = "_id" }
name = { type = "string", max = 40 }
)";

struct answer {
    int code = 0;
    std::string out;
    std::string err;
};

/// Which authority bedsd trusts for each server.
struct trust {
    std::filesystem::path rabbitmq = beds::test::require_tls_ca();
    std::filesystem::path mariadb = beds::test::require_tls_ca();
    std::filesystem::path mongodb = beds::test::require_tls_ca();
    bool verify = true;
};

/// bedsd that reaches its servers by TLS alone: RabbitMQ and MongoDB on ports that speak nothing
/// else, MariaDB with an account that is let in by TLS only.
class service {
public:
    explicit service(std::optional<endpoint> mongodb = {})
        : amqps_(beds::test::require_amqps()), mariadb_(beds::test::require_mariadb()),
          mongodb_(std::move(mongodb)), control_(beds::test::shared_servers()),
          database_(beds::test::unique_name()), account_(beds::test::unique_name("u")) {
        beds::test::remove_queues_after_the_test(beds::test::require_amqp(), tag_);
        std::ifstream inbox{BEDS_INBOX_SQL};
        control_.mariadb_root("CREATE DATABASE " + database_ +
                              " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin; USE " + database_ +
                              ";\n" + std::string{std::istreambuf_iterator<char>{inbox}, {}} +
                              "\nCREATE TABLE items (id BIGINT PRIMARY KEY, name VARCHAR(40)) "
                              "ENGINE=InnoDB; CREATE USER " +
                              account_ + " IDENTIFIED BY 'secret' REQUIRE SSL; GRANT ALL ON " +
                              database_ + ".* TO " + account_);
        files_.write("templates/items.toml", items_template);
        if (mongodb_) {
            files_.write("templates/papers.toml", papers_template);
        }
    }
    ~service() {
        bedsd_.reset();
        try {
            control_.mariadb_root("DROP DATABASE " + database_ + "; DROP USER " + account_);
        } catch (const std::exception&) {
            // The server is gone: nothing to clean.
        }
    }
    service(const service&) = delete;
    service& operator=(const service&) = delete;

    void start(const trust& trusted) {
        bedsd_.reset();
        const auto server = [&](const endpoint& at, const std::filesystem::path& ca) {
            return "host = " + in_quotes(at.host) + "\nport = " + std::to_string(at.port) +
                   "\nconnect_timeout = \"2s\"\ntls = { ca = " + in_quotes(ca.string()) +
                   (trusted.verify ? "" : ", verify = false") + " }\n";
        };
        const auto text = [&](const std::filesystem::path& rabbitmq_ca) {
            return "[broker_services.app_server]\n" + server(amqps_, rabbitmq_ca) +
                   "vhost = " + in_quotes(amqps_.path) + "\nuser = " + in_quotes(amqps_.user) +
                   "\npass = " + in_quotes(amqps_.password) + "\nqueue_tag = " + in_quotes(tag_) +
                   "\ninstances.rel = { read = 1, write = 1 }\n" +
                   (mongodb_ ? "instances.rec = { read = 1, write = 1 }\n" : "") +
                   "[rel_services.rel]\n" + server(mariadb_, trusted.mariadb) +
                   "user = " + in_quotes(account_) +
                   "\npass = \"secret\"\ndatabase = " + in_quotes(database_) + "\n" +
                   (mongodb_ ? "[rec_services.rec]\n" + server(*mongodb_, trusted.mongodb) +
                                   "database = " + in_quotes(database_) + "\n"
                             : "");
        };
        const auto config = files_.write("beds.toml", text(trusted.rabbitmq));
        // bedsctl trusts whom it should.
        client_config_ = files_.write("client.toml", text(trust{}.rabbitmq));
        bedsd_ = std::make_unique<process>(
            files_, std::vector<std::string>{BEDSD_PROGRAM, "--config", config.string()});
    }
    [[nodiscard]] answer run(std::vector<std::string> arguments,
                             const std::vector<std::string>& environment = {}) const {
        const folder output;
        arguments.insert(arguments.begin(), BEDSCTL_PROGRAM);
        process bedsctl{output, std::move(arguments), environment};
        const int code = bedsctl.wait(soon);
        return {code, output.read("out"), output.read("err")};
    }
    [[nodiscard]] answer ask(std::vector<std::string> arguments) const {
        return run(std::move(arguments), {"BEDS_CONFIG=" + client_config_.string(), "AMQP_URL="});
    }
    /// Asks until it is answered well; false when it never is.
    [[nodiscard]] bool served(const std::vector<std::string>& arguments) const {
        const auto until = std::chrono::steady_clock::now() + soon;
        while (ask(arguments).code != 0) {
            if (bedsd_->wait(50ms) != -1 || std::chrono::steady_clock::now() > until) {
                return false;
            }
        }
        return true;
    }
    /// Waits until the log has a line with all of these; the line, or nothing.
    [[nodiscard]] std::string logged(const std::vector<std::string>& parts) const {
        const auto until = std::chrono::steady_clock::now() + soon;
        do {
            std::istringstream lines{files_.read("err")};
            for (std::string line; std::getline(lines, line);) {
                if (std::all_of(parts.begin(), parts.end(),
                                [&](const auto& part) { return contains(line, part); })) {
                    return line;
                }
            }
        } while (bedsd_->wait(50ms) == -1 && std::chrono::steady_clock::now() < until);
        return {};
    }
    [[nodiscard]] std::string log() const { return files_.read("err"); }
    [[nodiscard]] const endpoint& amqps() const { return amqps_; }
    [[nodiscard]] const std::string& tag() const { return tag_; }
    void stop() {
        bedsd_->signal(SIGTERM);
        CHECK(bedsd_->wait(soon) == 0);
    }

private:
    endpoint amqps_;
    endpoint mariadb_;
    std::optional<endpoint> mongodb_;
    beds::test::server_control control_;
    std::string database_;
    std::string account_;
    std::string tag_ = beds::test::unique_name("t") + "_";
    folder files_;
    std::filesystem::path client_config_;
    std::unique_ptr<process> bedsd_;
};

} // namespace

TEST_CASE("TLS from the configuration: RabbitMQ and MariaDB") {
    const auto other = beds::test::require_tls_other_ca();
    service node;

    node.start({});
    const bool served = node.served({"call", "items", "insert", "id:=1", "name=rope"});
    INFO(node.log());
    REQUIRE(served);
    const auto fetched = node.ask({"call", "items", "fetch", "key:=1"});
    CHECK(fetched.code == 0);
    CHECK(contains(fetched.out, "rope"));
    // The same by URL; and bedsctl checks the certificate too.
    const auto by_url = [&](const std::filesystem::path& ca) {
        return node.run({"call", "items", "fetch", "key:=1", "--timeout", "3s"},
                        {"AMQP_URL=" + node.amqps().uri + "?cacertfile=" + ca.string(),
                         "BEDS_QUEUE_TAG=" + node.tag(), "BEDS_CONFIG="});
    };
    const auto trusted = by_url(beds::test::require_tls_ca());
    INFO(trusted.err);
    CHECK(trusted.code == 0);
    const auto distrusted = by_url(other);
    INFO(distrusted.err);
    CHECK(distrusted.code == 3);
    CHECK(distrusted.out.find("rope") == std::string::npos);
    node.stop();

    // Another authority for MariaDB: asked, but never served.
    node.start({.mariadb = other});
    const auto line = node.logged({"database rel", "TLS"});
    INFO(node.log());
    CHECK_FALSE(line.empty());
    const auto refused = node.ask({"call", "items", "fetch", "key:=1", "--timeout", "5s"});
    INFO(refused.out << refused.err);
    CHECK(refused.code == 3);
    CHECK(contains(refused.out, "BACKEND_UNAVAILABLE"));
    CHECK_FALSE(contains(refused.out, "rope"));
    node.stop();

    // Another authority for RabbitMQ: nobody hears the request.
    node.start({.rabbitmq = other});
    const auto trouble = node.logged({"rabbitmq app_server", "authority"});
    INFO(node.log());
    CHECK_FALSE(trouble.empty());
    const auto unheard = node.ask({"call", "items", "fetch", "key:=1", "--timeout", "1s"});
    CHECK(unheard.code == 3);
    CHECK_FALSE(contains(unheard.out, "rope"));
    node.stop();

    // Told not to look at certificates, it serves all the same.
    node.start({.rabbitmq = other, .mariadb = other, .verify = false});
    const bool unchecked = node.served({"call", "items", "fetch", "key:=1"});
    INFO(node.log());
    CHECK(unchecked);
    node.stop();
}

TEST_CASE("TLS from the configuration: MongoDB", "[mongodb]") {
    const auto mongodb = beds::test::require_mongodb_tls();
    const auto other = beds::test::require_tls_other_ca();
    service node{mongodb};

    node.start({});
    const bool served = node.served({"call", "papers", "insert", "id:=1", "name=rope"});
    INFO(node.log());
    REQUIRE(served);
    const auto fetched = node.ask({"call", "papers", "fetch", "key:=1"});
    CHECK(contains(fetched.out, "rope"));
    CHECK(node.served({"call", "items", "insert", "id:=1", "name=rope"}));
    node.stop();

    node.start({.mongodb = other});
    const auto line = node.logged({"database rec", "TLS"});
    INFO(node.log());
    CHECK_FALSE(line.empty());
    const auto refused = node.ask({"call", "papers", "fetch", "key:=1", "--timeout", "5s"});
    INFO(refused.out << refused.err);
    CHECK(refused.code == 3);
    CHECK(contains(refused.out, "BACKEND_UNAVAILABLE"));
    CHECK_FALSE(contains(refused.out, "rope"));
    // MariaDB is served beside it.
    CHECK(node.served({"call", "items", "fetch", "key:=1"}));
    node.stop();
}
