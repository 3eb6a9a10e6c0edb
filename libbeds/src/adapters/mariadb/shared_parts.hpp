#pragma once

#include "adapters/mariadb/catalog.hpp"
#include "adapters/mariadb/pruner.hpp"
#include "adapters/mariadb/watchdog.hpp"

#include <beds/config/settings.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace beds::adapters::mariadb {

/// What the sessions of one adapter share. Thread-safe.
struct shared_parts {
    explicit shared_parts(config::rel_service_settings given)
        : settings(std::make_shared<const config::rel_service_settings>(std::move(given))),
          late(settings), old(settings) {}

    std::shared_ptr<const config::rel_service_settings> settings;
    catalog known;
    watchdog late;
    pruner old;
    std::atomic<bool> tables_made{false};  ///< with `create_tables`: they are there
    std::atomic<std::uint64_t> misfits{0}; ///< statements that a changed schema refused
};

} // namespace beds::adapters::mariadb
