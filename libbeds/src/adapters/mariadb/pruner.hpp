#pragma once

#include <beds/config/settings.hpp>
#include <beds/observe/log.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

namespace beds::adapters::mariadb {

/// Deletes rows of the inbox that are older than the window: a few at a time, each few in a
/// transaction of their own, with a pause as long as the deletion took. One thread per adapter, and
/// a session of its own for as long as there is something to delete. Of all nodes at a database one
/// does it at a time (a user lock tells which).
class pruner {
public:
    explicit pruner(std::shared_ptr<const config::rel_service_settings> settings);
    ~pruner();
    pruner(const pruner&) = delete;
    pruner& operator=(const pruner&) = delete;

    /// Writes are done, so there is something to delete now and then. The first call starts the
    /// thread. Any thread.
    void wanted(const std::string& name, const observe::log_sink& log) {
        if (!started_.load(std::memory_order_relaxed)) {
            start(name, log);
        }
    }

private:
    void start(const std::string& name, const observe::log_sink& log);

    struct impl;
    std::shared_ptr<const config::rel_service_settings> settings_;
    std::mutex mutex_;
    std::atomic<bool> started_{false};
    std::unique_ptr<impl> impl_;
};

} // namespace beds::adapters::mariadb
