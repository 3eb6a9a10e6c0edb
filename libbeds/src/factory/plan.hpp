#pragma once

#include "factory/bind.hpp"

#include <beds/adapters/adapter.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/operation.hpp>

#include <cstdint>
#include <span>

namespace beds::factory {

/// One operation of a batch on its way through the factory.
struct planned {
    adapters::bound_operation bound;
    adapters::operation_identity identity; ///< writes only
    std::uint32_t message = 0;
    std::uint32_t unit = 0; ///< transaction; odd ones hold a single operation that runs alone
    std::uint32_t wave =
        0; ///< within the transaction: an earlier wave is complete before a later one
    std::uint32_t rank = 0;  ///< of the template: the order of locking within a wave
    std::uint64_t shape = 0; ///< equal for operations that may share a statement
    core::envelope_mode mode = core::envelope_mode::each;
    bool writes = false;
    bool alone = false;  ///< commits by itself
    bool custom = false; ///< code beside its template does it, perhaps in other rows too
    bool message_writes = false;
    std::uint32_t object = 0;     ///< equal for templates over one table or collection
    bool loose_key = false;       ///< the bytes of its key do not tell which row it is
    bool capped = false;          ///< its deadline lies further ahead than operations may work here
    bool int64_as_string = false; ///< of its message; operations that differ in it share no rows
};

/// Gives every operation its transaction, wave, rank and shape, such that running wave by wave
/// equals some serial order in which each message's operations on one object and key keep their
/// order.
///
/// Inside a message that writes, a `call`, a write by `where`, and a read by `where` are barriers:
/// what stands before is done before, what stands after comes after. Operations by key wait only
/// for earlier ones on the same key, in their message; two writes to one key never share a wave,
/// whatever their messages, so that one statement writes a row once. Messages in `sequence` or
/// `atomic` mode keep the order of their operations by themselves (the factory runs them one after
/// another, behind the waves).
///
/// Pure: it only fills `unit`, `wave` and `shape` of its operations, which stand in order of
/// arrival.
void plan(std::span<planned* const> operations, core::arena& memory);

} // namespace beds::factory
