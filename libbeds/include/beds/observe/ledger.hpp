#pragma once

#include <beds/core/operation.hpp>
#include <beds/core/outcome.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace beds::observe {

/// Where an operation that was received ended.
enum class fate : std::uint8_t {
    replied_ok, ///< done; answered if the caller wanted an answer
    rejected,   ///< refused, failed or skipped, with nothing changed, and the caller was told
    unknown,    ///< the caller was told that the effect is unknown
    dead,       ///< its message went to the dead queue, because nobody could be told
};
inline constexpr std::size_t fate_count = 4;

/// What happened to the operations of one template. Every operation that was received is in exactly
/// one of the other figures, in every snapshot:
///
///     received = replied_ok + rejected + unknown + dead + requeued + in_flight
///
/// A message that comes back after it was requeued is received again. A message that cannot be
/// taken apart counts as one operation of no template.
struct template_traffic {
    struct line {
        std::optional<core::verb> op{}; ///< nothing: the message could not be taken apart
        core::code code = core::code::ok;
        std::uint64_t count = 0;
    };

    std::string name{}; ///< empty: no template that is known here
    std::uint64_t received = 0;
    std::uint64_t replied_ok = 0;
    std::uint64_t rejected = 0;
    std::uint64_t unknown = 0;
    std::uint64_t dead = 0;
    std::uint64_t requeued = 0;   ///< given back to the queue, unanswered
    std::uint64_t in_flight = 0;  ///< being worked on
    std::vector<line> requests{}; ///< what ended, by operation and code; only what occurred

    /// received - (replied_ok + … + in_flight): 0.
    [[nodiscard]] std::int64_t missing() const;
    void add(const template_traffic& other);
};

/// One broker's books: every operation from its reception to its end, by template. One thread
/// writes, without locks, and on cache lines of its own; any thread reads, and reads figures that
/// belong together. Allocates when an operation is used with a template for the first time.
class ledger {
public:
    /// Position among the broker's templates, from 1 on.
    using slot = std::uint32_t;
    static constexpr slot no_template = 0;

    explicit ledger(std::size_t templates);
    ~ledger();
    ledger(const ledger&) = delete;
    ledger& operator=(const ledger&) = delete;

    /// An entry in the books: what is written during its life is read together. Short; the writer's
    /// thread only, one at a time.
    class entry {
    public:
        explicit entry(ledger& of);
        ~entry();
        entry(const entry&) = delete;
        entry& operator=(const entry&) = delete;

        void received(slot of);
        void settled(slot of, std::optional<core::verb> op, core::code code, fate end);
        void requeued(slot of);

    private:
        ledger& of_;
    };

    /// Makes room for so many templates; what was entered stays. The writer's thread, between
    /// entries.
    void grow(std::size_t templates);

    /// Adds to the totals, one for each slot.
    void add_to(std::span<template_traffic> totals) const;

private:
    struct page;
    struct codes;
    struct page_deleter {
        void operator()(page* pages) const;
    };

    mutable std::mutex growing_; ///< what is below, for readers; the writer takes it to change it
    std::unique_ptr<page[], page_deleter> pages_;
    std::size_t count_;
    std::atomic<std::uint64_t> version_{0}; ///< odd while an entry is written
};

} // namespace beds::observe
