#pragma once

#include <beds/config/settings.hpp>
#include <beds/core/deadline.hpp>
#include <beds/observe/log.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace beds::adapters::mariadb {

/// Ends what a session still does past its deadline, at the server: KILL QUERY from a connection of
/// its own, again and again (one does not end a procedure), in the end KILL CONNECTION. One thread
/// and at most one connection per adapter; the connection is made when it is needed first and goes
/// when it was not needed for a while.
///
/// Whoever disarms waits out a KILL that is under way, so none reaches what comes afterwards, such
/// as a COMMIT. (One that found the session idle is remembered by the server: see
/// `place::take_shot`.)
class watchdog {
public:
    /// Between a deadline and the first KILL at the latest, and between two of them.
    static constexpr std::chrono::milliseconds period{50};
    /// From the deadline to KILL CONNECTION: before the supervisor cuts the connection here, which
    /// the server would not notice.
    static constexpr std::chrono::milliseconds last_resort{200};
    /// From one KILL CONNECTION to the next, until the session is gone from the server: also when
    /// nobody here has it any more.
    static constexpr std::chrono::milliseconds insists{2'000};

    explicit watchdog(std::shared_ptr<const config::rel_service_settings> settings);
    ~watchdog();
    watchdog(const watchdog&) = delete;
    watchdog& operator=(const watchdog&) = delete;

    class place;
    /// Room for one session. Must not outlive the watchdog. Any thread.
    [[nodiscard]] std::unique_ptr<place> watch(std::string name, observe::log_sink log);

    /// Could it not kill lately? Then the server's own time limits must do.
    [[nodiscard]] bool blind() const { return blind_->load(std::memory_order_relaxed); }

private:
    struct impl;
    std::shared_ptr<const std::atomic<bool>> blind_;
    std::unique_ptr<impl> impl_;
};

class watchdog::place {
public:
    ~place();
    place(const place&) = delete;
    place& operator=(const place&) = delete;

    /// The session's number at the server, and a text that only this server has.
    void attach(std::uint64_t session, std::string server);
    /// Nothing is killed from here on. Waits out a KILL that is under way.
    void detach();

    /// Was the session shot at since this was asked last? Then the server may still hold a KILL
    /// QUERY for its next statement.
    [[nodiscard]] bool take_shot();

    class guard {
    public:
        guard(place& armed, core::deadline until);
        ~guard();
        guard(const guard&) = delete;
        guard& operator=(const guard&) = delete;

    private:
        place& armed_;
        std::int64_t outer_;
    };

private:
    friend class watchdog;
    struct state;
    explicit place(std::shared_ptr<state> shared);
    std::shared_ptr<state> state_;
};

} // namespace beds::adapters::mariadb
