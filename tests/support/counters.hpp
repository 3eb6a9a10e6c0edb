#pragma once

#include "support/running_node.hpp"

#include <string>

namespace beds::test {

/// Rows whose changes can be counted: `counters` (id, value, note), `marks` (one row per insert),
/// and a procedure that moves an amount between two counters, locking them in the order it is told.
inline constexpr std::string_view counters_template = R"toml(
[template]
name  = "counters"
store = "rel"
object = "counters"
key   = ["id"]
[fields]
id    = { type = "int64", required = true }
value = { type = "int64", default = 0, nullable = false }
note  = { type = "string", max = 40 }
[[index]]
fields = ["value"]
[calls.move]
procedure = "move"
class = "write"
args = [["from", "int64"], ["to", "int64"], ["amount", "int64"]]
out = [["left", "int64"]]
[calls.slow]
procedure = "slow"
class = "write"
args = [["id", "int64"], ["seconds", "double"]]
)toml";

inline constexpr std::string_view marks_template = R"toml(
[template]
name  = "marks"
store = "rel"
object = "marks"
key   = ["id"]
[fields]
id    = { type = "string", max = 80, required = true }
value = { type = "int64" }
)toml";

inline std::vector<std::string> counter_templates() {
    return {std::string{counters_template}, std::string{marks_template}};
}

inline void make_counters(const database& data, int rows) {
    data.sql("CREATE TABLE counters (id BIGINT PRIMARY KEY, value BIGINT NOT NULL DEFAULT 0, "
             "note VARCHAR(40), KEY (value)) ENGINE=InnoDB;"
             "CREATE TABLE marks (id VARCHAR(80) PRIMARY KEY, value BIGINT) ENGINE=InnoDB;"
             "INSERT INTO counters SELECT seq, 0, NULL FROM seq_1_to_" +
             std::to_string(rows) +
             ";\nDELIMITER //\n"
             "CREATE PROCEDURE move(IN p_from BIGINT, IN p_to BIGINT, IN p_amount BIGINT, "
             "OUT p_left BIGINT) MODIFIES SQL DATA\nBEGIN\n"
             "UPDATE counters SET value = value - p_amount WHERE id = p_from;\n"
             "UPDATE counters SET value = value + p_amount WHERE id = p_to;\n"
             "SELECT value INTO p_left FROM counters WHERE id = p_from;\nEND //\n"
             "CREATE PROCEDURE slow(IN p_id BIGINT, IN p_seconds DOUBLE) MODIFIES SQL DATA\nBEGIN\n"
             "UPDATE counters SET value = value + 1 WHERE id = p_id;\n"
             "DO SLEEP(p_seconds);\nEND //\nDELIMITER ;\n");
}

inline client::operation raise(std::int64_t id, std::int64_t by = 1) {
    auto made = client::update("counters", id, {});
    made.inc = client::value::object({{"value", by}});
    return made;
}

} // namespace beds::test
