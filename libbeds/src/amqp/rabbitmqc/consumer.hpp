#pragma once

#include "amqp/rabbitmqc/link.hpp"
#include "amqp/rabbitmqc/message_reader.hpp"

#include <beds/amqp/connection.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace beds::amqp::detail {

/// What deliveries know of the channel that brought them. Outlives connection and channel.
struct consumer_channel {
    detail::link* link = nullptr;        ///< null when the channel is gone
    std::uint64_t resolved_up_to = 0;    ///< acknowledged as a batch
    std::vector<std::uint64_t> unwanted; ///< tags of deliveries that died unresolved

    /// The link, when this channel still is its open one.
    detail::link& require(const char* what) const;
};

class consumer {
public:
    explicit consumer(detail::link& link);
    ~consumer();

    std::uint32_t consume(const queue_name& queue, const consume_options& options,
                          core::deadline until);
    void cancel(std::uint32_t number, core::deadline until);
    std::size_t drain(std::vector<delivery>& into, std::size_t max, std::chrono::milliseconds wait);
    void ack_up_to(std::uint64_t tag);
    bool pump();
    void reopen_channel(core::deadline until);

    [[nodiscard]] bool has_ready() const { return first_ready_ < ready_.size(); }
    [[nodiscard]] bool has_notice() const { return !cancelled_.empty(); }
    std::vector<queue_name> take_cancelled();
    [[nodiscard]] const std::shared_ptr<consumer_channel>& channel() const { return channel_; }

private:
    struct source {
        queue_name queue;
        std::string tag;
        acknowledge mode;
        std::uint64_t max_body;
    };

    /// Reads up to `max` messages that are there or come within `wait` for the first. Stops early
    /// when something other than a message has come.
    void fill(std::size_t max, std::chrono::milliseconds wait);
    /// True when a message became ready.
    bool on_frame(const amqp_frame_t& frame);
    void on_deliver(const amqp_basic_deliver_t& method);
    void give_back_unwanted();
    [[nodiscard]] std::uint32_t number_of(std::string_view consumer_tag) const;

    detail::link& link_;
    std::shared_ptr<consumer_channel> channel_;
    std::vector<source> sources_;
    std::vector<queue_name> cancelled_;
    message_reader reader_;
    std::uint64_t incoming_tag_ = 0;
    std::uint32_t incoming_source_ = 0;
    bool incoming_redelivered_ = false;
    std::vector<message_ptr> ready_;
    std::size_t first_ready_ = 0;
    std::size_t ready_bytes_ = 0;

    friend class amqp::consumer_connection;
};

} // namespace beds::amqp::detail
