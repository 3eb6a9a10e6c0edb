#include "support/catch.hpp"
#include "support/random_batches.hpp"
#include "support/running_node.hpp"

#include <beds/adapters/mariadb.hpp>

using namespace beds;

namespace {

void make_tables(const test::database& data) {
    data.sql(R"(
CREATE TABLE things (id BIGINT PRIMARY KEY, owner VARCHAR(20), value BIGINT NOT NULL DEFAULT 0,
  small TINYINT, note VARCHAR(40), cost DECIMAL(12,2), seen DATETIME(6), KEY (owner), KEY (value),
  CHECK (value > -6)) ENGINE=InnoDB;
CREATE TABLE pairs (a INT, b VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin,
  value BIGINT NOT NULL DEFAULT 0, note VARCHAR(40), PRIMARY KEY (a, b), CHECK (value > -3)) ENGINE=InnoDB;
CREATE TABLE words (word VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY,
  value BIGINT NOT NULL DEFAULT 0, CHECK (value > -3)) ENGINE=InnoDB;
CREATE TABLE vault (id BIGINT PRIMARY KEY, value BIGINT NOT NULL DEFAULT 0, note VARCHAR(40)) ENGINE=InnoDB;
DELIMITER //
CREATE PROCEDURE sp_add(IN p_id BIGINT, IN p_by BIGINT, IN p_word VARCHAR(20), OUT now BIGINT,
  OUT said VARCHAR(40))
BEGIN
  UPDATE things SET value = value + p_by WHERE id = p_id; -- first, so that it must be undone
  SELECT value INTO now FROM things WHERE id = p_id;
  IF now IS NULL THEN SIGNAL SQLSTATE '45002'; END IF;
  IF now < 0 THEN SIGNAL SQLSTATE '45001'; END IF;
  SET said = CONCAT(p_word, '!');
  SELECT 'nobody asked for this' AS noise;
END//
CREATE PROCEDURE sp_look(IN p_owner VARCHAR(20)) READS SQL DATA
BEGIN
  SELECT COUNT(*) AS n FROM things WHERE owner = p_owner;
  IF p_owner = 'bad' THEN SIGNAL SQLSTATE '45003'; END IF;
  SELECT id, value FROM things WHERE owner = p_owner ORDER BY id;
END//
CREATE PROCEDURE sp_vault_insert(IN p_id BIGINT, IN p_value BIGINT, IN p_note VARCHAR(40))
BEGIN INSERT INTO vault VALUES (p_id, COALESCE(p_value, 0), p_note); END//
CREATE PROCEDURE sp_vault_update(IN p_id BIGINT, IN p_value BIGINT, IN p_note VARCHAR(40), IN p_set TEXT)
BEGIN
  UPDATE vault SET note = 'touched' WHERE id = p_id;
  IF p_value < 0 THEN SIGNAL SQLSTATE '45004'; END IF;
  UPDATE vault SET value = p_value WHERE id = p_id;
END//
CREATE PROCEDURE sp_vault_delete(IN p_id BIGINT) BEGIN DELETE FROM vault WHERE id = p_id; END//
DELIMITER ;
)");
}

} // namespace

TEST_CASE("on MariaDB, operations that run together answer as they do one at a time") {
    const auto where = test::require_mariadb();
    const auto control = test::shared_servers();
    test::database data{where, control};
    make_tables(data);
    const auto start = test::first_seed();
    for (std::uint64_t i = 0; i < 20; ++i) {
        const auto seed = start + i;
        INFO("seed " << seed);
        const auto different = test::compare_batch(
            seed,
            [&] {
                data.sql("DELETE FROM things; DELETE FROM pairs; DELETE FROM words; "
                         "DELETE FROM vault; DELETE FROM beds_inbox");
                return adapters::make_mariadb("rel", data.settings());
            },
            {.calls = true, .collated = true, .procedures = true});
        INFO(different.text);
        REQUIRE(different.text.empty());
    }
}
