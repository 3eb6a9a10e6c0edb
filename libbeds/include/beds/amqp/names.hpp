#pragma once

#include <beds/core/name.hpp>

namespace beds::amqp {

using queue_name = core::name<struct queue_tag>;
/// The empty name is the default exchange, which routes by queue name.
using exchange_name = core::name<struct exchange_tag>;
/// A key to publish with, or a pattern to bind with (`*` one word, `#` any number of words).
using routing_key = core::name<struct routing_key_tag>;

} // namespace beds::amqp
