#include "brokers/bookkeeping.hpp"

#include <algorithm>
#include <optional>

namespace beds::brokers {

using observe::ledger;

namespace {

void requeue(ledger::entry& entry, const taken& one, std::span<const factory::message> messages) {
    if (one.refused) {
        entry.requeued(ledger::no_template);
        return;
    }
    for (const auto slot : messages[one.message].slots) {
        entry.requeued(slot);
    }
}

observe::fate fate_of(const taken& one, const core::outcome& result) {
    return one.after == what_next::dead_letter      ? observe::fate::dead
           : result.effect == core::effect::unknown ? observe::fate::unknown
           : result.ok()                            ? observe::fate::replied_ok
                                                    : observe::fate::rejected;
}

} // namespace

void enter_refused(ledger& books, std::span<const taken> batch) {
    if (std::none_of(batch.begin(), batch.end(),
                     [](const taken& one) { return one.refused.has_value(); })) {
        return;
    }
    ledger::entry entry{books};
    for (const auto& one : batch) {
        if (one.refused) {
            entry.received(ledger::no_template);
        }
    }
}

void enter_as_requeued(ledger& books, std::span<const taken> batch,
                       std::span<const factory::message> messages) {
    ledger::entry entry{books};
    for (const auto& one : batch) {
        requeue(entry, one, messages);
    }
}

void enter_as_settled(ledger& books, std::span<const taken> batch,
                      std::span<const factory::message> messages) {
    ledger::entry entry{books};
    for (const auto& one : batch) {
        if (one.after == what_next::parked || one.after == what_next::retried) {
            requeue(entry, one, messages);
            continue;
        }
        if (one.refused) {
            entry.settled(ledger::no_template, std::nullopt, one.refused->code,
                          fate_of(one, *one.refused));
            continue;
        }
        const auto& message = messages[one.message];
        for (std::size_t i = 0; i < message.results.size(); ++i) {
            const auto& op = message.request.operations[i];
            // What is not a request has no verb that could be relied on.
            const auto verb =
                op.refused == core::code::ok ? std::optional{op.op} : std::optional<core::verb>{};
            entry.settled(message.slots[i], verb, message.results[i].code,
                          fate_of(one, message.results[i]));
        }
    }
}

} // namespace beds::brokers
