#include "factory/plan.hpp"

#include "core/characters.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace beds::factory {
namespace {

using adapters::bound_operation;
using core::value;

std::uint64_t mix(std::uint64_t sum, std::uint64_t next) {
    sum ^= next + 0x9E3779B97F4A7C15ULL + (sum << 6U) + (sum >> 2U);
    sum *= 0xFF51AFD7ED558CCDULL;
    return sum ^ (sum >> 33U);
}

std::uint64_t hash_of(const value& given) {
    const auto kind = static_cast<std::uint64_t>(given.type);
    if (!given.text.empty()) {
        return mix(kind, std::hash<std::string_view>{}(given.text));
    }
    return mix(kind, given.unsigned_integer);
}

std::uint64_t hash_of_fields(std::uint64_t sum, std::span<const adapters::assignment> given) {
    for (const auto& one : given) {
        sum = mix(sum, one.field);
    }
    return mix(sum, given.size());
}

std::uint64_t shape_of(const bound_operation& op) {
    auto sum = mix(static_cast<std::uint64_t>(op.op),
                   static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(op.target)));
    sum = mix(sum, static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(op.layout)));
    sum = mix(sum, static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(op.call)));
    sum = mix(sum, op.key.size());
    for (const auto& one : op.where) {
        sum = mix(sum, one.field * 64U + static_cast<unsigned>(one.op));
        sum = mix(sum, one.values.size());
    }
    for (const auto& one : op.sort) {
        sum = mix(sum, one.field * 2U + static_cast<unsigned>(one.direction));
    }
    sum = mix(sum, op.limit);
    sum = mix(sum, op.after.size());
    sum = mix(sum, op.rows.size());
    if (!op.rows.empty()) {
        sum = hash_of_fields(sum, op.rows.front());
    }
    for (const auto field : op.unique) {
        sum = mix(sum, field);
    }
    sum = mix(sum, op.unique.size());
    for (const auto field : op.taken_over) {
        sum = mix(sum, field);
    }
    sum = hash_of_fields(sum, op.set);
    sum = hash_of_fields(sum, op.inc);
    return hash_of_fields(sum, op.expect);
}

bool is_barrier(const planned& op) {
    if (op.custom && op.writes) {
        return true;
    }
    switch (op.bound.op) {
    case core::verb::call:
        return true;
    case core::verb::find:
    case core::verb::count:
    case core::verb::exists:
        return true; // sees more rows than its key's: only asked inside messages that write
    case core::verb::update:
    case core::verb::remove:
        return op.bound.key.empty() || op.loose_key;
    case core::verb::fetch:
        return op.loose_key;
    case core::verb::insert:
        // Several keys at once, or the row is known by something else.
        return op.bound.rows.size() != 1 || op.loose_key || !op.bound.unique.empty();
    case core::verb::describe:
        return false;
    }
    return true;
}

/// Key of the one row that an operation is about; empty when the database makes it.
std::span<const value> row_key(const planned& op, core::arena& memory) {
    if (op.bound.op != core::verb::insert) {
        return op.bound.key;
    }
    const auto& target = *op.bound.target;
    const auto key = memory.make_span<value>(target.key.size());
    for (std::size_t i = 0; i < key.size(); ++i) {
        const auto row = op.bound.rows.front();
        const auto* const given = adapters::given_value(row, target.key[i]);
        if (given == nullptr) {
            return {};
        }
        key[i] = *given;
    }
    return key;
}

/// Most collations do not count blanks at the end. That two keys are taken for one where they are
/// two costs a wave and no more.
bool same_part(const value& a, const value& b) {
    return core::without_blanks_at_end(a) == core::without_blanks_at_end(b);
}

/// Remembers the last waves in which a row was written and read, by object and key.
class key_table {
public:
    struct entry {
        const planned* owner = nullptr;
        std::span<const value> key;
        std::uint64_t hash = 0;
        std::uint32_t next_write = 0; ///< first wave that another write may use
        std::uint32_t next_read = 0;  ///< first wave after the last read by `reader`
        std::uint32_t writer = 0;     ///< message of the last write
        std::uint32_t reader = 0;
        bool written = false;
        bool read = false;
    };

    key_table(std::size_t operations, core::arena& memory)
        : slots_(memory.make_span<entry>(std::bit_ceil(std::max<std::size_t>(operations, 4) * 2))) {
    }

    entry& at(const planned& op, std::span<const value> key) {
        auto hash = mix(op.unit, op.object);
        for (const auto& part : key) {
            hash = mix(hash, hash_of(core::without_blanks_at_end(part)));
        }
        for (auto i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
            auto& slot = slots_[i];
            if (slot.owner == nullptr) {
                slot.owner = &op;
                slot.key = key;
                slot.hash = hash;
                return slot;
            }
            if (slot.hash == hash && slot.owner->unit == op.unit &&
                slot.owner->object == op.object &&
                std::equal(slot.key.begin(), slot.key.end(), key.begin(), key.end(), same_part)) {
                return slot;
            }
        }
    }

private:
    std::span<entry> slots_;
};

} // namespace

void plan(std::span<planned* const> operations, core::arena& memory) {
    const bool any_writes = std::any_of(operations.begin(), operations.end(),
                                        [](const planned* op) { return op->writes || op->alone; });
    for (auto* op : operations) {
        op->shape = mix(shape_of(op->bound), op->int64_as_string ? 1U : 0U);
    }
    if (!any_writes) {
        return; // reads commute: one wave
    }

    key_table keys{operations.size(), memory};
    std::uint32_t message = 0xFFFFFFFFU;
    std::uint32_t unit = 0;
    std::uint32_t floor = 0;   // no later operation of the message may run before
    std::uint32_t highest = 0; // latest wave of the message so far
    bool first_in_message = true;
    const planned* previous = nullptr;
    for (auto* op : operations) {
        if (op->message != message) {
            message = op->message;
            unit = 0;
            floor = highest = 0;
            first_in_message = true;
            previous = nullptr;
        }
        if (op->alone) {
            unit = (unit % 2 == 0) ? unit + 1 : unit + 2;
        } else if (unit % 2 == 1) {
            ++unit;
        }
        if (previous != nullptr && previous->unit != unit) {
            floor = highest = 0; // another transaction: waves start again
            first_in_message = true;
        }
        op->unit = unit;
        if (op->mode == core::envelope_mode::each && op->message_writes) {
            if (is_barrier(*op)) {
                // Calls of one shape may share a wave: an adapter runs them in the order given.
                const bool joins =
                    previous != nullptr && previous->unit == unit &&
                    op->bound.op == core::verb::call && previous->bound.op == core::verb::call &&
                    previous->shape == op->shape && previous->bound.call == op->bound.call;
                op->wave = joins ? previous->wave : first_in_message ? floor : highest + 1;
                floor = joins ? floor : op->wave + 1;
            } else {
                op->wave = floor;
                if (const auto key = row_key(*op, memory); !key.empty()) {
                    auto& row = keys.at(*op, key);
                    if (op->writes) {
                        op->wave = std::max(op->wave, row.written ? row.next_write : 0);
                        if (row.read && row.reader == message) {
                            op->wave = std::max(op->wave, row.next_read);
                        }
                        row.written = true;
                        row.writer = message;
                        row.next_write = op->wave + 1;
                    } else {
                        if (row.written && row.writer == message) {
                            op->wave = std::max(op->wave, row.next_write);
                        }
                        row.read = true;
                        row.reader = message;
                        row.next_read = op->wave + 1;
                    }
                }
            }
        }
        highest = std::max(highest, op->wave);
        first_in_message = false;
        previous = op;
    }
}

} // namespace beds::factory
