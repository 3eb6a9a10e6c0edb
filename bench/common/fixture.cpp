#include "common/fixture.hpp"

#include "common/requests.hpp"

#include <beds/adapters/mariadb.hpp>

#include <mysql.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace beds::bench {
namespace {

constexpr std::string_view users_template = R"toml(
[template]
name = "users"
store = "rel"
object = "bench_users"
key = ["id"]
[fields]
id      = { type = "int64", required = true }
email   = { type = "string", max = 64 }
status  = { type = "int32" }
balance = { type = "int64" }
created = { type = "datetime" }
[[index]]
fields = ["status"]
[calls.credit]
procedure = "bench_credit"
class     = "write"
args      = [["id", "int64"], ["amount", "int64"]]
out       = [["balance", "int64"]]
)toml";

/// mysql://user:password@host:port/database, as tests/support/servers writes it.
mariadb_endpoint parse(const std::string& text) {
    mariadb_endpoint made;
    const auto scheme = text.find("://");
    const auto at = text.rfind('@');
    const auto slash = text.find('/', at);
    if (scheme == std::string::npos || at == std::string::npos || slash == std::string::npos) {
        throw std::runtime_error(
            "BEDS_MARIADB_URI is not mysql://user:password@host:port/database");
    }
    const auto account = text.substr(scheme + 3, at - scheme - 3);
    made.user = account.substr(0, account.find(':'));
    made.password = account.substr(account.find(':') + 1);
    const auto place = text.substr(at + 1, slash - at - 1);
    made.host = place.substr(0, place.find(':'));
    made.port =
        static_cast<unsigned>(std::strtoul(place.substr(place.find(':') + 1).c_str(), nullptr, 10));
    made.database = text.substr(slash + 1);
    return made;
}

} // namespace

struct bench_node::database {
    struct deleter {
        void operator()(MYSQL* one) const { mysql_close(one); }
    };
    std::unique_ptr<MYSQL, deleter> handle;
    mariadb_endpoint where;
    std::string name;

    void run(const std::string& sql) const {
        if (mysql_real_query(handle.get(), sql.data(), sql.size()) != 0) {
            throw std::runtime_error(std::string{"MariaDB: "} + mysql_error(handle.get()));
        }
        if (auto* rows = mysql_store_result(handle.get())) {
            mysql_free_result(rows);
        }
    }
};

bench_node::bench_node(options given) : database_(std::make_unique<database>()) {
    const char* uri_text = std::getenv("BEDS_MARIADB_URI");
    if (uri_text == nullptr) {
        throw std::runtime_error("BEDS_MARIADB_URI is not set; bench/run sets it");
    }
    auto& db = *database_;
    db.where = parse(uri_text);
    db.name =
        "beds_bench_" + std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
    db.handle.reset(mysql_init(nullptr));
    if (mysql_real_connect(db.handle.get(), db.where.host.c_str(), db.where.user.c_str(),
                           db.where.password.c_str(), nullptr, db.where.port, nullptr,
                           0) == nullptr) {
        throw std::runtime_error(std::string{"MariaDB: "} + mysql_error(db.handle.get()));
    }
    db.where.database = db.name;
    db.run("CREATE DATABASE " + db.name);
    db.run("USE " + db.name);
    db.run(
        "CREATE TABLE bench_users (id BIGINT PRIMARY KEY, email VARCHAR(64) CHARACTER SET utf8mb4 "
        "COLLATE utf8mb4_bin, status INT, balance BIGINT, created DATETIME, KEY (status)) "
        "ENGINE=InnoDB");
    db.run("INSERT INTO bench_users SELECT seq, CONCAT('u', seq, '@example.org'), 1, 100, "
           "'2026-01-31 12:00:00' FROM seq_1_to_" +
           std::to_string(bench_rows));
    db.run(
        "CREATE PROCEDURE bench_credit(IN p_id BIGINT, IN p_amount BIGINT, OUT p_balance BIGINT) "
        "BEGIN UPDATE bench_users SET balance = balance + p_amount WHERE id = p_id; "
        "SELECT balance INTO p_balance FROM bench_users WHERE id = p_id; END");
    for (const auto& statement : given.sql) {
        db.run(statement);
    }
    std::ifstream inbox{BEDS_BENCH_INBOX_SQL};
    std::stringstream sql;
    sql << inbox.rdbuf();
    db.run(sql.str());

    const auto rabbitmq = rabbitmq_from_environment();
    tag_ = db.name + "_";
    config::settings settings;
    settings.id.node = "bench";
    settings.templates.directory.clear();
    config::rel_service_settings rel;
    rel.host = db.where.host;
    rel.port = static_cast<std::uint16_t>(db.where.port);
    rel.user = db.where.user;
    rel.pass = core::secret{db.where.password};
    rel.database = db.name;
    rel.inbox_window = given.inbox_window;
    settings.rel_services["rel"] = rel;
    config::broker_service_settings service;
    service.host = rabbitmq.host;
    service.port = static_cast<std::uint16_t>(rabbitmq.port);
    service.vhost = rabbitmq.vhost;
    service.user = rabbitmq.user;
    service.pass = core::secret{rabbitmq.password};
    service.queue_tag = tag_.substr(0, 32);
    tag_ = service.queue_tag;
    service.max_batch = given.max_batch;
    service.instances["rel"] = {given.read_brokers, given.write_brokers, 0};
    settings.broker_services["app_server"] = service;
    node_ = std::make_unique<node::node>(
        settings, observe::log_sink{observe::level::warning, [](const observe::log_record& record) {
                                        std::fprintf(stderr, "%.*s: %.*s\n",
                                                     static_cast<int>(record.source.size()),
                                                     record.source.data(),
                                                     static_cast<int>(record.text.size()),
                                                     record.text.data());
                                    }});
    node_->register_engine(templates::engine::rel,
                           [](const std::string& name, const config::settings& from) {
                               return adapters::make_mariadb(name, from.rel_services.at(name));
                           });
    node_->add_template(users_template, "users.toml");
    for (const auto& text : given.templates) {
        node_->add_template(text, "bench.toml");
    }
    node_->start();
    if (!node_->wait_ready(core::deadline::after(std::chrono::seconds{60}))) {
        throw std::runtime_error("the node did not become ready");
    }
}

bench_node::~bench_node() {
    node_->stop(core::deadline::after(std::chrono::seconds{5}));
    node_.reset();
    try {
        database_->run("DROP DATABASE " + database_->name);
    } catch (const std::exception& failed) {
        std::fprintf(stderr, "%s\n", failed.what());
    }
}

std::string bench_node::exchange() const {
    return tag_ + "beds.events";
}

std::int64_t bench_node::query(const std::string& sql) const {
    auto* handle = database_->handle.get();
    if (mysql_real_query(handle, sql.data(), sql.size()) != 0) {
        throw std::runtime_error(std::string{"MariaDB: "} + mysql_error(handle));
    }
    auto* rows = mysql_store_result(handle);
    const auto* row = mysql_fetch_row(rows);
    const auto number = row != nullptr && row[0] != nullptr ? std::strtoll(row[0], nullptr, 10) : 0;
    mysql_free_result(rows);
    return number;
}

void bench_node::run(const std::string& sql) const {
    database_->run(sql);
}

const mariadb_endpoint& bench_node::mariadb() const {
    return database_->where;
}

void bench_node::print_batches() const {
    for (const auto& one : node_->status().brokers) {
        if (one.batches != 0) {
            std::fprintf(stderr,
                         "  %s: %.1f operations a batch, largest %u, %llu batches run again\n",
                         one.broker.c_str(),
                         static_cast<double>(one.operations) / static_cast<double>(one.batches),
                         one.largest_batch, static_cast<unsigned long long>(one.reruns));
        }
    }
}

std::int64_t overlapping_row(std::uint64_t operation) {
    return 1 +
           static_cast<std::int64_t>(scattered(operation) % static_cast<std::uint64_t>(bench_rows));
}

std::string check_increments(const bench_node& node, std::uint64_t acknowledged) {
    const auto applied = node.query("SELECT SUM(balance) - 100 * COUNT(*) FROM bench_users");
    const auto inbox = node.query("SELECT COUNT(*) FROM beds_inbox");
    std::printf("  acknowledged %llu, applied %lld, inbox rows %lld\n",
                static_cast<unsigned long long>(acknowledged), static_cast<long long>(applied),
                static_cast<long long>(inbox));
    const auto expected = static_cast<std::int64_t>(acknowledged);
    return applied == expected && inbox == expected ? "" : "effects and acknowledgements differ";
}

std::string expected_row(std::int64_t id) {
    const auto text = std::to_string(id);
    return R"("status":"ok","effect":"none","rows":[{"id":)" + text + R"(,"email":"u)" + text +
           R"(@example.org","status":1,"balance":100,"created":"2026-01-31T12:00:00Z"}])";
}

} // namespace beds::bench
