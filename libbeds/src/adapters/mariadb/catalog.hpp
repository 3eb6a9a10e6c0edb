#pragma once

#include "adapters/mariadb/connection.hpp"
#include "adapters/mariadb/shape.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace beds::adapters::mariadb {

/// What the sessions of one adapter learned about the live schema, so that each thing is asked
/// once. Thread-safe. Entries are immutable; sessions keep them and look here again when
/// `generation` moved.
class catalog {
public:
    [[nodiscard]] std::shared_ptr<const template_shape>
    find(const templates::template_def& target) const;
    void put(std::shared_ptr<const template_shape> learned);

    [[nodiscard]] std::shared_ptr<const procedure_shape>
    find_procedure(std::string_view name) const;
    void put_procedure(std::string_view name, std::shared_ptr<const procedure_shape> learned);

    [[nodiscard]] std::uint64_t generation() const {
        return generation_.load(std::memory_order_acquire);
    }
    /// Sessions shall look again.
    void changed() { generation_.fetch_add(1, std::memory_order_acq_rel); }

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<const template_shape>, std::less<>> templates_;
    std::map<std::string, std::shared_ptr<const procedure_shape>, std::less<>> procedures_;
    std::atomic<std::uint64_t> generation_{0};
};

/// Ask the server. Nothing: the connection's `error()` says why; what the account may not see is
/// merely unknown.
std::optional<template_shape> load_template(connection& from,
                                            const templates::template_def& target);
/// `name` as in `templates::call::routine`.
std::optional<procedure_shape> load_procedure(connection& from, std::string_view name);
/// As `table_shape::unsafe` of this table or view.
std::optional<std::string> load_unsafe(connection& from, std::string_view object);

} // namespace beds::adapters::mariadb
