#pragma once

#include "daemon/bedsd/process.hpp"
#include "support/queues.hpp"
#include "support/servers.hpp"

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

/// A database with tables, and bedsctl with a configuration that names it.
namespace daemon_test {

inline constexpr std::chrono::seconds soon{20};

inline constexpr const char* shop_schema = R"(
CREATE TABLE ms_orders (
    id_ord       BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_ord UUID NOT NULL,
    state_ord    ENUM('new','it''s paid') NOT NULL DEFAULT 'new',
    total_ord    DECIMAL(18,2) NOT NULL DEFAULT 0.00 COMMENT 'with tax',
    note_ord     VARCHAR(200) COLLATE utf8mb4_general_ci DEFAULT NULL,
    papers_ord   JSON,
    open_ord     BOOLEAN NOT NULL DEFAULT 1,
    created_ord  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    changed_ord  TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    gross_ord    DECIMAL(18,2) AS (total_ord * 1.2) PERSISTENT,
    KEY by_customer (customer_ord, created_ord),
    UNIQUE KEY by_note (note_ord),
    KEY beginnings (note_ord(10)));
CREATE TABLE ms_places (
    land CHAR(2) COLLATE utf8mb4_bin NOT NULL, Town VARCHAR(40) COLLATE utf8mb4_bin NOT NULL,
    spot POINT, bits BIT(8), `how far` INT, big BIGINT UNSIGNED DEFAULT 18446744073709551615, ratio DOUBLE DEFAULT 0.5, people INT DEFAULT 0,
    opened DATE DEFAULT (CURRENT_DATE), photo MEDIUMBLOB,
    PRIMARY KEY (land, Town)) COMMENT 'where we are';
CREATE TABLE ms_loose (name TEXT);
CREATE VIEW ms_towns AS SELECT Town FROM ms_places;
)";

class shop {
public:
    shop()
        : amqp(beds::test::require_amqp()), mariadb(beds::test::require_mariadb()),
          control(beds::test::shared_servers()) {
        beds::test::remove_queues_after_the_test(amqp, tag);
        control.mariadb_root("CREATE DATABASE " + database + " CHARACTER SET utf8mb4");
        std::ifstream inbox{BEDS_INBOX_SQL};
        sql(std::string{std::istreambuf_iterator<char>{inbox}, {}});
        sql(shop_schema);
        files.write("pass", mariadb.password);
        files.write("templates/.keep", "");
        config =
            files
                .write("beds.toml",
                       "[id]\nwbid = \"ms\"\n[broker_services.app_server]\nhost = " +
                           in_quotes(amqp.host) + "\nport = " + std::to_string(amqp.port) +
                           "\nvhost = " + in_quotes(amqp.path) +
                           "\nuser = " + in_quotes(amqp.user) +
                           "\npass_env = \"TEST_AMQP_PASS\"\n"
                           "queue_tag = " +
                           in_quotes(tag) +
                           "\ninstances.rel = { read = 1, write = 1 }\n"
                           "[rel_services.rel]\nhost = " +
                           in_quotes(mariadb.host) + "\nport = " + std::to_string(mariadb.port) +
                           "\nuser = " + in_quotes(mariadb.user) +
                           "\npass_file = \"pass\"\ndatabase = " + in_quotes(database) + "\n")
                .string();
    }
    ~shop() {
        try {
            control.mariadb_root("DROP DATABASE " + database);
        } catch (const std::exception&) {
            // The server is gone: nothing to clean.
        }
    }
    shop(const shop&) = delete;
    shop& operator=(const shop&) = delete;

    [[nodiscard]] answer ask(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), BEDSCTL_PROGRAM);
        return run_program(
            std::move(arguments),
            {"AMQP_URL=" + amqp.uri, "BEDS_QUEUE_TAG=" + tag, "TEST_AMQP_PASS=" + amqp.password},
            soon);
    }
    [[nodiscard]] answer scaffold(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {"scaffold", "--config", config});
        return ask(std::move(arguments));
    }
    void sql(const std::string& text) const {
        control.mariadb_root("USE " + database + ";\n" + text);
    }

    beds::test::endpoint amqp;
    beds::test::endpoint mariadb;
    beds::test::server_control control;
    std::string database = beds::test::unique_name();
    std::string tag = beds::test::unique_name("t") + "_";
    folder files;
    std::string config;
};

} // namespace daemon_test
