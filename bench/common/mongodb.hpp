#pragma once

#include "common/driver.hpp"

#include <beds/node/node.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace beds::bench {

inline constexpr std::int64_t mongodb_rows = 1'000;

/// A collection of 1,000 users in a database of its own and a node over it, on queues under a tag
/// of its own; and the same work by the bare driver. From AMQP_URL and BEDS_MONGODB_URI; without
/// the latter the program ends with 77, a skip.
class mongodb_node {
public:
    mongodb_node(unsigned read_brokers, unsigned write_brokers);
    ~mongodb_node();
    mongodb_node(const mongodb_node&) = delete;
    mongodb_node& operator=(const mongodb_node&) = delete;

    [[nodiscard]] std::string exchange() const;
    /// What the increments of all callers came to.
    [[nodiscard]] std::int64_t increments() const;
    [[nodiscard]] std::string server() const; ///< its version, as it says
    void print_batches() const;

    /// Fetches, `batch` at a time by one `find` with `$in`, cells from the driver's documents into
    /// the bytes of replies, which are verified.
    [[nodiscard]] measurement fetches_by_hand(unsigned sessions, std::uint64_t operations,
                                              std::size_t batch) const;
    /// Increments, `batch` at a time by one bulk operation, with BEDS's write concern and its
    /// evidence: intents before, rings in the documents, replies after.
    [[nodiscard]] measurement updates_by_hand(unsigned sessions, std::uint64_t operations,
                                              std::size_t batch) const;

private:
    struct database;
    std::unique_ptr<database> database_;
    std::string tag_;
    std::unique_ptr<node::node> node_;
};

/// The result of BEDS for a fetch of this row, as in the replies for MariaDB's table.
std::string expected_document(std::int64_t id);

} // namespace beds::bench
