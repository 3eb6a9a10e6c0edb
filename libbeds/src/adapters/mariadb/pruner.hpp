#pragma once

#include <beds/config/settings.hpp>
#include <beds/observe/log.hpp>
#include <beds/templates/template_def.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace beds::adapters::mariadb {

/// Rows of a table that go when a datetime of theirs lies so far behind: what `expire_after` says.
struct expiry {
    std::string template_name;
    std::string object;
    std::string column;
    std::chrono::seconds after{0};

    friend bool operator==(const expiry&, const expiry&) = default;
};

/// What these templates let go, in their order.
std::vector<expiry> expiries_of(std::span<const templates::template_def* const> targets);

/// Deletes what is old: rows of the inbox behind its window, and rows of tables behind the
/// `expire_after` of their templates. A few at a time, each few in a transaction of their own, with
/// a pause as long as the deletion took. One thread per adapter, and a session of its own for as
/// long as there is something to delete. Of all nodes at a database one does it at a time for each
/// table (user locks tell which).
class pruner {
public:
    explicit pruner(std::shared_ptr<const config::rel_service_settings> settings);
    ~pruner();
    pruner(const pruner&) = delete;
    pruner& operator=(const pruner&) = delete;

    /// Writes are done, so the inbox has something to delete now and then. The first call starts
    /// the thread. Any thread.
    void wanted(const std::string& name, const observe::log_sink& log) {
        if (!inbox_wanted_.load(std::memory_order_relaxed)) {
            want_inbox(name, log);
        }
    }

    /// From now on these rows go, and no others of tables. Any thread.
    void expire(std::vector<expiry> rows, const std::string& name, const observe::log_sink& log);

private:
    struct impl;

    void want_inbox(const std::string& name, const observe::log_sink& log);
    impl& started(const std::string& name, const observe::log_sink& log);

    std::shared_ptr<const config::rel_service_settings> settings_;
    std::mutex mutex_;
    std::atomic<bool> inbox_wanted_{false};
    std::unique_ptr<impl> impl_;
};

} // namespace beds::adapters::mariadb
