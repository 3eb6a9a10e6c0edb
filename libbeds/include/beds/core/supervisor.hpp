#pragma once

#include <beds/core/deadline.hpp>

#include <cstdint>
#include <memory>

namespace beds::core {

/// Puts a deadline on blocking calls that have none of their own: past it, it shuts the call's
/// socket down (`shutdown(2)`), so that the call returns with an error. One thread watches all its
/// sockets.
///
/// A blocking call is guarded so: `auto guard = supervised.arm(until); blocking_call();`. Arming
/// and disarming are two atomic stores; no lock is taken.
class supervisor {
public:
    /// Time past the deadline before the socket is shut down: kills at the server come first.
    static constexpr std::chrono::milliseconds grace{300};

    supervisor();
    ~supervisor();
    supervisor(const supervisor&) = delete;
    supervisor& operator=(const supervisor&) = delete;

    /// The supervisor of the whole process: made when somebody asks for it first, gone with the
    /// last who holds it. Any thread.
    [[nodiscard]] static std::shared_ptr<supervisor> shared();

    class socket;
    /// Registers a place for one socket. The result must not outlive the supervisor. Any thread.
    [[nodiscard]] std::unique_ptr<socket> watch();

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

class supervisor::socket {
public:
    ~socket();
    socket(const socket&) = delete;
    socket& operator=(const socket&) = delete;

    /// The descriptor of the moment; -1 when the connection is closed. Must be called before the
    /// descriptor is closed, so that another file with its number is never shut down. Waits out a
    /// shutdown that is under way.
    void attach(int descriptor);
    void detach();

    /// Guards may be nested: the earliest deadline counts until its guard is gone.
    class guard {
    public:
        explicit guard(socket& armed, deadline until);
        ~guard();
        guard(const guard&) = delete;
        guard& operator=(const guard&) = delete;

    private:
        socket& armed_;
        std::int64_t outer_;
    };
    [[nodiscard]] guard arm(deadline until) { return guard{*this, until}; }
    /// Was the socket shut down by the supervisor since `attach`?
    [[nodiscard]] bool fired() const;

private:
    friend class supervisor;
    struct state;
    explicit socket(std::shared_ptr<state> shared);
    std::shared_ptr<state> state_;
};

} // namespace beds::core
