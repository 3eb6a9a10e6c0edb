#include "amqp/rabbitmqc/message_reader.hpp"

#include <beds/core/error.hpp>

#include <limits>
#include <utility>

namespace beds::amqp::detail {

namespace {

header to_header(const amqp_table_entry_t& from) {
    const auto name = to_view(from.key);
    const auto& value = from.value.value;
    switch (from.value.kind) {
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
        return header::of(name, to_view(value.bytes));
    case AMQP_FIELD_KIND_BOOLEAN:
        return header::of(name, std::int64_t{value.boolean != 0 ? 1 : 0});
    case AMQP_FIELD_KIND_I8:
        return header::of(name, std::int64_t{value.i8});
    case AMQP_FIELD_KIND_U8:
        return header::of(name, std::int64_t{value.u8});
    case AMQP_FIELD_KIND_I16:
        return header::of(name, std::int64_t{value.i16});
    case AMQP_FIELD_KIND_U16:
        return header::of(name, std::int64_t{value.u16});
    case AMQP_FIELD_KIND_I32:
        return header::of(name, std::int64_t{value.i32});
    case AMQP_FIELD_KIND_U32:
        return header::of(name, std::int64_t{value.u32});
    case AMQP_FIELD_KIND_I64:
        return header::of(name, value.i64);
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        if (value.u64 <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
            return header::of(name, static_cast<std::int64_t>(value.u64));
        }
        break;
    default:
        break;
    }
    return {name, header::kind::other, {}, 0};
}

[[noreturn]] void refuse_delivery(const char* what) {
    throw core::error{
        core::errc::protocol,
        what,
        {.origin = core::error_origin::rabbitmq, .handle = core::handle_state::broken}};
}

} // namespace

void decoded_properties::decode(const amqp_basic_properties_t& from) {
    properties = {};
    const auto has = [&](amqp_flags_t flag) { return (from._flags & flag) != 0; };
    const auto text = [&](amqp_flags_t flag, amqp_bytes_t value) {
        return has(flag) ? to_view(value) : std::string_view{};
    };
    properties.message_id = text(AMQP_BASIC_MESSAGE_ID_FLAG, from.message_id);
    properties.correlation_id = text(AMQP_BASIC_CORRELATION_ID_FLAG, from.correlation_id);
    properties.reply_to = text(AMQP_BASIC_REPLY_TO_FLAG, from.reply_to);
    properties.type = text(AMQP_BASIC_TYPE_FLAG, from.type);
    properties.content_type = text(AMQP_BASIC_CONTENT_TYPE_FLAG, from.content_type);
    properties.content_encoding = text(AMQP_BASIC_CONTENT_ENCODING_FLAG, from.content_encoding);
    properties.user_id = text(AMQP_BASIC_USER_ID_FLAG, from.user_id);
    properties.app_id = text(AMQP_BASIC_APP_ID_FLAG, from.app_id);
    properties.expiration = text(AMQP_BASIC_EXPIRATION_FLAG, from.expiration);
    if (has(AMQP_BASIC_DELIVERY_MODE_FLAG)) {
        properties.mode =
            from.delivery_mode == 2 ? delivery_mode::persistent : delivery_mode::transient;
    }
    if (has(AMQP_BASIC_PRIORITY_FLAG)) {
        properties.priority = from.priority;
    }
    if (has(AMQP_BASIC_TIMESTAMP_FLAG)) {
        properties.timestamp = from.timestamp;
    }
    header_count = 0;
    if (has(AMQP_BASIC_HEADERS_FLAG)) {
        for (int i = 0; i < from.headers.num_entries && header_count < headers.size(); ++i) {
            headers[header_count++] = to_header(from.headers.entries[i]);
        }
    }
}

void message_reader::begin(const message_parts& parts) {
    if (busy()) {
        refuse_delivery("RabbitMQ started a message in the middle of another");
    }
    parts_ = parts;
    state_ = state::header;
}

bool message_reader::take(const amqp_frame_t& frame) {
    if (frame.frame_type == AMQP_FRAME_HEADER && state_ == state::header) {
        if (frame.payload.properties.class_id != AMQP_BASIC_CLASS) {
            // Decoded as another type.
            refuse_delivery("RabbitMQ sent properties that are not a message's");
        }
        decoded_.decode(
            *static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded));
        parts_.properties = decoded_.properties;
        parts_.headers = {decoded_.headers.data(), decoded_.header_count};
        parts_.body_size = frame.payload.properties.body_size;
        message_ = make_message(parts_);
        filled_ = 0;
        state_ = state::body;
    } else if (frame.frame_type == AMQP_FRAME_BODY && state_ == state::body) {
        if (!append_body(*message_, filled_, to_view(frame.payload.body_fragment))) {
            refuse_delivery("RabbitMQ sent a body that is longer than it said");
        }
    } else {
        refuse_delivery("RabbitMQ sent the frames of a message in a wrong order");
    }
    return filled_ == message_->body_size;
}

message_ptr message_reader::finish() {
    state_ = state::idle;
    return std::move(message_);
}

void message_reader::reset() {
    state_ = state::idle;
    message_.reset();
}

} // namespace beds::amqp::detail
