#pragma once

#include <beds/client/value.hpp>
#include <beds/core/clock.hpp>
#include <beds/core/operation.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace beds::client {

/// One operation to ask for. The functions below make the usual ones; every member may be set by
/// hand.
struct operation {
    core::verb op = core::verb::fetch;
    std::string template_name{};
    std::string name{}; ///< of a call
    std::string id{};   ///< idempotency key; empty: the request's id and the operation's position
    /// This operation's own; the request's holds too. Milliseconds are kept.
    std::optional<core::system_time> deadline{};
    std::optional<value> key{};
    std::optional<value> where{};
    std::optional<value> data{};
    std::optional<value> set{};
    std::optional<value> inc{};
    std::optional<value> expect{};      ///< `if`
    std::optional<value> on_conflict{}; ///< insert
    std::optional<value> args{};
    std::vector<std::string> sort{};   ///< "-name" for descending
    std::vector<std::string> fields{}; ///< empty: all
    /// `return` of insert, update, delete: fields of the rows written; empty: no rows. protocol.md
    /// says where it goes.
    std::vector<std::string> returning{};
    std::optional<std::uint32_t> limit{};
    std::string after{}; ///< `next` of the page before
};

operation fetch(std::string template_name, value key);
operation find(std::string template_name, members where = {});
operation count(std::string template_name, members where = {});
operation exists(std::string template_name, members where = {});
operation insert(std::string template_name, members row);
operation insert(std::string template_name, std::vector<value> rows);
operation update(std::string template_name, value key, members set);
operation remove(std::string template_name, value key);
operation call(std::string template_name, std::string name, members args = {});
/// What clients may know of a template, or of all of them.
operation describe(std::string template_name = {});

/// One message: an operation, or several over templates of one group.
struct request {
    std::vector<operation> operations{};
    core::envelope_mode mode = core::envelope_mode::each;
    /// Idempotency key of the message. Sending the same id again gets the first reply again. Empty:
    /// the client makes one for requests that write, and the reply tells it.
    std::string id{};
    /// With `client::submit`, for a `find` that may be larger than one message: the completion gets
    /// every part as it comes, the last one with `reply::last()`. Nothing holds all of the rows at
    /// once but the caller who keeps them.
    bool in_parts = false;
    bool enveloped = false; ///< ask for an envelope even for one operation
    /// Of writes to a template with `order_by`: the value of that field, as its text. They go where
    /// that order is kept, in a message of their own; what one client submits for one value is done
    /// in that order. Empty: not ordered.
    std::string order;
    /// The step of work that this request is part of: the event id of its reply and how deep it
    /// is, for whoever looks for what caused a row. Such a request goes in a message of its own.
    std::string event;
    std::uint32_t depth = 0;

    request() = default;
    request(operation one) { operations.push_back(std::move(one)); }
    request(std::vector<operation> several, core::envelope_mode how = core::envelope_mode::each)
        : operations(std::move(several)), mode(how), enveloped(true) {}
    /// From a request in the protocol's JSON, with all that its operations carry. Throws
    /// core::error: `protocol` when the text or one of its operations is none, `limit_exceeded`
    /// when it is larger than a node takes.
    static request from_json(std::string_view text);
};

/// The untyped view of a request; views into it and `memory`.
core::request view(const request& from, core::arena& memory);

} // namespace beds::client
