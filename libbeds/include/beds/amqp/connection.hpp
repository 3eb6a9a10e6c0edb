#pragma once

#include <beds/amqp/message.hpp>
#include <beds/amqp/names.hpp>
#include <beds/amqp/settings.hpp>
#include <beds/core/deadline.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beds::amqp {

struct topology;
struct binding;
enum class declare_mode;
class publisher_connection;
struct wait_result;

namespace detail {
class link;
class consumer;
class publisher;
} // namespace detail

/// What RabbitMQ knows of a queue.
struct queue_status {
    std::uint32_t messages = 0; ///< ready, not counting unacknowledged ones
    std::uint32_t consumers = 0;
};

/// One connection to RabbitMQ, open from construction on; what consumers and publishers have in
/// common.
///
/// Threads: confined to the thread that uses it; nothing here may be called by two threads at once.
/// The one exception is made by the operating system: `shutdown(2)` on `native_socket()` from
/// another thread ends a call that hangs. The thread needs a stack of at least 4 MiB (settings.hpp,
/// `frame_max`), as threads have by default where `ulimit -s` says 8 MiB.
///
/// Errors: `core::error` with origin `rabbitmq`. `handle() == broken` (and `is_open() == false`):
/// the connection is dead, destroy it and make another one. `handle() == usable`: RabbitMQ closed
/// the channel only (403 `refused`, 404 and 406 `topology_conflict`, the number is
/// `native_code()`); when `channel_open()` is false, `reopen_channel()` starts anew on the same
/// connection. A passed deadline is `deadline_exceeded`, with the connection broken, because the
/// answer would be taken for that of the next question.
///
/// Deadlines: every call ends by the deadline given to it, and what has none (acknowledgements,
/// heartbeats within reading calls) by `connection_settings::write_timeout`; where rabbitmq-c
/// itself would hang, `core::supervisor::shared()` shuts the socket down, up to 400 ms later. The
/// one exception is the look-up of a host name (settings.hpp, `connect_timeout`).
///
/// Heartbeats are sent and checked in every call that reads or waits, so at least one such call is
/// needed within each heartbeat interval, also while idle: `pump()` if nothing else.
class connection {
public:
    connection(connection&&) noexcept;
    connection& operator=(connection&&) noexcept;
    ~connection();

    [[nodiscard]] bool is_open() const;
    [[nodiscard]] bool channel_open() const;

    /// RabbitMQ ran out of memory or disk and does not read what this connection publishes. Writing
    /// more fills the socket and then blocks until the deadline. Known as of the last call that
    /// read.
    [[nodiscard]] bool blocked() const;
    /// RabbitMQ's reason while `blocked()`, else empty.
    [[nodiscard]] const std::string& blocked_reason() const;

    /// The socket, for `poll(2)` and for a supervisor's `shutdown(2)`; -1 when not open. Never
    /// read, write or close it. The number stays the connection's own until it is destroyed, even
    /// when it breaks before; so a supervisor is told before the connection is destroyed or
    /// assigned to.
    [[nodiscard]] int native_socket() const;
    /// Something was read that no call has looked at yet, so that `poll(2)` would wait in vain.
    [[nodiscard]] bool buffered() const;
    /// As agreed with RabbitMQ.
    [[nodiscard]] std::chrono::seconds heartbeat() const;

    /// Exchanges, queues and bindings, in that order, each created or (passive) looked at; then the
    /// stale bindings go. Stops at the first that fails: `topology_conflict` names the object, the
    /// argument that differs and both values, or the object that is missing. Consumers and
    /// publishes of this connection go on: it happens on a channel of its own.
    void declare(const topology& objects, declare_mode mode, core::deadline until);
    /// Takes one binding away; no error when there is none.
    void unbind(const binding& bound, core::deadline until);
    /// nullopt when there is no such queue.
    [[nodiscard]] std::optional<queue_status> inspect(const queue_name& queue,
                                                      core::deadline until);
    /// Deletes a queue with all its messages; no error when there is none.
    void remove(const queue_name& queue, core::deadline until);
    /// Deletes an exchange; no error when there is none.
    void remove(const exchange_name& exchange, core::deadline until);

    /// Says goodbye and closes. Does not throw; when RabbitMQ does not answer in time the socket is
    /// closed all the same. The destructor does it with 500 ms, and at once when blocked.
    void close(core::deadline until) noexcept;

protected:
    explicit connection(std::unique_ptr<detail::link> link);
    std::unique_ptr<detail::link> link_;
};

enum class acknowledge {
    manual,    ///< every delivery must be resolved
    automatic, ///< RabbitMQ forgets the message when it is sent; for replies
};

enum class exclusivity { shared, exclusive };

struct consume_options {
    /// Deliveries that may be unresolved at a time, for this consumer alone. 1 … 65,535; RabbitMQ
    /// ignores it with `acknowledge::automatic`.
    std::uint16_t prefetch = 256;
    amqp::acknowledge acknowledge = amqp::acknowledge::manual;
    exclusivity exclusive =
        exclusivity::shared; ///< `exclusive`: refused while there is another consumer
    /// Bodies above it are skipped and flagged `oversized()`. Default: RabbitMQ's own largest
    /// message.
    std::uint64_t max_body = 128 * 1024 * 1024;
};

/// A connection that receives. All its queues are consumed on one channel, so that one
/// acknowledgement can cover a batch from several queues.
class consumer_connection : public connection {
public:
    /// Connects, logs in, opens the channel. Throws `unreachable`, `refused` (credentials, vhost,
    /// certificate), `deadline_exceeded`, `invalid_configuration`.
    consumer_connection(const connection_settings& settings, core::deadline until);
    consumer_connection(consumer_connection&&) noexcept;
    consumer_connection& operator=(consumer_connection&&) noexcept;
    ~consumer_connection();

    /// Starts to consume a queue and returns the number of the consumer: 0, 1, 2, … Throws
    /// `topology_conflict` (404) when there is no such queue, `refused` (403) without the right to
    /// read it; the channel is closed then.
    std::uint32_t consume(const queue_name& queue, const consume_options& options,
                          core::deadline until);
    /// Stops one consumer. What was delivered before still comes out of `drain`.
    void cancel(std::uint32_t consumer, core::deadline until);

    /// Queues whose consumer RabbitMQ cancelled (deleted, lost its node) since the last call.
    [[nodiscard]] std::vector<queue_name> take_cancelled();

    /// Appends what has been delivered. Waits up to `wait` for the first, then takes all that is
    /// there without waiting, `max` at most, and no more once its bodies exceed 32 MiB. Returns how
    /// many; 0 also when something else happened (a cancelled consumer, blocked).
    std::size_t drain(std::vector<delivery>& into, std::size_t max, std::chrono::milliseconds wait);

    /// Acknowledges this delivery and every earlier unresolved one of the channel by a single
    /// frame. Throws as `delivery::ack`.
    void ack_up_to(delivery& last);

    /// Reads what is there without waiting (deliveries are kept for `drain`), does heartbeats,
    /// gives back what died unresolved. True when deliveries wait for `drain`.
    bool pump();

    /// A new channel after RabbitMQ closed the old one. All consumers are gone, and unresolved
    /// deliveries of the old channel will be delivered again. Everything starts with `consume()`.
    void reopen_channel(core::deadline until);

private:
    friend wait_result wait(consumer_connection*, publisher_connection*, int,
                            std::chrono::milliseconds);
    [[nodiscard]] bool has_ready() const;
    [[nodiscard]] bool has_notice() const;
    std::unique_ptr<detail::consumer> impl_;
};

enum class confirms {
    on,  ///< RabbitMQ answers for each message when it is safe
    off, ///< fire and forget; returns still come
};

enum class mandatory {
    no,
    yes, ///< a message that no queue takes comes back
};

/// A message that did not arrive.
struct undelivered {
    enum class cause : std::uint8_t {
        returned, ///< no queue took it
        nacked,   ///< a queue refused it: full, or it failed
    };
    cause why = cause::returned;
    std::uint64_t sequence = 0; ///< as `publish` returned it; 0: not known (confirms off)
    std::uint16_t code = 0;     ///< 312 no route, …
    std::string text{};         ///< RabbitMQ's words
    std::string routing_key{};  ///< returned ones only, like all below
    std::string correlation_id{};
    std::string message_id{};
};

struct publisher_options {
    amqp::confirms confirms = amqp::confirms::on;
    /// A message larger than the buffers of the sockets is half written when RabbitMQ, short of
    /// memory or disk, stops reading. Asked about five times a second then, by the thread that
    /// writes: true goes on waiting, also past the deadline, false fails at once. Without it the
    /// deadline holds. What it throws is thrown on, with the connection broken. Must not use this
    /// connection. Over TLS it is not asked, and the deadline holds.
    std::function<bool()> while_blocked{};
};

/// A connection that sends. Separate from the consuming one, because RabbitMQ stops reading from
/// connections that publish when it runs short of memory or disk, acknowledgements included.
class publisher_connection : public connection {
public:
    /// As consumer_connection.
    publisher_connection(const connection_settings& settings, core::deadline until,
                         const publisher_options& options = {});
    publisher_connection(publisher_connection&&) noexcept;
    publisher_connection& operator=(publisher_connection&&) noexcept;
    ~publisher_connection();

    /// Encodes one message behind the others of the burst and returns its sequence number: 1, 2, 3
    /// … The bytes go out with `flush()` or `wait_confirms()`, or when 128 KiB have gathered.
    /// Nothing is kept of the arguments and nothing is allocated once the buffer has its size. Over
    /// TLS each message is written at once.
    /// Throws `unsupported` when a property or name is longer than AMQP can carry (nothing was
    /// written), else as `flush`.
    std::uint64_t publish(std::string_view exchange, std::string_view key, const properties& with,
                          std::string_view body, amqp::mandatory mandatory, core::deadline until);

    /// Writes the burst. Returns when the system has taken the bytes, which says nothing of their
    /// arrival. When it throws, all messages that were not settled are in doubt.
    void flush(core::deadline until);

    /// Flushes, then waits until every message is settled: confirmed, nacked or returned. False
    /// when the deadline passed first; the connection is fine then, and the missing ones are still
    /// awaited. With confirms off it flushes and returns true.
    bool wait_confirms(core::deadline until);

    /// Every message with this or a lower sequence number is settled. With confirms off: the last
    /// that was published.
    [[nodiscard]] std::uint64_t settled_up_to() const;
    /// True when RabbitMQ has answered for this message, whatever the answer.
    [[nodiscard]] bool settled(std::uint64_t sequence) const;
    /// Messages that wait for RabbitMQ's answer.
    [[nodiscard]] std::uint64_t outstanding() const;
    /// What was settled badly since the last call, in the order in which it became known. A message
    /// is here before it counts as settled.
    [[nodiscard]] std::vector<undelivered> take_undelivered();

    /// Reads answers that are there without waiting and does heartbeats; does not flush. True when
    /// something was settled or returned.
    bool pump();

    /// A new channel after RabbitMQ closed the old one (publishing to an exchange that does not
    /// exist does that). What was outstanding is in doubt and forgotten; sequence numbers go on.
    void reopen_channel(core::deadline until);

private:
    std::unique_ptr<detail::publisher> impl_;
};

/// Why `wait` returned; several may be true, none: time is up.
struct wait_result {
    bool deliveries = false; ///< `drain` has something
    bool publisher = false;  ///< something was settled or returned, or blocked changed
    bool event = false;      ///< the event descriptor is readable
    bool notice = false;     ///< the consumer has cancelled queues to report
};

/// Waits for whatever comes first on the given connections and descriptor, each of which may be
/// absent (nullptr, -1), while heartbeats go on. Does not flush. Throws what `pump` of either
/// connection throws; `is_open()` and `channel_open()` tell which of them it was. `event` is polled
/// for reading and never read.
wait_result wait(consumer_connection* consumer, publisher_connection* publisher, int event,
                 std::chrono::milliseconds longest);

} // namespace beds::amqp
