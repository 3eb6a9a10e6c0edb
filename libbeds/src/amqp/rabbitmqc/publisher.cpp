#include "amqp/rabbitmqc/publisher.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace beds::amqp {

namespace detail {

namespace {

constexpr std::size_t flush_at = 128 * 1024;
constexpr std::string_view refused_by_queue = "a queue refused it";

std::uint64_t fingerprint(std::string_view exchange, std::string_view routing_key,
                          std::string_view correlation_id, std::string_view message_id,
                          std::size_t body_size) {
    const std::hash<std::string_view> hash;
    std::uint64_t mixed = body_size;
    for (const auto part : {exchange, routing_key, correlation_id, message_id}) {
        mixed = (mixed ^ hash(part)) * 0x9E3779B97F4A7C15ULL;
        mixed ^= mixed >> 29U;
    }
    return mixed;
}

[[noreturn]] void refuse_message(const char* what) {
    throw core::error{core::errc::unsupported,
                      std::string{"publish: "} + what + " is longer than AMQP can carry",
                      {.origin = core::error_origin::beds}};
}

} // namespace

publisher::publisher(detail::link& link, const publisher_options& options, core::deadline until)
    : link_(link), options_(options) {
    select_confirms(until);
}

void publisher::select_confirms(core::deadline until) {
    if (confirming()) {
        link_.rpc("confirm.select", link::data_channel, until,
                  [](auto* state) { return amqp_confirm_select(state, link::data_channel); });
    }
}

std::uint64_t publisher::publish(std::string_view exchange, std::string_view routing_key,
                                 const properties& with, std::string_view body,
                                 amqp::mandatory mandatory, core::deadline until) {
    link_.require_channel("publish");
    const char* too_long =
        encode_publish(buffer_, link::data_channel, link_.frame_max(), exchange, routing_key, with,
                       mandatory == amqp::mandatory::yes, body.size());
    if (too_long != nullptr) {
        refuse_message(too_long);
    }
    if (link_.uses_tls()) {
        // The bytes cannot be handed to OpenSSL past rabbitmq-c; encoding has checked the lengths.
        buffer_.clear();
        publish_by_library(exchange, routing_key, with, body, mandatory, until);
    } else {
        const auto fragment = link_.frame_max() - frame_overhead;
        for (auto rest = body; !rest.empty();) {
            const auto part = rest.substr(0, fragment);
            encode_body(buffer_, link::data_channel, part);
            rest.remove_prefix(part.size());
            if (buffer_.size() >= flush_at) {
                flush(until);
            }
        }
    }
    ++last_;
    if (confirming()) {
        tracker_.published(
            fingerprint(exchange, routing_key, with.correlation_id, with.message_id, body.size()));
    }
    return last_;
}

void publisher::publish_by_library(std::string_view exchange, std::string_view routing_key,
                                   const properties& with, std::string_view body,
                                   amqp::mandatory mandatory, core::deadline until) {
    amqp_basic_properties_t to{};
    const auto text = [&](amqp_flags_t flag, amqp_bytes_t& member, std::string_view value) {
        if (!value.empty()) {
            to._flags |= flag;
            member = to_bytes(value);
        }
    };
    text(AMQP_BASIC_MESSAGE_ID_FLAG, to.message_id, with.message_id);
    text(AMQP_BASIC_CORRELATION_ID_FLAG, to.correlation_id, with.correlation_id);
    text(AMQP_BASIC_REPLY_TO_FLAG, to.reply_to, with.reply_to);
    text(AMQP_BASIC_TYPE_FLAG, to.type, with.type);
    text(AMQP_BASIC_CONTENT_TYPE_FLAG, to.content_type, with.content_type);
    text(AMQP_BASIC_CONTENT_ENCODING_FLAG, to.content_encoding, with.content_encoding);
    text(AMQP_BASIC_USER_ID_FLAG, to.user_id, with.user_id);
    text(AMQP_BASIC_APP_ID_FLAG, to.app_id, with.app_id);
    text(AMQP_BASIC_EXPIRATION_FLAG, to.expiration, with.expiration);
    if (with.mode) {
        to._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
        to.delivery_mode = static_cast<std::uint8_t>(*with.mode);
    }
    if (with.priority) {
        to._flags |= AMQP_BASIC_PRIORITY_FLAG;
        to.priority = *with.priority;
    }
    if (with.timestamp) {
        to._flags |= AMQP_BASIC_TIMESTAMP_FLAG;
        to.timestamp = *with.timestamp;
    }
    if (!with.headers.empty()) {
        table_.clear();
        for (const auto& each : with.headers) {
            amqp_table_entry_t entry{};
            entry.key = to_bytes(each.name);
            if (each.type == header::kind::text) {
                entry.value.kind = AMQP_FIELD_KIND_UTF8;
                entry.value.value.bytes = to_bytes(each.text);
            } else {
                entry.value.kind = AMQP_FIELD_KIND_I64;
                entry.value.value.i64 = each.integer;
            }
            table_.push_back(entry);
        }
        to._flags |= AMQP_BASIC_HEADERS_FLAG;
        to.headers = {static_cast<int>(table_.size()), table_.data()};
    }
    // As without TLS: past the deadline only a call that hangs ends.
    const auto guard = link_.arm(until.expired() ? core::deadline::after({}) : until);
    link_.check("publish",
                amqp_basic_publish(link_.handle(), link::data_channel, to_bytes(exchange),
                                   to_bytes(routing_key), mandatory == amqp::mandatory::yes ? 1 : 0,
                                   0, &to, to_bytes(body)));
}

void publisher::flush(core::deadline until) {
    if (buffer_.empty()) {
        return;
    }
    // Cleared first: after a failure nothing of it may be written again.
    const auto bytes = buffer_.bytes();
    buffer_.clear();
    link_.write_raw(bytes, until, options_.while_blocked);
}

bool publisher::on_frame(const amqp_frame_t& frame) {
    bool settled = false;
    if (frame.frame_type == AMQP_FRAME_METHOD) {
        const void* method = frame.payload.method.decoded;
        switch (frame.payload.method.id) {
        case AMQP_BASIC_ACK_METHOD: {
            const auto& ack = *static_cast<const amqp_basic_ack_t*>(method);
            tracker_.ack(ack.delivery_tag, ack.multiple != 0);
            settled = true;
            break;
        }
        case AMQP_BASIC_NACK_METHOD: {
            const auto& nack = *static_cast<const amqp_basic_nack_t*>(method);
            nacked_.clear();
            tracker_.nack(nack.delivery_tag, nack.multiple != 0, nacked_);
            for (const auto sequence : nacked_) {
                undelivered_.push_back({.why = undelivered::cause::nacked,
                                        .sequence = sequence,
                                        .text = std::string{refused_by_queue}});
            }
            settled = true;
            break;
        }
        case AMQP_BASIC_RETURN_METHOD: {
            const auto& returned = *static_cast<const amqp_basic_return_t*>(method);
            return_code_ = returned.reply_code;
            return_text_ = to_view(returned.reply_text);
            message_parts parts;
            parts.exchange = to_view(returned.exchange);
            parts.routing_key = to_view(returned.routing_key);
            reader_.begin(parts); // with max_body 0: the body is skipped
            return false;         // the strings of the method are read with the header frame
        }
        default:
            break;
        }
    } else if (reader_.take(frame)) {
        on_returned();
        settled = true;
    }
    if (!reader_.wants_header()) {
        link_.release_buffers();
    }
    return settled;
}

void publisher::on_returned() {
    const auto message = reader_.finish();
    const auto& with = message->properties;
    std::uint64_t sequence = 0;
    if (confirming()) {
        sequence = tracker_.returned(fingerprint(message->exchange, message->routing_key,
                                                 with.correlation_id, with.message_id,
                                                 static_cast<std::size_t>(message->body_size)));
    }
    undelivered_.push_back({.why = undelivered::cause::returned,
                            .sequence = sequence,
                            .code = return_code_,
                            .text = return_text_,
                            .routing_key = std::string{message->routing_key},
                            .correlation_id = std::string{with.correlation_id},
                            .message_id = std::string{with.message_id}});
}

bool publisher::pump() {
    link_.require_channel("read");
    amqp_frame_t frame;
    bool settled = false;
    while (link_.read_frame(frame, std::chrono::microseconds{0})) {
        settled = on_frame(frame) || settled;
    }
    return settled;
}

bool publisher::wait_confirms(core::deadline until) {
    flush(until);
    if (!confirming()) {
        return true;
    }
    amqp_frame_t frame;
    while (tracker_.outstanding() != 0) {
        link_.require_channel("wait for confirms");
        const auto left =
            std::min(until.remaining_ms(), std::chrono::milliseconds{std::chrono::hours{1}});
        if (link_.read_frame(frame, left)) {
            on_frame(frame);
        } else if (until.expired()) {
            return false;
        }
    }
    return true;
}

std::vector<undelivered> publisher::take_undelivered() {
    return std::exchange(undelivered_, {});
}

void publisher::reopen_channel(core::deadline until) {
    buffer_.clear();
    reader_.reset();
    tracker_.restart();
    link_.open_channel(until);
    select_confirms(until);
}

} // namespace detail

publisher_connection::publisher_connection(const connection_settings& settings,
                                           core::deadline until, const publisher_options& options)
    : connection(std::make_unique<detail::link>(settings, until)) {
    const auto end = until.earlier(core::deadline::after(settings.connect_timeout));
    link_->open_channel(end);
    impl_ = std::make_unique<detail::publisher>(*link_, options, end);
}

publisher_connection::publisher_connection(publisher_connection&&) noexcept = default;

publisher_connection& publisher_connection::operator=(publisher_connection&& other) noexcept {
    if (this != &other) {
        // What refers to the link goes before the link.
        impl_.reset();
        connection::operator=(std::move(other));
        impl_ = std::move(other.impl_);
    }
    return *this;
}

publisher_connection::~publisher_connection() = default;

std::uint64_t publisher_connection::publish(std::string_view exchange, std::string_view key,
                                            const properties& with, std::string_view body,
                                            amqp::mandatory mandatory, core::deadline until) {
    return impl_->publish(exchange, key, with, body, mandatory, until);
}
void publisher_connection::flush(core::deadline until) {
    impl_->flush(until);
}
bool publisher_connection::wait_confirms(core::deadline until) {
    return impl_->wait_confirms(until);
}
std::uint64_t publisher_connection::settled_up_to() const {
    return impl_->confirming() ? impl_->tracker().settled_up_to() : impl_->last();
}
bool publisher_connection::settled(std::uint64_t sequence) const {
    return impl_->confirming() ? impl_->tracker().settled(sequence) : sequence <= impl_->last();
}
std::uint64_t publisher_connection::outstanding() const {
    return impl_->tracker().outstanding();
}
std::vector<undelivered> publisher_connection::take_undelivered() {
    return impl_->take_undelivered();
}
bool publisher_connection::pump() {
    return impl_->pump();
}
void publisher_connection::reopen_channel(core::deadline until) {
    impl_->reopen_channel(until);
}

} // namespace beds::amqp
