#pragma once

#include <beds/amqp/message.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace beds::amqp::detail {

/// One received message in a single block of memory: this header, the headers, the strings, the
/// body. Made by `make_message` and freed as a whole.
struct message_block {
    amqp::properties properties;
    std::string_view exchange;
    std::string_view routing_key;
    std::string_view queue;
    std::uint64_t tag = 0;
    std::uint64_t body_size = 0; ///< as announced
    char* body = nullptr;
    std::size_t stored = 0; ///< bytes of `body` that are kept; 0 when oversized
    std::uint32_t consumer = 0;
    bool redelivered = false;
    bool resolved = false;
    bool oversized = false;
    bool headers_truncated = false;
};
static_assert(std::is_trivially_destructible_v<message_block>);

/// What a message is made from: views that are valid during the call.
struct message_parts {
    amqp::properties properties; ///< without headers
    std::span<const header> headers;
    std::string_view exchange;
    std::string_view routing_key;
    std::string_view queue;
    std::uint64_t body_size = 0;
    std::uint64_t max_body = 0;
};

/// Copies the parts into one block, with room for the body unless it is oversized. Throws
/// bad_alloc.
message_ptr make_message(const message_parts& parts);

/// A message's body can hold any number of fragments; `filled` is where the next one goes. False
/// when it is longer than announced.
bool append_body(message_block& message, std::uint64_t& filled, std::string_view fragment);

} // namespace beds::amqp::detail
