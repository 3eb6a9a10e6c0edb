#pragma once

#include "amqp/rabbitmqc/headers.hpp"

#include <beds/amqp/settings.hpp>
#include <beds/core/deadline.hpp>
#include <beds/core/error.hpp>
#include <beds/core/supervisor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace beds::amqp::detail {

/// One rabbitmq-c connection: owns the handle, reads frames, keeps channel 0 to itself and turns
/// every failure into core::error. Knows what is still usable.
class link {
public:
    static constexpr amqp_channel_t data_channel = 1;
    static constexpr amqp_channel_t topology_channel = 2;

    link(const connection_settings& settings, core::deadline until);
    ~link();
    link(const link&) = delete;
    link& operator=(const link&) = delete;

    [[nodiscard]] amqp_connection_state_t handle() const { return handle_.get(); }
    [[nodiscard]] bool is_open() const { return open_; }
    [[nodiscard]] bool channel_open() const { return open_ && channel_open_; }
    [[nodiscard]] bool blocked() const { return blocked_; }
    [[nodiscard]] const std::string& blocked_reason() const { return blocked_reason_; }
    [[nodiscard]] int native_socket() const { return open_ ? watched_socket_ : -1; }
    [[nodiscard]] bool uses_tls() const { return tls_; }
    [[nodiscard]] std::chrono::seconds heartbeat() const { return heartbeat_; }
    [[nodiscard]] std::size_t frame_max() const { return frame_max_; }

    /// Opens the data channel.
    void open_channel(core::deadline until);

    /// Something was read from the socket that no call has taken yet.
    [[nodiscard]] bool buffered() const;

    /// Next frame that is not of channel 0; false when none came in time. A channel.close of the
    /// data channel is answered and thrown. With a zero wait the system is asked no more than once.
    bool read_frame(amqp_frame_t& frame, std::chrono::microseconds wait);
    /// Everything decoded so far on the data channel is no longer needed.
    void release_buffers();

    /// Runs `call`, which must be one synchronous rabbitmq-c method on `channel`, under the
    /// deadline.
    template <class Call>
    auto rpc(std::string_view what, amqp_channel_t channel, core::deadline until, Call&& call) {
        begin_rpc(what, until);
        const auto guard = arm(until);
        auto* result = call(handle());
        check_reply(what, channel, amqp_get_rpc_reply(handle()));
        return result;
    }

    /// rabbitmq-c has calls that wait without a limit until the socket takes their bytes. Past the
    /// deadline the supervisor shuts the socket down, until the guard's end.
    [[nodiscard]] core::supervisor::socket::guard arm(core::deadline until) const {
        return watch_->arm(until);
    }
    /// For what has no deadline of the caller's.
    [[nodiscard]] core::supervisor::socket::guard arm() const {
        return arm(core::deadline::after(write_timeout_));
    }

    /// Throws when `status` is an error of rabbitmq-c; the connection is broken then.
    void check(std::string_view what, int status);
    void require_open(std::string_view what) const;
    void require_channel(std::string_view what) const;

    /// Writes raw frames to the socket, bypassing rabbitmq-c. Not for TLS. All or broken.
    /// `while_blocked`: `publisher_options::while_blocked`.
    void write_raw(std::span<const char> bytes, core::deadline until,
                   const std::function<bool()>& while_blocked);

    void close(core::deadline until) noexcept;
    /// Marks the connection as unusable and shuts its socket down.
    void break_up() noexcept;

    /// Opens the topology channel, runs `work(handle)`, closes the channel again whatever happens.
    template <class Work>
    void on_topology_channel(core::deadline until, Work&& work) {
        rpc("channel.open", topology_channel, until,
            [](auto* state) { return amqp_channel_open(state, topology_channel); });
        topology_open_ = true;
        try {
            work();
        } catch (...) {
            close_topology_channel(until);
            throw;
        }
        close_topology_channel(until);
    }

private:
    struct closer {
        void operator()(amqp_connection_state_t_* state) const noexcept;
    };

    void begin_rpc(std::string_view what, core::deadline until);
    void check_reply(std::string_view what, amqp_channel_t channel, const amqp_rpc_reply_t& reply);
    void close_topology_channel(core::deadline until) noexcept;
    void on_connection_frame(const amqp_frame_t& frame);
    [[noreturn]] void on_channel_close(std::string_view what, amqp_channel_t channel,
                                       const amqp_channel_close_t& method);
    [[noreturn]] void on_connection_close(std::string_view what,
                                          const amqp_connection_close_t& method);
    [[noreturn]] void fail(std::string_view what, int status);
    [[noreturn]] void throw_not_taken(const std::string& at, int status) const;
    [[nodiscard]] bool readable_now();
    void login(const connection_settings& settings, std::chrono::milliseconds budget);
    void release_socket() noexcept;

    std::unique_ptr<amqp_connection_state_t_, closer> handle_;
    std::string where_; ///< host:port, for messages
    bool tls_ = false;
    bool open_ = false;
    bool channel_open_ = false;
    bool topology_open_ = false;
    bool blocked_ = false;
    std::string blocked_reason_;
    int watched_socket_ =
        -1; ///< our own duplicate, so that its number is not reused before we are gone
    std::shared_ptr<core::supervisor> supervisor_ = core::supervisor::shared();
    std::unique_ptr<core::supervisor::socket> watch_ = supervisor_->watch();
    std::chrono::milliseconds write_timeout_;
    std::chrono::seconds heartbeat_{0};
    std::size_t frame_max_ = 0;
    core::steady_time last_service_{};
    core::steady_time blocked_at_{}; ///< a write last met it
};

} // namespace beds::amqp::detail
