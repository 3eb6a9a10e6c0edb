#pragma once

#include <beds/amqp/message.hpp>
#include <beds/core/operation.hpp>
#include <beds/core/outcome.hpp>

#include <optional>
#include <string_view>

namespace beds::brokers {

/// RabbitMQ's own address for replies without a queue; what it delivers begins with this.
inline constexpr std::string_view direct_reply_to = "amq.rabbitmq.reply-to";

/// What properties and headers of a message say of the request, or why it is refused.
/// `own_user`: what nodes send again may have more headers than a request.
std::optional<core::outcome> read_properties(const amqp::delivery& from, std::string_view own_user,
                                             core::request& into);

/// Does the node hold all of it, and so can send it again? Not what exceeds its bounds.
inline bool is_whole(const amqp::delivery& one) {
    return !one.oversized() && !one.headers_truncated();
}

/// Its result may come in several messages.
bool takes_parts(const amqp::delivery& from);

/// `countries.read` → `countries`.
std::string_view routed_name(std::string_view key);

} // namespace beds::brokers
