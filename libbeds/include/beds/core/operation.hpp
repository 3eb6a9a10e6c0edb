#pragma once

#include <beds/core/clock.hpp>
#include <beds/core/data.hpp>
#include <beds/core/outcome.hpp>
#include <beds/core/row.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace beds::core {

enum class verb : std::uint8_t {
    fetch,
    find,
    count,
    exists,
    insert,
    update,
    remove,
    call,
    describe
};
std::string_view to_string(verb value); ///< as on the wire: `remove` is `delete`
std::optional<verb> parse_verb(std::string_view text);

/// Which queue an operation belongs to. Ordered: an envelope goes by the highest of its operations.
enum class op_class : std::uint8_t { read, write, bulk };
std::string_view to_string(op_class value);
std::optional<op_class> parse_op_class(std::string_view text);

/// How the operations of one message stand to each other.
enum class envelope_mode : std::uint8_t {
    each,     ///< independent
    sequence, ///< in order, stop at the first failure; the rest are skipped
    atomic,   ///< one transaction on one database, all or nothing
};

/// One operation as the caller said it, untyped. Members that were not given are null pointers or
/// empty. A view into the message and the arena.
struct operation {
    std::string_view id{}; ///< own id; empty: the message's id and position
    std::optional<system_time> deadline{};
    std::string_view template_name{};
    verb op = verb::fetch;
    std::string_view name{}; ///< call: procedure, function, view or aggregation of the template
    const datum* key = nullptr;
    const datum* where = nullptr;
    const datum* data = nullptr;
    const datum* set = nullptr;
    const datum* inc = nullptr;
    const datum* expect = nullptr; ///< `if`
    const datum* args = nullptr;
    const datum* sort = nullptr;
    const datum* fields = nullptr;
    const datum* limit = nullptr;
    const datum* returning = nullptr; ///< `return`
    const datum* on_conflict = nullptr;
    std::string_view after{};

    /// Not `ok`: the operation is not what the protocol allows, although its message is; it is
    /// answered with this code and never run.
    code refused = code::ok;
    std::string_view refusal{};       ///< for people
    std::string_view refused_field{}; ///< the member at fault
};

/// One message with its operations: what a broker decodes or an in-process caller hands over.
struct request {
    envelope_mode mode = envelope_mode::each;
    bool enveloped = false; ///< `ops` was given: the reply is an envelope too
    std::span<const operation> operations{};

    std::string_view message_id{};
    std::string_view principal{}; ///< verified caller; `anonymous` without `user_id`
    bool service = false;         ///< the caller is BEDS itself: may use closed templates
    std::optional<system_time> deadline{};
    /// `beds-event`, `beds-depth`: the step of work that the caller is at, when the request is part
    /// of a fan-out.
    std::string_view event{};
    std::uint32_t depth = 0;
    /// `beds-order`: the value of the `order_by` field of everything that the message writes.
    std::optional<std::string_view> order{};
    bool redelivered = false; ///< may have been worked on before: its writes are looked up first
    bool int64_as_string = false;
};

} // namespace beds::core
