#pragma once

#include "daemon/service.hpp"

#include <string>
#include <utility>
#include <vector>

/// A database with tables, and bedsctl with a configuration that names it.
namespace daemon_test {

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
    fee DECIMAL(10,2) ZEROFILL DEFAULT 12.5, free DECIMAL(6,2) ZEROFILL DEFAULT 0, beds INT ZEROFILL DEFAULT 7, stars DOUBLE ZEROFILL DEFAULT 3.5,
    opened DATE DEFAULT (CURRENT_DATE), photo MEDIUMBLOB,
    PRIMARY KEY (land, Town)) COMMENT 'where we are';
CREATE TABLE ms_loose (name TEXT);
CREATE VIEW ms_towns AS SELECT Town FROM ms_places;
)";

struct shop : installation {
    shop()
        : installation(
              {.sql = shop_schema, .character_set = "utf8mb4", .id = "[id]\nwbid = \"ms\"\n"}) {}

    [[nodiscard]] answer scaffold(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {"scaffold", "--config", config});
        return ask(std::move(arguments));
    }
};

} // namespace daemon_test
