#include "adapters/mariadb/session.hpp"
#include "core/characters.hpp"

#include <algorithm>
#include <charconv>
#include <functional>

namespace beds::adapters::mariadb {

using core::code;
using core::outcome;

namespace {

/// How many arms one UNION ALL has at most.
constexpr std::size_t most_arms = 64;

std::uint64_t mix(std::uint64_t sum, std::uint64_t next) {
    constexpr std::uint64_t odd = 0x9E3779B97F4A7C15ULL;
    sum ^= next + odd + (sum << 6U) + (sum >> 2U);
    return sum * odd;
}

std::uint64_t hash_of(std::uint64_t sum, const core::value& value) {
    using kind = core::value::kind;
    switch (value.type) {
    case kind::boolean:
    case kind::integer:
    case kind::date:
    case kind::time:
    case kind::datetime:
        return mix(sum, static_cast<std::uint64_t>(value.integer));
    case kind::unsigned_integer:
        return mix(sum, value.unsigned_integer);
    case kind::real:
        // 0.0 and -0.0 are equal but differ in their bits.
        return mix(sum, std::hash<double>{}(value.real));
    case kind::null:
    case kind::document:
        return mix(sum, 0);
    default:
        return mix(sum, std::hash<std::string_view>{}(value.text));
    }
}

/// Of all keys that may be one to the server, the same.
std::uint64_t hash_of(std::span<const core::value> key) {
    std::uint64_t sum = 0;
    for (const auto& part : key) {
        sum = hash_of(sum, core::without_blanks_at_end(part));
    }
    return sum;
}

} // namespace

bool mariadb_session::read_value(const raw_cell& cell, const MYSQL_FIELD& column,
                                 const core::field_type& type, cell_text& room, core::value& to) {
    if (!read_cell(cell, column, type, room, to)) {
        return false;
    }
    if (to.type != core::value::kind::json) {
        return true;
    }
    // It stands in the reply as it is, and what is no JSON would spoil all of the reply.
    core::datum parsed;
    json_memory_.reset();
    return !json_.parse(to.text, json_memory_, parsed);
}

bool mariadb_session::read_row(const statement& from, const selection& columns,
                               const templates::template_def& target, std::size_t first_cell) {
    const auto cells = from.cells();
    values_.resize(columns.fields.size());
    if (rooms_.size() < values_.size()) {
        rooms_.resize(values_.size());
    }
    bool fine = true;
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const std::size_t at = first_cell + i;
        const auto& column = from.column(at);
        const auto& type = target.fields[columns.fields[i]].type;
        const bool otherwise = is_uuid_in_upper_case(cells[at], column, type);
        if (otherwise || !read_value(cells[at], column, type, rooms_[i], values_[i])) {
            values_[i] = core::value::of_null();
            unreadable_ = columns.fields[i];
            unreadable_kind_ =
                otherwise ? unreadable_kind::upper_case : why_unreadable(column, type);
            fine = false;
        }
    }
    return fine;
}

void mariadb_session::write_row(const bound_operation& op, std::size_t cells) {
    rows_->begin_row(op.index, *op.layout);
    for (std::size_t i = 0; i < cells; ++i) {
        rows_->cell(values_[i]);
    }
    rows_->end_row();
}

ran mariadb_session::fetch_group(operation_list work) {
    const auto& target = *work.front()->target;
    const template_shape* shape = nullptr;
    if (const auto went = learn(target, shape); went != ran::fine) {
        return went;
    }
    if (work.size() > 1 && !connection_.facts().may.fetch) {
        return one_at_a_time(work);
    }
    selection_.start(work.front()->fields);
    if (!keys_compare_by_value(target, shape->read)) {
        const bool joins = can_join(work, shape->read);
        const std::size_t most = joins ? most_in_one_statement : most_arms;
        for (std::size_t first = 0; first < work.size(); first += most) {
            const auto went = fetch_chunk_by_arms(
                work.subspan(first, std::min(most, work.size() - first)), shape->read, joins);
            if (went != ran::fine) {
                return went == ran::refused ? fetch_apart(work) : went;
            }
        }
        return ran::fine;
    }

    places_.clear();
    for (const auto field : target.key) {
        places_.push_back(selection_.place(field));
    }
    keys_.clear();
    for (const auto* op : work) {
        result(*op) = {};
        keys_.push_back({hash_of(op->key), op});
    }
    std::sort(keys_.begin(), keys_.end(), [](const key_entry& a, const key_entry& b) {
        return a.hash != b.hash ? a.hash < b.hash : less_key(a.op->key, b.op->key);
    });
    const auto same_key = [](const key_entry& a, const key_entry& b) {
        return a.hash == b.hash &&
               std::equal(a.op->key.begin(), a.op->key.end(), b.op->key.begin(), b.op->key.end());
    };
    // One statement for at most so many different keys; those who share a key share its row.
    for (std::size_t first = 0; first < keys_.size();) {
        unique_.clear();
        std::size_t last = first;
        for (; last < keys_.size(); ++last) {
            if (last == first || !same_key(keys_[last - 1], keys_[last])) {
                if (unique_.size() == most_in_one_statement) {
                    break;
                }
                unique_.push_back(keys_[last].op);
            }
        }
        found_.assign(unique_.size(), 0);
        if (const auto went = fetch_chunk_by_keys(unique_, shape->read); went != ran::fine) {
            return went == ran::refused ? fetch_apart(work) : went;
        }
        std::size_t at = 0;
        for (std::size_t i = first; i < last; ++i) {
            const bound_operation& op = *keys_[i].op;
            if (i > first && same_key(keys_[i - 1], keys_[i])) {
                result(op) = result(*unique_[at]);
                if (result(op).ok() && found_[at] != 0) {
                    rows_->share_rows(unique_[at]->index, op.index);
                    continue;
                }
            } else if (i > first) {
                ++at;
            }
            if (result(op).ok() && found_[at] == 0) {
                rows_->no_rows(op.index);
            }
        }
        first = last;
    }
    return ran::fine;
}

ran mariadb_session::fetch_apart(operation_list work) {
    if (work.size() == 1) {
        return ran::fine; // its outcome says why
    }
    for (const auto* op : work) {
        rows_->reset(op->index);
    }
    return one_at_a_time(work);
}

ran mariadb_session::fetch_chunk_by_keys(operation_list work, const table_shape& shape) {
    const auto& target = *work.front()->target;
    fetch_by_keys(query_, selection_, work, shape);
    statement* made = nullptr;
    if (const auto went = execute(made); went != ran::fine) {
        for (std::size_t i = 0; went == ran::refused && i < work.size(); ++i) {
            result(*work[i]) = refusal(*work[i], *memory_);
        }
        return went;
    }
    // keys_ is sorted by hash; work holds one operation of each key in the same order.
    hashes_.clear();
    for (const auto* op : work) {
        hashes_.push_back(hash_of(op->key));
    }
    statement::fetched row{};
    while ((row = made->fetch()) == statement::fetched::row) {
        const bool readable = read_row(*made, selection_, target);
        std::uint64_t hash = 0;
        for (const auto place : places_) {
            hash = hash_of(hash, core::without_blanks_at_end(values_[place]));
        }
        const auto is_key_of = [&](const bound_operation& op) {
            for (std::size_t part = 0; part < places_.size(); ++part) {
                const auto& there = values_[places_[part]];
                const auto& asked = op.key[part];
                const bool same =
                    shape.columns[target.key[part]].pads()
                        ? core::without_blanks_at_end(there) == core::without_blanks_at_end(asked)
                        : there == asked;
                if (!same) {
                    return false;
                }
            }
            return true;
        };
        // With and without blanks at the end, a row may have been asked for by several keys.
        for (auto at = static_cast<std::size_t>(
                 std::lower_bound(hashes_.begin(), hashes_.end(), hash) - hashes_.begin());
             at < work.size() && hashes_[at] == hash; ++at) {
            const bound_operation& op = *work[at];
            if (!is_key_of(op) || !result(op).ok()) {
                continue;
            }
            if (found_[at] != 0) {
                log(observe::level::error, "BEDS_MARIADB_KEY",
                    target.name + ": several rows have one key");
                rows_->reset(op.index);
                result(op) = outcome::failure(code::internal, "several rows have this key");
            } else if (!readable) {
                result(op) = unreadable(op);
            } else {
                write_row(op, selection_.asked);
            }
            found_[at] = 1;
        }
    }
    const auto went = fetched(*made, row);
    if (went == ran::refused) {
        for (const auto* op : work) {
            rows_->reset(op->index);
            result(*op) = refusal(*op, *memory_);
        }
    }
    return went;
}

ran mariadb_session::fetch_chunk_by_arms(operation_list work, const table_shape& shape,
                                         bool joins) {
    const auto& target = *work.front()->target;
    for (const auto* op : work) {
        result(*op) = {};
    }
    found_.assign(work.size(), 0);
    if (joins && work.size() > 1) {
        fetch_by_join(query_, selection_, work, shape);
    } else {
        fetch_by_arms(query_, selection_, work, shape);
    }
    statement* made = nullptr;
    auto went = execute(made);
    statement::fetched row{};
    while (went == ran::fine && (row = made->fetch()) == statement::fetched::row) {
        core::value arm;
        static const core::field_type whole{.kind = core::type_kind::int64};
        cell_text room;
        if (!read_cell(made->cells().front(), made->column(0), whole, room, arm) ||
            static_cast<std::size_t>(arm.integer) >= work.size()) {
            continue;
        }
        const auto at = static_cast<std::size_t>(arm.integer);
        const bound_operation& op = *work[at];
        if (!read_row(*made, selection_, target, 1)) {
            result(op) = unreadable(op);
        } else if (result(op).ok()) {
            write_row(op, selection_.asked);
        }
        found_[at] = 1;
    }
    if (went == ran::fine) {
        went = fetched(*made, row);
    }
    for (std::size_t i = 0; i < work.size() && went != ran::ended; ++i) {
        if (went == ran::refused) {
            rows_->reset(work[i]->index);
            result(*work[i]) = refusal(*work[i], *memory_);
        } else if (found_[i] == 0) {
            rows_->no_rows(work[i]->index);
        }
    }
    return went;
}

ran mariadb_session::run_find(const bound_operation& op) {
    const auto& target = *op.target;
    const template_shape* shape = nullptr;
    if (const auto went = learn(target, shape); went != ran::fine) {
        return went;
    }
    start_find(op);
    find(query_, selection_, op, shape->read, *memory_);
    statement* made = nullptr;
    auto went = execute(made);
    statement::fetched row{};
    page at;
    result(op) = {};
    while (went == ran::fine && (row = made->fetch()) == statement::fetched::row) {
        add_to_page(op, *made, 0, at);
    }
    if (went == ran::fine) {
        went = fetched(*made, row);
    }
    if (went == ran::refused) {
        rows_->reset(op.index);
        result(op) = refusal(op, *memory_);
    } else if (went == ran::fine) {
        end_page(op, at);
    }
    return went;
}

void mariadb_session::start_find(const bound_operation& op) {
    selection_.start(op.fields);
    places_.clear();
    for (const auto& key : op.sort) {
        places_.push_back(selection_.place(key.field));
    }
}

void mariadb_session::add_to_page(const bound_operation& op, const statement& from,
                                  std::size_t first_cell, page& at) {
    if (at.rows == op.limit || !result(op).ok()) {
        at.more = true;
        return;
    }
    const auto& target = *op.target;
    if (!read_row(from, selection_, target, first_cell)) {
        rows_->reset(op.index);
        result(op) = unreadable(op);
        return;
    }
    write_row(op, selection_.asked);
    if (++at.rows == op.limit) {
        // The row is gone when it is known whether another one follows.
        at.position = memory_->make_span<core::value>(places_.size());
        for (std::size_t i = 0; i < places_.size(); ++i) {
            at.position[i] = values_[places_[i]];
            at.position[i].text = memory_->copy(at.position[i].text);
        }
    }
}

void mariadb_session::end_page(const bound_operation& op, const page& at) {
    if (!result(op).ok()) {
        return;
    }
    if (at.rows == 0) {
        rows_->no_rows(op.index);
    } else if (at.more) {
        rows_->next(op.index, op.cursor_tag, at.position);
    }
}

std::size_t mariadb_session::arms_for(const bound_operation& op, std::size_t left) const {
    std::size_t values = op.after.size() * (op.after.size() + 3) / 2 + 1;
    for (const auto& given : op.where) {
        values += 2 * given.values.size(); // lists are padded
    }
    constexpr std::size_t most_values = 16'384;
    return unpadded_size(
        std::clamp<std::size_t>(most_values / values, 1, std::min(left, most_arms)));
}

ran mariadb_session::read_by_arms(operation_list work) {
    const auto& first = *work.front();
    if (!connection_.facts().may.find) {
        return one_at_a_time(work);
    }
    const template_shape* shape = nullptr;
    if (const auto went = learn(*first.target, shape); went != ran::fine) {
        return went;
    }
    for (std::size_t at = 0; at < work.size();) {
        const auto chunk = work.subspan(at, arms_for(first, work.size() - at));
        at += chunk.size();
        auto went = ran::refused;
        if (chunk.size() > 1) {
            went = first.op == core::verb::find ? find_chunk(chunk, shape->read)
                                                : number_chunk(chunk, shape->read);
        }
        if (went == ran::refused) { // each tells for itself why
            went = one_at_a_time(chunk);
        }
        if (went == ran::ended) {
            return went;
        }
    }
    return ran::fine;
}

/// The operation that a row names in its first cell; null: a number that was not given.
const bound_operation* mariadb_session::named_by(const statement& from, operation_list work) {
    static const core::field_type whole{.kind = core::type_kind::int64};
    cell_text room;
    core::value arm;
    if (!read_cell(from.cells().front(), from.column(0), whole, room, arm) || arm.is_null() ||
        static_cast<std::uint64_t>(arm.integer) >= work.size()) {
        return nullptr;
    }
    return work[static_cast<std::size_t>(arm.integer)];
}

ran mariadb_session::find_chunk(operation_list work, const table_shape& shape) {
    start_find(*work.front());
    find_by_arms(query_, selection_, work, shape, *memory_);
    statement* made = nullptr;
    if (const auto went = execute(made); went != ran::fine) {
        return went;
    }
    // The server runs the arms in order and ends each one's rows before the next one's.
    std::size_t now = 0;
    page at;
    result(*work.front()) = {};
    bool in_order = true;
    statement::fetched row{};
    while ((row = made->fetch()) == statement::fetched::row) {
        const bound_operation* const op = named_by(*made, work);
        while (in_order && op != work[now]) {
            end_page(*work[now], at);
            at = {};
            in_order = ++now < work.size();
            if (in_order) {
                result(*work[now]) = {};
            }
        }
        if (in_order) {
            add_to_page(*op, *made, 1, at);
        }
    }
    auto went = fetched(*made, row);
    if (went == ran::fine && in_order) {
        for (;;) {
            end_page(*work[now], at);
            at = {};
            if (++now == work.size()) {
                return went;
            }
            result(*work[now]) = {};
        }
    }
    for (const auto* op : work) {
        rows_->reset(op->index);
    }
    return went == ran::ended ? went : ran::refused;
}

ran mariadb_session::number_chunk(operation_list work, const table_shape& shape) {
    numbers_by_arms(query_, work, shape, *memory_);
    statement* made = nullptr;
    if (const auto went = execute(made); went != ran::fine) {
        return went;
    }
    std::size_t answered = 0;
    statement::fetched row{};
    while ((row = made->fetch()) == statement::fetched::row) {
        static const core::field_type whole{.kind = core::type_kind::uint64};
        cell_text room;
        core::value number;
        const bound_operation* const op = named_by(*made, work);
        if (op == nullptr || !read_cell(made->cells()[1], made->column(1), whole, room, number)) {
            continue;
        }
        if (op->op == core::verb::count) {
            rows_->total(op->index, number.unsigned_integer);
        } else {
            rows_->exists(op->index, number.unsigned_integer != 0);
        }
        result(*op) = {};
        ++answered;
    }
    const auto went = fetched(*made, row);
    if (went == ran::fine && answered == work.size()) {
        return went;
    }
    for (const auto* op : work) {
        rows_->reset(op->index);
    }
    return went == ran::ended ? went : ran::refused;
}

ran mariadb_session::read_number(const bound_operation& op, std::uint64_t& number) {
    statement* made = nullptr;
    auto went = execute(made);
    statement::fetched row{};
    while (went == ran::fine && (row = made->fetch()) == statement::fetched::row) {
        static const core::field_type whole{.kind = core::type_kind::uint64};
        cell_text room;
        core::value value;
        if (read_cell(made->cells().front(), made->column(0), whole, room, value)) {
            number = value.unsigned_integer;
        }
    }
    if (went == ran::fine) {
        went = fetched(*made, row);
    }
    result(op) = went == ran::refused ? refusal(op, *memory_) : outcome{};
    return went;
}

ran mariadb_session::run_count(const bound_operation& op) {
    const template_shape* shape = nullptr;
    if (const auto went = learn(*op.target, shape); went != ran::fine) {
        return went;
    }
    count(query_, op, shape->read, *memory_);
    std::uint64_t total = 0;
    const auto went = read_number(op, total);
    if (went == ran::fine) {
        rows_->total(op.index, total);
    }
    return went;
}

ran mariadb_session::run_exists(const bound_operation& op) {
    const template_shape* shape = nullptr;
    if (const auto went = learn(*op.target, shape); went != ran::fine) {
        return went;
    }
    exists(query_, op, shape->read, *memory_);
    std::uint64_t there = 0;
    const auto went = read_number(op, there);
    if (went == ran::fine) {
        rows_->exists(op.index, there != 0);
    }
    return went;
}

} // namespace beds::adapters::mariadb
