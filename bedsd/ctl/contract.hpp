#pragma once

#include <string>
#include <string_view>

namespace bedsctl {

/// What a catalog (a reply to `describe`, as JSON) promises, in words of other tools. Pretty, ends
/// with a newline. Throws std::invalid_argument for text that is no such reply.

/// JSON Schema 2020-12: `$defs` holds for each template its row (`accounts.row`), what an insert
/// takes (`accounts.data`), and each operation (`accounts.insert`, `accounts.transfer`); the schema
/// itself is any request of one operation.
std::string json_schema_of(std::string_view catalog);

/// AsyncAPI 3.0 over AMQP 0-9-1: one channel and one `request` operation, with its reply, for each
/// template and class of operations.
std::string asyncapi_of(std::string_view catalog, std::string_view queue_tag);

} // namespace bedsctl
