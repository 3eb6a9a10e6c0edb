#pragma once

#include "adapters/mongodb/mongoc_include.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// What can be told about a write that was begun and whose reply nobody stored. Nothing in here
/// asks a server.
namespace beds::adapters::mongodb {

/// The member of a document that holds its ring: the tokens of the last writes of BEDS, the oldest
/// first.
inline constexpr std::string_view ring_member = "_beds";
inline constexpr std::int32_t ring_size = 16;

/// How far the time in tokens may be from the order in which the server worked: clocks of nodes
/// (they follow the server's), whole seconds, and the way of a command.
inline constexpr std::chrono::seconds ring_margin{10};

/// Stands for one attempt at a write, in its intent and in the rings of its documents. An ObjectId,
/// so nobody else can have made the same, and with the time at which the intent was written.
struct write_token {
    std::array<std::uint8_t, 12> bytes{};

    static write_token make(std::chrono::milliseconds since_1970);
    [[nodiscard]] std::chrono::seconds seconds() const; ///< since 1970
    friend bool operator==(const write_token&, const write_token&) = default;
};

/// What a document says about one attempt.
enum class evidence : std::uint8_t {
    no_document, ///< not there: never, or no longer
    token,       ///< its token stands in the ring
    none_since,  ///< it does not, and would: the ring goes back to before the intent
    lost,        ///< it does not, but it might have been pushed out, or the ring is another one
};

/// Of the document's ring, or of a document without one (`ring` null).
evidence read_ring(const bson_iter_t* ring, const write_token& wanted);

enum class write_kind : std::uint8_t {
    insert, ///< of one or several rows with their keys
    change, ///< update by key
    remove, ///< delete by key; marks the document with the token first
    many,   ///< update and delete by `where`, pipelines that write: keep no evidence
};

enum class verdict : std::uint8_t {
    applied,
    run,     ///< it did not happen, and a try that is still on its way will find the token
    unknown, ///< and stays so
};

/// Of a write that was begun before. `many` runs again, and says so.
verdict settle(write_kind what, evidence found);
/// Of an insert: what all its rows together say.
evidence together(std::span<const evidence> rows);

/// What the events of an intent come to. They stand in the order in which the server took them, and
/// each tells whose it is: a reply, or that another one takes the write over. It counts when its
/// author is the one in charge at that point, so writing one needs no condition.
struct intent_state {
    write_token owner;                  ///< in charge; at first whoever began
    std::chrono::milliseconds since{0}; ///< when it took over; zero: it began
    bool replied = false;
    std::string_view reply; ///< in the document
};
/// `events` null: none yet.
intent_state read_events(const bson_iter_t* events, const write_token& began);

} // namespace beds::adapters::mongodb
