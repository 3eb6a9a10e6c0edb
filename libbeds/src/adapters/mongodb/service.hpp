#pragma once

#include "adapters/mongodb/library.hpp"
#include "adapters/mongodb/mongoc_include.hpp"

#include <beds/adapters/mongodb.hpp>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace beds::adapters::mongodb {

/// What all sessions of one connection share: where the servers are and how to talk to them. Does
/// not change once it is made, except that the driver wants its options writable.
class service {
public:
    /// Throws as `make_mongodb` says.
    service(std::string connection, const config::rec_service_settings& settings, driver_init init);
    ~service();
    service(const service&) = delete;
    service& operator=(const service&) = delete;

    [[nodiscard]] const std::string& connection() const { return connection_; }
    [[nodiscard]] const std::string& database() const { return database_; }
    [[nodiscard]] std::chrono::milliseconds connect_timeout() const { return connect_timeout_; }
    /// A copy for one session, with its name for the server's list of operations.
    [[nodiscard]] uri_handle uri(const std::string& session_name) const;
    [[nodiscard]] const mongoc_uri_t* uri() const { return uri_.get(); }
    [[nodiscard]] bool tls() const { return tls_; }
    /// The texts live in this object.
    [[nodiscard]] mongoc_ssl_opt_t tls_options() const;
    /// Members for every writing and reading command: the concerns of the connection string.
    [[nodiscard]] std::span<const std::uint8_t> write_members() const { return write_members_; }
    [[nodiscard]] std::span<const std::uint8_t> read_members() const { return read_members_; }

    /// Is `beds_inbox` kept?
    [[nodiscard]] bool inbox() const { return inbox_; }
    /// Which operations of one shape may share a command.
    [[nodiscard]] const config::coalesce_features& may() const { return may_; }

    /// True the first time: what every session finds is said once.
    [[nodiscard]] bool is_news(const std::string& what) const;

private:
    library_use library_;
    std::string connection_;
    std::string database_;
    std::chrono::milliseconds connect_timeout_;
    bool inbox_;
    config::coalesce_features may_;
    uri_handle uri_;
    bool tls_ = false;
    bool verify_ = true;
    std::string ca_file_;
    std::string own_file_; ///< certificate and key in one file
    std::string own_password_;
    int own_memory_file_ = -1;
    std::vector<std::uint8_t> write_members_; ///< documents
    std::vector<std::uint8_t> read_members_;
    mutable std::mutex said_mutex_;
    mutable std::set<std::string> said_;
};

} // namespace beds::adapters::mongodb
