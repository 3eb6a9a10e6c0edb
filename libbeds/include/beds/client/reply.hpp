#pragma once

#include <beds/core/data.hpp>
#include <beds/core/outcome.hpp>
#include <beds/wire/reply.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace beds::client {

/// One row of a result: its fields by public name. A view into the reply.
class row {
public:
    explicit row(const core::datum& from) : from_(&from) {}
    /// Null when there is no such field.
    [[nodiscard]] const core::datum* find(std::string_view field) const {
        return from_->find(field);
    }
    /// Text of a string field; empty when it is null, absent or no string.
    [[nodiscard]] std::string_view text(std::string_view field) const;
    /// nullopt when null, absent or no integer.
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view field) const;
    [[nodiscard]] const core::datum& data() const { return *from_; }

private:
    const core::datum* from_;
};

/// The result of one operation. A view into the reply.
class result {
public:
    explicit result(const wire::result_view& from) : from_(&from) {}

    [[nodiscard]] bool ok() const { return from_->outcome.ok(); }
    [[nodiscard]] core::status status() const { return from_->outcome.status; }
    /// `internal` for a code that this version does not know; then `code_text()` has it, and effect
    /// and `retryable()` say what to do.
    [[nodiscard]] core::code code() const { return from_->outcome.code; }
    [[nodiscard]] std::string_view code_text() const { return from_->code_text; }
    /// What happened to the data. `unknown`: send the same request with the same id again.
    [[nodiscard]] core::effect effect() const { return from_->outcome.effect; }
    [[nodiscard]] bool retryable() const { return from_->retryable; }
    [[nodiscard]] std::chrono::milliseconds retry_after() const {
        return from_->outcome.retry_after;
    }
    [[nodiscard]] std::string_view detail() const { return from_->outcome.detail; }
    [[nodiscard]] std::string_view field() const { return from_->outcome.field; }
    /// The DBA's word that comes with `REJECTED`.
    [[nodiscard]] std::string_view reason() const { return from_->outcome.reason; }
    [[nodiscard]] bool at_least_once() const { return from_->outcome.at_least_once; }

    [[nodiscard]] std::size_t size() const {
        return from_->rows == nullptr ? 0 : from_->rows->count;
    }
    [[nodiscard]] row operator[](std::size_t i) const { return row{from_->rows->items()[i]}; }
    /// Cursor of the next page; empty: this is the last.
    [[nodiscard]] std::string_view next() const { return from_->next; }
    /// Rows that a write wrote or matched.
    [[nodiscard]] std::optional<std::uint64_t> count() const { return from_->count; }
    /// What `count` found.
    [[nodiscard]] std::optional<std::uint64_t> total() const { return from_->total; }
    [[nodiscard]] bool exists() const { return from_->exists != nullptr && from_->exists->boolean; }
    /// The out arguments of a call; null when there are none.
    [[nodiscard]] const core::datum* out() const { return from_->out; }
    /// A named result set of a call; null when there is none of that name.
    [[nodiscard]] const core::datum* set(std::string_view name) const;
    [[nodiscard]] const core::datum* keys() const { return from_->keys; }
    /// The whole result as it came.
    [[nodiscard]] const core::datum& data() const { return *from_->body; }

private:
    const wire::result_view* from_;
};

/// The answer to one request: one result per operation, in the order of the request. Copies share
/// the bytes; any thread may read.
class reply {
public:
    /// Takes the bytes of a reply. Throws core::error(protocol) when they are none.
    reply(std::string body, std::string request_id);

    [[nodiscard]] bool ok() const;
    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] result operator[](std::size_t i) const;
    /// Of a request with one operation.
    [[nodiscard]] result front() const { return (*this)[0]; }
    [[nodiscard]] std::string_view event() const;
    /// Of a reply in several messages (`request::in_parts`): its number from 0, and whether it is
    /// the last. Part 0 coming again means: forget the parts before it.
    [[nodiscard]] std::uint32_t part_number() const;
    [[nodiscard]] bool last() const;
    /// Idempotency key that the request was sent with; empty for requests that only read.
    [[nodiscard]] const std::string& request_id() const;
    /// The bytes as they came; of a part, as they would have come.
    [[nodiscard]] const std::string& json() const;

    /// The answer to operation `i` as if it had been a request of its own. Shares the bytes of the
    /// whole, and keeps them.
    [[nodiscard]] reply part(std::size_t i, std::string request_id) const;

private:
    struct message;
    struct state;
    explicit reply(std::shared_ptr<const state> made) : state_(std::move(made)) {}
    std::shared_ptr<const state> state_;
};

} // namespace beds::client
