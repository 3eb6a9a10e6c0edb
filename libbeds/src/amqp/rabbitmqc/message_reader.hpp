#pragma once

#include "amqp/message_block.hpp"
#include "amqp/rabbitmqc/headers.hpp"

#include <array>
#include <cstdint>

namespace beds::amqp::detail {

/// Views of rabbitmq-c's decoded properties; headers go to `headers`, at most max_headers + 1 of
/// them, so that a surplus shows. Nested tables and arrays are not looked into.
struct decoded_properties {
    amqp::properties properties;
    std::array<header, max_headers + 1> headers;
    std::size_t header_count = 0;

    void decode(const amqp_basic_properties_t& from);
};

/// Puts a message together from its content frames, however they arrive: the state survives between
/// calls, so that no call has to wait for the rest of a message.
///
/// rabbitmq-c's amqp_read_message is not used: it waits for the rest without a time limit, and
/// copies each string into memory of its own.
class message_reader {
public:
    /// A method with content has come; its header frame is next. `parts` needs no properties yet;
    /// its views must live until then.
    void begin(const message_parts& parts);

    [[nodiscard]] bool busy() const { return state_ != state::idle; }
    [[nodiscard]] bool wants_header() const { return state_ == state::header; }

    /// Takes a header or body frame. True when the message is complete. Throws `protocol`.
    bool take(const amqp_frame_t& frame);
    message_ptr finish();
    void reset();

private:
    enum class state { idle, header, body };
    state state_ = state::idle;
    message_parts parts_;
    decoded_properties decoded_;
    message_ptr message_;
    std::uint64_t filled_ = 0;
};

} // namespace beds::amqp::detail
