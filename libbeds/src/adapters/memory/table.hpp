#pragma once

#include <beds/adapters/bound.hpp>
#include <beds/core/value.hpp>
#include <beds/templates/template_def.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::adapters::memory {

using column_id = std::uint16_t;
inline constexpr column_id no_column = 0xFFFF;

/// The cells of a row in one piece of memory, texts included; never changed, only replaced. A cell
/// is what a sink takes, so that reading copies nothing.
class row {
public:
    struct release {
        void operator()(row* dead) const;
    };
    using ptr = std::unique_ptr<row, release>;

    /// Copies the cells and their texts. No cell may be a `document`.
    static ptr make(std::span<const core::value> cells);

    [[nodiscard]] std::span<const core::value> cells() const {
        return {reinterpret_cast<const core::value*>(this + 1), count_};
    }
    /// Null for a column that came into being after the row.
    [[nodiscard]] const core::value& cell(column_id column) const {
        return column < count_ ? cells()[column] : null_cell;
    }

private:
    explicit row(std::size_t count) : count_(count) {}
    static const core::value null_cell;
    std::size_t count_;
};

/// A row's place: stays while its contents are replaced.
struct record {
    row::ptr contents;
};

/// Compares records, and records with loose key values, by some of their columns.
class by_columns {
public:
    using is_transparent = void;
    using loose = std::span<const core::value>;
    explicit by_columns(const std::vector<column_id>& columns) : columns_(&columns) {}

    [[nodiscard]] const core::value& get(const record& from, std::size_t i) const {
        return from.contents->cell((*columns_)[i]);
    }
    [[nodiscard]] const core::value& get(loose from, std::size_t i) const { return from[i]; }
    [[nodiscard]] std::size_t size() const { return columns_->size(); }

private:
    const std::vector<column_id>* columns_;
};

std::size_t hash_of(const core::value& cell);

struct hash_columns : by_columns {
    using by_columns::by_columns;
    template <class From>
    std::size_t hash(const From& from) const {
        std::size_t sum = 0;
        for (std::size_t i = 0; i < size(); ++i) {
            sum = sum * 0x9E3779B97F4A7C15U + hash_of(get(from, i));
        }
        return sum;
    }
    std::size_t operator()(const record* from) const { return hash(*from); }
    std::size_t operator()(loose from) const { return hash(from); }
};

struct equal_columns : by_columns {
    using by_columns::by_columns;
    template <class Left, class Right>
    bool equal(const Left& left, const Right& right) const {
        for (std::size_t i = 0; i < size(); ++i) {
            if (!(get(left, i) == get(right, i))) {
                return false;
            }
        }
        return true;
    }
    bool operator()(const record* left, const record* right) const { return equal(*left, *right); }
    bool operator()(loose left, const record* right) const { return equal(left, *right); }
};

struct less_columns : by_columns {
    using by_columns::by_columns;
    using owner = std::unique_ptr<record>;
    template <class Left, class Right>
    bool less(const Left& left, const Right& right) const {
        for (std::size_t i = 0; i < size(); ++i) {
            const auto& a = get(left, i);
            const auto& b = get(right, i);
            if (core::less(a, b)) {
                return true;
            }
            if (core::less(b, a)) {
                return false;
            }
        }
        return false;
    }
    bool operator()(const owner& left, const owner& right) const { return less(*left, *right); }
    bool operator()(loose left, const owner& right) const { return less(left, *right); }
    bool operator()(const owner& left, loose right) const { return less(*left, right); }
};

/// Finds records by the values of some columns. Open addressing: a look-up touches one place of
/// memory before the record, and that place can be fetched ahead.
class hash_index {
public:
    explicit hash_index(const std::vector<column_id>& columns) : hash_(columns), equal_(columns) {}

    /// `Wanted`: `record*` or loose values. Null: there is none.
    template <class Wanted>
    [[nodiscard]] record* find(const Wanted& wanted) const {
        return slots_.empty() ? nullptr : slots_[place_of(wanted, hash_(wanted))].owner;
    }
    /// False: there is an equal one already.
    bool insert(record* added);
    void erase(const record* removed);

    // Ahead of several look-ups: first the places of all, then the records, then their contents.
    [[nodiscard]] std::size_t hash(by_columns::loose wanted) const { return hash_(wanted); }
    void fetch_place(std::size_t hash) const {
        if (!slots_.empty()) {
            __builtin_prefetch(&slots_[hash & mask()]);
        }
    }
    /// The record that is probably the one.
    [[nodiscard]] const record* likely(std::size_t hash) const {
        return slots_.empty() ? nullptr : slots_[hash & mask()].owner;
    }

private:
    struct slot {
        std::size_t hash = 0;
        record* owner = nullptr;
    };
    [[nodiscard]] std::size_t mask() const { return slots_.size() - 1; }
    /// Where it is, or the free place where it would be.
    template <class Wanted>
    [[nodiscard]] std::size_t place_of(const Wanted& wanted, std::size_t hash) const {
        auto i = hash & mask();
        while (slots_[i].owner != nullptr &&
               !(slots_[i].hash == hash && equal_(wanted, slots_[i].owner))) {
            i = (i + 1) & mask();
        }
        return i;
    }
    void grow();

    hash_columns hash_;
    equal_columns equal_;
    std::vector<slot> slots_; ///< a power of two, at most three quarters full
    std::size_t used_ = 0;
};

/// Which unique key a row would break: its columns.
using violation = std::span<const column_id>;

/// The rows of one object: in key order, found by key and by each unique index. Not locked; the
/// store's lock protects it.
class table {
public:
    explicit table(const templates::template_def& target);
    table(const table&) = delete;
    table& operator=(const table&) = delete;

    using rows = std::set<std::unique_ptr<record>, less_columns>;

    /// Adds the columns and unique indexes that this template has and the table does not. What is
    /// wrong with it, or empty.
    std::string adopt(const templates::template_def& target);

    /// The column of a field's stored name, or `no_column`; `likely` is tried first.
    [[nodiscard]] column_id column(std::string_view name, std::size_t likely) const;
    [[nodiscard]] std::size_t width() const { return columns_.size(); }
    [[nodiscard]] const std::vector<column_id>& key() const { return key_; }

    [[nodiscard]] record* find(std::span<const core::value> key) const;
    /// Has the rows of these operations' keys in the processor's cache when `find` comes to them: a
    /// batch then waits for memory once instead of at each row.
    void fetch_ahead(std::span<const bound_operation* const> by_key,
                     std::vector<std::size_t>& scratch) const;
    /// Does some unique index stand on exactly these columns, in any order? Then `found` is its one
    /// record with these values, or null. `scratch` is what the look-up works in.
    [[nodiscard]] bool find_unique(std::span<const column_id> columns,
                                   std::span<const core::value> values,
                                   std::vector<core::value>& scratch, record*& found) const;
    [[nodiscard]] const rows& in_order() const { return ordered_; }

    /// Changes nothing when a unique key is violated.
    std::optional<violation> insert(std::unique_ptr<record> made);
    std::optional<violation> replace(record& changed, row::ptr& contents);
    std::unique_ptr<record> remove(record& removed);

    /// The next value of the generated column: above all that were ever there.
    [[nodiscard]] std::uint64_t next_generated() const { return counter_ + 1; }

private:
    struct unique_index {
        explicit unique_index(std::vector<column_id> given)
            : columns(std::move(given)), records(columns) {}
        [[nodiscard]] bool holds(const row& contents) const;
        std::vector<column_id> columns;
        hash_index records;
    };
    rows::const_iterator position_of(const record& of) const;
    /// The generated column counts on from values that were given, too.
    void count_generated(const row& contents);

    std::vector<std::string> columns_;
    std::vector<core::field_type> types_;
    std::vector<column_id> key_;
    rows ordered_;
    hash_index by_key_;
    std::deque<unique_index> uniques_; // in place: indexes point at their columns
    column_id generated_ = no_column;
    std::uint64_t counter_ = 0;
};

} // namespace beds::adapters::memory
