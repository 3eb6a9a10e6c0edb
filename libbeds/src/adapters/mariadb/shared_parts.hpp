#pragma once

#include "adapters/mariadb/catalog.hpp"
#include "adapters/mariadb/pruner.hpp"
#include "adapters/mariadb/watchdog.hpp"

#include <beds/config/settings.hpp>

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
};

} // namespace beds::adapters::mariadb
