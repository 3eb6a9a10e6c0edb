#include "adapters/memory/table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <new>

namespace beds::adapters::memory {

static_assert(sizeof(row) % alignof(core::value) == 0, "cells follow the row's head");
static_assert(std::is_trivially_copyable_v<core::value>);

const core::value row::null_cell{};

void row::release::operator()(row* dead) const {
    dead->~row();
    ::operator delete(dead);
}

row::ptr row::make(std::span<const core::value> cells) {
    std::size_t text = 0;
    for (const auto& cell : cells) {
        text += cell.text.size();
    }
    void* const place = ::operator new(sizeof(row) + cells.size_bytes() + text);
    ptr made{::new (place) row{cells.size()}};
    auto* const copies = reinterpret_cast<core::value*>(made.get() + 1);
    auto* texts = reinterpret_cast<char*>(copies + cells.size());
    for (std::size_t i = 0; i < cells.size(); ++i) {
        auto* const copy = ::new (static_cast<void*>(copies + i)) core::value{cells[i]};
        if (!copy->text.empty()) {
            std::memcpy(texts, copy->text.data(), copy->text.size());
            copy->text = {texts, copy->text.size()};
            texts += copy->text.size();
        } else {
            copy->text = {};
        }
    }
    return made;
}

std::size_t hash_of(const core::value& cell) {
    using kind = core::value::kind;
    const auto mix = [](std::uint64_t bits) {
        bits ^= bits >> 32;
        bits *= 0x9E3779B97F4A7C15U;
        return static_cast<std::size_t>(bits ^ (bits >> 29));
    };
    switch (cell.type) {
    case kind::null:
    case kind::document:
        return 0;
    case kind::boolean:
    case kind::integer:
    case kind::date:
    case kind::time:
    case kind::datetime:
        return mix(static_cast<std::uint64_t>(cell.integer));
    case kind::unsigned_integer:
        return mix(cell.unsigned_integer);
    case kind::real:
        // 0.0 and -0.0 are equal.
        return cell.real == 0 ? 0 : mix(std::bit_cast<std::uint64_t>(cell.real));
    case kind::decimal:
    case kind::string:
    case kind::uuid:
    case kind::bytes:
    case kind::json:
        return std::hash<std::string_view>{}(cell.text);
    }
    return 0;
}

bool hash_index::insert(record* added) {
    if ((used_ + 1) * 4 > slots_.size() * 3) {
        grow();
    }
    const auto hash = hash_(added);
    auto& free = slots_[place_of(added, hash)];
    if (free.owner != nullptr) {
        return false;
    }
    free = {hash, added};
    ++used_;
    return true;
}

void hash_index::erase(const record* removed) {
    if (slots_.empty()) {
        return;
    }
    auto hole = place_of(removed, hash_(removed));
    if (slots_[hole].owner == nullptr) {
        return;
    }
    --used_;
    // Those behind it that were not at home move up, so that no look-up ends at the hole.
    for (auto i = (hole + 1) & mask(); slots_[i].owner != nullptr; i = (i + 1) & mask()) {
        const auto home = slots_[i].hash & mask();
        if (((i - home) & mask()) >= ((i - hole) & mask())) {
            slots_[hole] = slots_[i];
            hole = i;
        }
    }
    slots_[hole] = {};
}

void hash_index::grow() {
    std::vector<slot> old(std::max<std::size_t>(16, slots_.size() * 2));
    old.swap(slots_);
    for (const auto& each : old) {
        if (each.owner != nullptr) {
            auto i = each.hash & mask();
            while (slots_[i].owner != nullptr) {
                i = (i + 1) & mask();
            }
            slots_[i] = each;
        }
    }
}

table::table(const templates::template_def& target)
    // The columns of a new table stand in the order of its template's fields.
    : key_(target.key.begin(), target.key.end()), ordered_(less_columns{key_}), by_key_(key_) {
    for (const auto& field : target.fields) {
        columns_.push_back(field.column);
        types_.push_back(field.type);
    }
}

column_id table::column(std::string_view name, std::size_t likely) const {
    if (likely < columns_.size() && columns_[likely] == name) {
        return static_cast<column_id>(likely);
    }
    const auto found = std::find(columns_.begin(), columns_.end(), name);
    return found == columns_.end() ? no_column : static_cast<column_id>(found - columns_.begin());
}

std::string table::adopt(const templates::template_def& target) {
    std::vector<column_id> places;
    for (std::size_t i = 0; i < target.fields.size(); ++i) {
        const auto& field = target.fields[i];
        auto place = column(field.column, i);
        if (place == no_column) {
            place = static_cast<column_id>(columns_.size());
            columns_.push_back(field.column);
            types_.push_back(field.type);
        } else if (types_[place].kind != field.type.kind ||
                   types_[place].scale != field.type.scale) {
            return "field '" + field.name + "' has another type in another template of this object";
        }
        places.push_back(place);
    }
    const auto to_columns = [&places](const std::vector<templates::field_id>& fields) {
        std::vector<column_id> made;
        for (const auto field : fields) {
            made.push_back(places[field]);
        }
        return made;
    };
    if (to_columns(target.key) != key_) {
        return "another template of this object has another key";
    }
    for (std::size_t i = 0; i < target.fields.size(); ++i) {
        if (target.fields[i].source == templates::generated::database && generated_ != places[i]) {
            generated_ = places[i];
            for (const auto& each : ordered_) {
                count_generated(*each->contents);
            }
        }
    }
    for (const auto& index : target.indexes) {
        const auto wanted = to_columns(index.fields);
        const bool there =
            std::any_of(uniques_.begin(), uniques_.end(),
                        [&wanted](const auto& unique) { return unique.columns == wanted; });
        if (!index.unique || there) {
            continue;
        }
        auto& made = uniques_.emplace_back(wanted);
        for (const auto& each : ordered_) {
            if (made.holds(*each->contents) && !made.records.insert(each.get())) {
                uniques_.pop_back();
                return "the rows that are there break a unique index";
            }
        }
    }
    return {};
}

bool table::unique_index::holds(const row& contents) const {
    // As in SQL: rows with a null in the index are never equal.
    return std::none_of(columns.begin(), columns.end(),
                        [&contents](column_id column) { return contents.cell(column).is_null(); });
}

record* table::find(std::span<const core::value> key) const {
    return by_key_.find(key);
}

void table::fetch_ahead(std::span<const bound_operation* const> by_key,
                        std::vector<std::size_t>& scratch) const {
    scratch.clear();
    for (const auto* op : by_key) {
        scratch.push_back(by_key_.hash(op->key));
        by_key_.fetch_place(scratch.back());
    }
    for (const auto hash : scratch) {
        __builtin_prefetch(by_key_.likely(hash));
    }
    for (const auto hash : scratch) {
        if (const auto* found = by_key_.likely(hash)) {
            const auto* row = reinterpret_cast<const char*>(found->contents.get());
            constexpr int cache_line = 64;
            for (int line = 0; line < 5; ++line) { // a few cells and their texts
                __builtin_prefetch(row + std::ptrdiff_t{line} * cache_line);
            }
        }
    }
}

bool table::find_unique(std::span<const column_id> columns, std::span<const core::value> values,
                        std::vector<core::value>& scratch, record*& found) const {
    for (const auto& unique : uniques_) {
        if (!std::is_permutation(columns.begin(), columns.end(), unique.columns.begin(),
                                 unique.columns.end())) {
            continue;
        }
        scratch.clear();
        for (const auto column : unique.columns) {
            const auto at = std::find(columns.begin(), columns.end(), column) - columns.begin();
            scratch.push_back(values[static_cast<std::size_t>(at)]);
        }
        found = unique.records.find(std::span<const core::value>{scratch});
        return true;
    }
    return false;
}

std::optional<violation> table::insert(std::unique_ptr<record> made) {
    auto* const added = made.get();
    if (by_key_.find(added) != nullptr) {
        return violation{key_};
    }
    for (const auto& unique : uniques_) {
        if (unique.holds(*added->contents) && unique.records.find(added) != nullptr) {
            return violation{unique.columns};
        }
    }
    count_generated(*added->contents);
    ordered_.insert(std::move(made));
    by_key_.insert(added);
    for (auto& unique : uniques_) {
        if (unique.holds(*added->contents)) {
            unique.records.insert(added);
        }
    }
    return std::nullopt;
}

void table::count_generated(const row& contents) {
    if (generated_ == no_column) {
        return;
    }
    const auto& cell = contents.cell(generated_);
    if (cell.type == core::value::kind::unsigned_integer ||
        (cell.type == core::value::kind::integer && cell.integer > 0)) {
        counter_ = std::max(counter_, cell.unsigned_integer);
    }
}

table::rows::const_iterator table::position_of(const record& of) const {
    std::vector<core::value> key;
    key.reserve(key_.size());
    for (const auto column : key_) {
        key.push_back(of.contents->cell(column));
    }
    return ordered_.find(std::span<const core::value>{key});
}

std::optional<violation> table::replace(record& changed, row::ptr& contents) {
    record next{std::move(contents)};
    const auto refuse = [&](const std::vector<column_id>& columns) {
        contents = std::move(next.contents);
        return violation{columns};
    };
    const auto changes = [&](const std::vector<column_id>& columns) {
        return std::any_of(columns.begin(), columns.end(), [&](column_id column) {
            return !(changed.contents->cell(column) == next.contents->cell(column));
        });
    };
    const bool key_changes = changes(key_);
    if (key_changes && by_key_.find(&next) != nullptr) {
        return refuse(key_);
    }
    for (const auto& unique : uniques_) {
        if (changes(unique.columns) && unique.holds(*next.contents) &&
            unique.records.find(&next) != nullptr) {
            return refuse(unique.columns);
        }
    }
    rows::node_type node;
    if (key_changes) {
        node = ordered_.extract(position_of(changed));
        by_key_.erase(&changed);
    }
    std::vector<unique_index*> moved;
    for (auto& unique : uniques_) {
        if (changes(unique.columns)) {
            if (unique.holds(*changed.contents)) {
                unique.records.erase(&changed);
            }
            moved.push_back(&unique);
        }
    }
    std::swap(changed.contents, next.contents);
    if (key_changes) {
        ordered_.insert(std::move(node));
        by_key_.insert(&changed);
    }
    for (auto* unique : moved) {
        if (unique->holds(*changed.contents)) {
            unique->records.insert(&changed);
        }
    }
    contents = std::move(next.contents);
    return std::nullopt;
}

std::unique_ptr<record> table::remove(record& removed) {
    by_key_.erase(&removed);
    for (auto& unique : uniques_) {
        if (unique.holds(*removed.contents)) {
            unique.records.erase(&removed);
        }
    }
    auto node = ordered_.extract(position_of(removed));
    return std::move(node.value());
}

} // namespace beds::adapters::memory
