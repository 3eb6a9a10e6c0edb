#include "amqp/rabbitmqc/consumer.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace beds::amqp {

namespace detail {

namespace {

/// Deliveries that `pump` reads ahead; the rest stays in the socket.
constexpr std::size_t read_ahead = 1024;
/// Bytes of bodies that are read at a time, however many messages that is.
constexpr std::size_t read_ahead_bytes = 32 * 1024 * 1024;
constexpr std::string_view tag_prefix = "beds.";

} // namespace

link& consumer_channel::require(const char* what) const {
    if (link == nullptr || !link->channel_open()) {
        throw core::error{
            core::errc::unreachable,
            std::string{what} + ": the channel of the delivery is gone; RabbitMQ delivers it again",
            {.origin = core::error_origin::rabbitmq,
             .handle = link != nullptr && link->is_open() ? core::handle_state::usable
                                                          : core::handle_state::broken}};
    }
    return *link;
}

consumer::consumer(detail::link& link)
    : link_(link), channel_(std::make_shared<consumer_channel>()) {
    channel_->link = &link_;
}

consumer::~consumer() {
    channel_->link = nullptr;
}

std::uint32_t consumer::consume(const queue_name& queue, const consume_options& options,
                                core::deadline until) {
    link_.require_channel("basic.consume");
    const auto number = static_cast<std::uint32_t>(sources_.size());
    const auto tag = std::string{tag_prefix} + std::to_string(number);
    const auto what = "consume '" + queue.str() + "'";
    // Not global: it counts for the consumers that follow, each for itself.
    link_.rpc(what, link::data_channel, until, [&](auto* state) {
        return amqp_basic_qos(state, link::data_channel, 0, options.prefetch, 0);
    });
    sources_.push_back({queue, tag, options.acknowledge, options.max_body});
    link_.rpc(what, link::data_channel, until, [&](auto* state) {
        return amqp_basic_consume(state, link::data_channel, to_bytes(queue.str()), to_bytes(tag),
                                  0, options.acknowledge == acknowledge::automatic ? 1 : 0,
                                  options.exclusive == exclusivity::exclusive ? 1 : 0,
                                  amqp_empty_table);
    });
    return number;
}

void consumer::cancel(std::uint32_t number, core::deadline until) {
    if (number >= sources_.size() || sources_[number].tag.empty()) {
        return;
    }
    link_.require_channel("basic.cancel");
    link_.rpc("basic.cancel", link::data_channel, until, [&](auto* state) {
        return amqp_basic_cancel(state, link::data_channel, to_bytes(sources_[number].tag));
    });
}

std::vector<queue_name> consumer::take_cancelled() {
    return std::exchange(cancelled_, {});
}

std::uint32_t consumer::number_of(std::string_view consumer_tag) const {
    std::uint32_t number = 0;
    const auto digits = consumer_tag.substr(std::min(tag_prefix.size(), consumer_tag.size()));
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (number >= sources_.size()) {
        throw core::error{
            core::errc::protocol,
            "RabbitMQ delivered to a consumer that does not exist",
            {.origin = core::error_origin::rabbitmq, .handle = core::handle_state::broken}};
    }
    return number;
}

void consumer::on_deliver(const amqp_basic_deliver_t& method) {
    incoming_source_ = number_of(to_view(method.consumer_tag));
    incoming_tag_ = method.delivery_tag;
    incoming_redelivered_ = method.redelivered != 0;
    const auto& from = sources_[incoming_source_];
    message_parts parts;
    parts.exchange = to_view(method.exchange);
    parts.routing_key = to_view(method.routing_key);
    parts.queue = from.queue.str();
    parts.max_body = from.max_body;
    reader_.begin(parts);
}

bool consumer::on_frame(const amqp_frame_t& frame) {
    if (frame.frame_type == AMQP_FRAME_METHOD) {
        switch (frame.payload.method.id) {
        case AMQP_BASIC_DELIVER_METHOD:
            // Its strings are read with the header frame, so its memory is kept until then.
            on_deliver(*static_cast<const amqp_basic_deliver_t*>(frame.payload.method.decoded));
            return false;
        case AMQP_BASIC_CANCEL_METHOD: {
            const auto number = number_of(
                to_view(static_cast<const amqp_basic_cancel_t*>(frame.payload.method.decoded)
                            ->consumer_tag));
            cancelled_.push_back(sources_[number].queue);
            break;
        }
        default:
            break;
        }
        if (!reader_.busy()) {
            link_.release_buffers();
        }
        return false;
    }
    const bool complete = reader_.take(frame);
    link_.release_buffers();
    if (complete) {
        auto message = reader_.finish();
        message->tag = incoming_tag_;
        message->consumer = incoming_source_;
        message->redelivered = incoming_redelivered_;
        ready_bytes_ += message->stored;
        message->resolved = sources_[incoming_source_].mode == acknowledge::automatic;
        ready_.push_back(std::move(message));
    }
    return complete;
}

void consumer::fill(std::size_t max, std::chrono::milliseconds wait) {
    link_.require_channel("read");
    give_back_unwanted();
    amqp_frame_t frame;
    const auto end = std::chrono::steady_clock::now() + wait;
    std::chrono::microseconds left = wait;
    while (ready_.size() - first_ready_ < max && ready_bytes_ < read_ahead_bytes) {
        if (!link_.read_frame(frame, left)) {
            return;
        }
        if (on_frame(frame) || has_ready()) {
            left = std::chrono::microseconds{0};
        } else if (has_notice()) {
            return;
        } else if (left > std::chrono::microseconds{0}) {
            left = std::max(std::chrono::microseconds{0},
                            std::chrono::duration_cast<std::chrono::microseconds>(
                                end - std::chrono::steady_clock::now()));
        }
    }
}

std::size_t consumer::drain(std::vector<delivery>& into, std::size_t max,
                            std::chrono::milliseconds wait) {
    fill(max, has_ready() ? std::chrono::milliseconds{0} : wait);
    const auto count = std::min(max, ready_.size() - first_ready_);
    for (std::size_t i = 0; i < count; ++i) {
        auto& message = ready_[first_ready_];
        ready_bytes_ -= message->stored;
        auto channel = message->resolved ? nullptr : channel_;
        into.push_back(delivery{std::move(message), std::move(channel)});
        ++first_ready_;
    }
    if (first_ready_ == ready_.size()) {
        ready_.clear();
        first_ready_ = 0;
    }
    return count;
}

bool consumer::pump() {
    fill(read_ahead, std::chrono::milliseconds{0});
    return has_ready();
}

void consumer::give_back_unwanted() {
    auto& unwanted = channel_->unwanted;
    if (unwanted.empty()) {
        return;
    }
    const auto guard = link_.arm();
    while (!unwanted.empty()) {
        const auto tag = unwanted.back();
        unwanted.pop_back();
        if (tag > channel_->resolved_up_to) {
            link_.check("basic.nack",
                        amqp_basic_nack(link_.handle(), link::data_channel, tag, 0, 1));
        }
    }
}

void consumer::ack_up_to(std::uint64_t tag) {
    channel_->require("basic.ack");
    // One that died unresolved must not be swept up with the batch.
    give_back_unwanted();
    const auto guard = link_.arm();
    link_.check("basic.ack", amqp_basic_ack(link_.handle(), link::data_channel, tag, 1));
    channel_->resolved_up_to = std::max(channel_->resolved_up_to, tag);
}

void consumer::reopen_channel(core::deadline until) {
    channel_->link = nullptr;
    channel_ = std::make_shared<consumer_channel>();
    channel_->link = &link_;
    reader_.reset();
    ready_.clear();
    first_ready_ = 0;
    ready_bytes_ = 0;
    sources_.clear();
    link_.open_channel(until);
}

} // namespace detail

delivery::delivery(detail::message_ptr message,
                   std::shared_ptr<detail::consumer_channel> channel) noexcept
    : message_(std::move(message)), channel_(std::move(channel)) {}

delivery& delivery::operator=(delivery&& other) noexcept {
    if (this != &other) {
        give_back();
        message_ = std::move(other.message_);
        channel_ = std::move(other.channel_);
    }
    return *this;
}

delivery::~delivery() {
    give_back();
}

void delivery::give_back() noexcept {
    if (message_ == nullptr || resolved() || channel_->link == nullptr) {
        return;
    }
    try {
        channel_->unwanted.push_back(message_->tag);
    } catch (...) {
        // Out of memory: RabbitMQ requeues it when the channel closes.
    }
}

bool delivery::resolved() const {
    return message_->resolved || message_->tag <= channel_->resolved_up_to;
}

void delivery::ack() {
    if (resolved()) {
        return;
    }
    auto& link = channel_->require("basic.ack");
    message_->resolved = true;
    const auto guard = link.arm();
    link.check("basic.ack",
               amqp_basic_ack(link.handle(), detail::link::data_channel, message_->tag, 0));
}

void delivery::requeue() {
    if (resolved()) {
        return;
    }
    auto& link = channel_->require("basic.nack");
    message_->resolved = true;
    const auto guard = link.arm();
    link.check("basic.nack",
               amqp_basic_nack(link.handle(), detail::link::data_channel, message_->tag, 0, 1));
}

void delivery::reject() {
    if (resolved()) {
        return;
    }
    auto& link = channel_->require("basic.reject");
    message_->resolved = true;
    const auto guard = link.arm();
    link.check("basic.reject",
               amqp_basic_reject(link.handle(), detail::link::data_channel, message_->tag, 0));
}

consumer_connection::consumer_connection(const connection_settings& settings, core::deadline until)
    : connection(std::make_unique<detail::link>(settings, until)) {
    link_->open_channel(until.earlier(core::deadline::after(settings.connect_timeout)));
    impl_ = std::make_unique<detail::consumer>(*link_);
}

consumer_connection::consumer_connection(consumer_connection&&) noexcept = default;

consumer_connection& consumer_connection::operator=(consumer_connection&& other) noexcept {
    if (this != &other) {
        // What refers to the link goes before the link.
        impl_.reset();
        connection::operator=(std::move(other));
        impl_ = std::move(other.impl_);
    }
    return *this;
}

consumer_connection::~consumer_connection() = default;

std::uint32_t consumer_connection::consume(const queue_name& queue, const consume_options& options,
                                           core::deadline until) {
    return impl_->consume(queue, options, until);
}
void consumer_connection::cancel(std::uint32_t consumer, core::deadline until) {
    impl_->cancel(consumer, until);
}
std::vector<queue_name> consumer_connection::take_cancelled() {
    return impl_->take_cancelled();
}
std::size_t consumer_connection::drain(std::vector<delivery>& into, std::size_t max,
                                       std::chrono::milliseconds wait) {
    return impl_->drain(into, max, wait);
}
void consumer_connection::ack_up_to(delivery& last) {
    if (last.resolved()) {
        return;
    }
    // Tags count per channel, so another channel's tag would acknowledge strangers.
    last.channel_->require("basic.ack");
    if (last.channel_ != impl_->channel()) {
        throw core::error{core::errc::internal,
                          "ack_up_to: the delivery is of another connection",
                          {.origin = core::error_origin::beds}};
    }
    impl_->ack_up_to(last.tag());
}
bool consumer_connection::pump() {
    return impl_->pump();
}
void consumer_connection::reopen_channel(core::deadline until) {
    impl_->reopen_channel(until);
}
bool consumer_connection::has_ready() const {
    return impl_->has_ready();
}
bool consumer_connection::has_notice() const {
    return impl_->has_notice();
}

} // namespace beds::amqp
