#pragma once

#include "common/driver.hpp"

#include <beds/node/node.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace beds::bench {

inline constexpr std::int64_t bench_rows = 10'000;

struct mariadb_endpoint {
    std::string host, user, password, database;
    unsigned port = 3306;
};

/// The table of the benches in a database of its own (`bench_users`, 10,000 rows, and BEDS's
/// inbox), and a node over it, on queues under a tag of its own. From AMQP_URL and
/// BEDS_MARIADB_URI.
class bench_node {
public:
    struct options {
        unsigned read_brokers = 1;
        unsigned write_brokers = 1;
        std::vector<std::string> sql = {};       ///< further tables of this bench
        std::vector<std::string> templates = {}; ///< and their templates
        std::chrono::seconds inbox_window = std::chrono::hours{24};
        std::uint32_t max_batch = 256;
    };
    explicit bench_node(options given);
    ~bench_node();
    bench_node(const bench_node&) = delete;
    bench_node& operator=(const bench_node&) = delete;

    [[nodiscard]] std::string exchange() const;
    [[nodiscard]] const std::string& tag() const { return tag_; }
    /// One number from the database, by SQL.
    [[nodiscard]] std::int64_t query(const std::string& sql) const;
    void run(const std::string& sql) const;
    /// For floors with sessions of their own to the same database.
    [[nodiscard]] const mariadb_endpoint& mariadb() const;
    /// How large the brokers' batches were: what load did to them.
    void print_batches() const;
    [[nodiscard]] const node::node& node() const { return *node_; }

private:
    struct database;
    std::unique_ptr<database> database_;
    std::string tag_;
    std::unique_ptr<node::node> node_;
};

/// The same row for the same operation in every run, in no order: the rows of operations that are
/// under way together overlap, and so do those of several brokers.
std::int64_t overlapping_row(std::uint64_t operation);

/// What happened to the data of `bench_users`, compared with what callers were told: every
/// acknowledged increment of `balance` is there once and has its row in the inbox. Empty: so it is.
std::string check_increments(const bench_node& node, std::uint64_t acknowledged);

/// The reply of BEDS to a fetch of this row, without the part before `"status"`.
std::string expected_row(std::int64_t id);

} // namespace beds::bench
