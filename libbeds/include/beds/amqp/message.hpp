#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace beds::amqp {

class consumer_connection;

namespace detail {
class consumer;
struct consumer_channel;
struct message_block;
struct message_block_deleter {
    void operator()(message_block* block) const noexcept;
};
using message_ptr = std::unique_ptr<message_block, message_block_deleter>;
} // namespace detail

/// One header of a message, sent or received. A view.
struct header {
    enum class kind : std::uint8_t {
        text,    ///< `text`
        integer, ///< `integer`: any integer type that fits, booleans as 0 and 1, timestamps in
                 ///< seconds
        other,   ///< there, but of a type BEDS has no use for (nested tables, arrays, floats, …)
    };

    std::string_view name{};
    kind type = kind::other;
    std::string_view text{};
    std::int64_t integer = 0;

    static header of(std::string_view name, std::string_view text) {
        return {name, kind::text, text, 0};
    }
    static header of(std::string_view name, std::int64_t integer) {
        return {name, kind::integer, {}, integer};
    }
};

enum class delivery_mode : std::uint8_t {
    transient = 1,
    persistent = 2, ///< survives a restart of RabbitMQ when the queue is durable
};

/// Properties of a message, to be published or as received. All views; an empty view is a property
/// that is not sent or was not there. No string but header texts may be longer than 255 bytes.
struct properties {
    std::string_view message_id{};
    std::string_view correlation_id{};
    std::string_view reply_to{};
    std::string_view type{};
    std::string_view content_type{};
    std::string_view content_encoding{};
    std::string_view user_id{}; ///< RabbitMQ refuses a message whose user is not the connection's
    std::string_view app_id{};
    std::string_view expiration{}; ///< milliseconds, as text
    std::optional<amqp::delivery_mode> mode{};
    std::optional<std::uint8_t> priority{};
    std::optional<std::uint64_t> timestamp{}; ///< seconds since the epoch
    std::span<const header> headers{};

    /// nullptr when there is none; the first when a name stands twice.
    [[nodiscard]] const header* find(std::string_view name) const;
    /// nullopt when absent or not a text.
    [[nodiscard]] std::optional<std::string_view> text(std::string_view name) const;
    /// nullopt when absent or not an integer; a text of decimal digits counts as one.
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
};

/// Headers beyond this number are not kept. More than a request may have (protocol.md): nodes and
/// RabbitMQ add some to what they send again.
inline constexpr std::size_t max_headers = 80;

/// One message that RabbitMQ delivered, and the duty to resolve it: `ack`, `requeue` or `reject`,
/// or `consumer_connection::ack_up_to` for a whole batch. A delivery that dies unresolved is
/// requeued: by its connection's next call, or by RabbitMQ when the channel or connection ends
/// first.
///
/// The views live as long as the delivery. It may outlive its connection. Reading is allowed on any
/// thread; resolving and destroying belong to the connection's thread (for deliveries of a consumer
/// with `acknowledge::automatic`, which are resolved from the start: to any thread).
class delivery {
public:
    /// Holds nothing; only assignment and destruction are allowed.
    delivery() noexcept = default;
    delivery(delivery&&) noexcept = default;
    delivery& operator=(delivery&& other) noexcept;
    ~delivery();

    [[nodiscard]] std::string_view body() const;
    /// Bytes of the body as published. When it is more than the consumer's `max_body`, `body()` is
    /// empty and `oversized()` true: such a body is skipped while it is read and takes no memory.
    [[nodiscard]] std::uint64_t body_size() const;
    [[nodiscard]] bool oversized() const;
    [[nodiscard]] const amqp::properties& properties() const;
    /// True when the headers did not fit into `max_headers`.
    [[nodiscard]] bool headers_truncated() const;

    /// False guarantees that nobody got this message before.
    [[nodiscard]] bool redelivered() const;
    [[nodiscard]] std::string_view exchange() const;
    [[nodiscard]] std::string_view routing_key() const;
    /// The queue it was consumed from.
    [[nodiscard]] std::string_view queue() const;
    /// Which consumer of its connection got it: what `consume()` returned.
    [[nodiscard]] std::uint32_t consumer() const;
    /// RabbitMQ's number of the delivery on its channel, ascending.
    [[nodiscard]] std::uint64_t tag() const;

    [[nodiscard]] bool resolved() const;

    /// The message is done with. Throws `unreachable` when its channel is gone; RabbitMQ then
    /// delivers it again; `deadline_exceeded` when RabbitMQ did not take it within
    /// `connection_settings::write_timeout`. One frame is sent; a batch is cheaper by `ack_up_to`.
    void ack();
    /// Back into its queue; on a quorum queue this counts towards the delivery limit.
    void requeue();
    /// Never again: to the queue's dead-letter exchange, or gone when it has none.
    void reject();

private:
    friend class consumer_connection;
    friend class detail::consumer;
    delivery(detail::message_ptr message,
             std::shared_ptr<detail::consumer_channel> channel) noexcept;
    void give_back() noexcept;

    detail::message_ptr message_;
    std::shared_ptr<detail::consumer_channel> channel_; ///< null when resolved from the start
};

} // namespace beds::amqp
