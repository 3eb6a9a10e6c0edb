#pragma once

#include "common/driver.hpp"

#include <beds/node/node.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace beds::bench {

inline constexpr std::int64_t bench_rows = 10'000;

/// The table of the benches in a database of its own (`bench_users`, 10,000 rows, and BEDS's
/// inbox), and a node over it, on queues under a tag of its own. From AMQP_URL and
/// BEDS_MARIADB_URI.
class bench_node {
public:
    struct options {
        unsigned read_brokers = 1;
        unsigned write_brokers = 1;
    };
    explicit bench_node(options given);
    ~bench_node();
    bench_node(const bench_node&) = delete;
    bench_node& operator=(const bench_node&) = delete;

    [[nodiscard]] std::string exchange() const;
    /// One number from the database, by SQL.
    [[nodiscard]] std::int64_t query(const std::string& sql) const;
    /// How large the brokers' batches were: what load did to them.
    void print_batches() const;
    [[nodiscard]] const node::node& node() const { return *node_; }

private:
    struct database;
    std::unique_ptr<database> database_;
    std::string tag_;
    std::unique_ptr<node::node> node_;
};

/// The reply of BEDS to a fetch of this row, without the part before `"status"`.
std::string expected_row(std::int64_t id);

} // namespace beds::bench
