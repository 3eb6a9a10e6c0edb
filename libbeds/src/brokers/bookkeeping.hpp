#pragma once

#include "brokers/taken.hpp"

#include <beds/factory/factory.hpp>
#include <beds/observe/ledger.hpp>

#include <span>

/// What became of a batch, in the broker's books. `received` of what has operations is written by
/// the factory, which knows their templates.
namespace beds::brokers {

void enter_refused(observe::ledger& books, std::span<const taken> batch);
/// The batch could not be answered, and comes back.
void enter_as_requeued(observe::ledger& books, std::span<const taken> batch,
                       std::span<const factory::message> messages);
void enter_as_settled(observe::ledger& books, std::span<const taken> batch,
                      std::span<const factory::message> messages);

} // namespace beds::brokers
