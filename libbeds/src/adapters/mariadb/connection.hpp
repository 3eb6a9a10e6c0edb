#pragma once

#include "adapters/mariadb/errors.hpp"
#include "adapters/mariadb/handles.hpp"
#include "adapters/mariadb/statement.hpp"
#include "adapters/mariadb/watchdog.hpp"

#include <beds/adapters/adapter.hpp>
#include <beds/config/settings.hpp>
#include <beds/core/supervisor.hpp>

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace beds::adapters::mariadb {

/// What the server of a connection is and how it is set.
struct server_facts {
    bool is_mariadb = true;
    unsigned long version = 0;     ///< 101119 for 10.11.19
    std::uint64_t session = 0;     ///< number of this connection there
    std::string server;            ///< differs from that of any other server
    bool insert_returning = false; ///< INSERT … RETURNING
    /// What may share a statement: what the settings allow and the server can do.
    config::coalesce_features may;
    std::uint64_t key_step = 1;           ///< between the AUTO_INCREMENT numbers of one statement
    bool rollback_on_timeout = false;     ///< a lock wait timeout ends the whole transaction
    std::chrono::seconds row_wait{50};    ///< how long its statements wait for rows of others
    std::chrono::seconds least_wait{0};   ///< the least that can be set
    std::uint64_t max_packet = 16U << 20; ///< the largest statement, values included
};

/// One connection, its prepared statements and what watches its deadlines. Never leaves its thread.
class connection {
public:
    /// `late` ends statements at the server; null: nobody does.
    connection(const config::rel_service_settings& settings, const session_context& context,
               watchdog* late = nullptr);
    ~connection();
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    /// Throws as `session::connect` says.
    void open(core::deadline until);
    void close();
    [[nodiscard]] bool usable() const { return handle_ != nullptr; }
    [[nodiscard]] const server_facts& facts() const { return facts_; }

    /// Blocking calls between `arm` and the guard's end are watched.
    class guard {
    public:
        void reset() {
            statements_.reset();
            socket_.reset();
        }

    private:
        friend class connection;
        std::optional<core::supervisor::socket::guard> socket_;
        std::optional<watchdog::place::guard> statements_;
    };
    /// By the supervisor: past the deadline it cuts the connection.
    void arm(core::deadline until, guard& watching);
    /// By the watchdog too: before that, statements are ended at the server.
    void arm_statements(core::deadline until, guard& watching);
    /// Was a statement shot at since this was asked last?
    [[nodiscard]] bool take_shot() { return late_ && late_->take_shot(); }

    /// Runs a statement without parameters and result: SAVEPOINT, COMMIT, SET.
    [[nodiscard]] bool command(std::string_view text);
    [[nodiscard]] bool ping();
    /// As the server's last answer said that was not an error.
    [[nodiscard]] bool autocommit() const;
    [[nodiscard]] bool in_transaction() const;
    /// The prepared statement of this text, prepared now if it is not yet; null: `error()` says
    /// why. Valid until the next call of this function.
    [[nodiscard]] statement* prepared(std::string_view text);
    /// Forgets one statement, so that it is prepared anew.
    void forget(std::string_view text);
    [[nodiscard]] std::size_t statement_count() const { return statements_.size(); }

    /// What the last call that failed on this connection said.
    [[nodiscard]] const server_error& error() const { return error_; }
    /// Takes over the error of a statement; a broken session is closed when it is safe to do so.
    void note(server_error happened) { error_ = std::move(happened); }

private:
    void configure(core::deadline until);
    void take_error();

    struct entry {
        std::string text;
        std::unique_ptr<statement> made;
    };
    using entries = std::list<entry>;

    const config::rel_service_settings& settings_;
    const session_context& context_;
    std::unique_ptr<core::supervisor::socket> socket_;
    std::unique_ptr<watchdog::place> late_;
    connection_handle handle_;
    server_facts facts_;
    server_error error_;
    entries statements_; ///< the one used last stands first
    std::unordered_map<std::string_view, entries::iterator> by_text_;
};

/// The most statements that one session keeps prepared at the server.
inline constexpr std::size_t most_statements = 256;

} // namespace beds::adapters::mariadb
