#include "adapters/mariadb/statement.hpp"

#include "adapters/json_text.hpp"

#include <bit>
#include <cstring>
#include <new>

namespace beds::adapters::mariadb {
namespace {

void fill_date(std::int64_t days, MYSQL_TIME& to) {
    int year = 0;
    core::civil_from_days(days, year, to.month, to.day);
    to.year = static_cast<unsigned>(year);
}

void fill_time(std::int64_t microseconds, MYSQL_TIME& to) {
    to.second_part = static_cast<unsigned long>(microseconds % 1'000'000);
    const auto seconds = microseconds / 1'000'000;
    to.second = static_cast<unsigned>(seconds % 60);
    to.minute = static_cast<unsigned>(seconds / 60 % 60);
    to.hour = static_cast<unsigned>(seconds / 3600);
}

constexpr std::int64_t day_microseconds = 86'400LL * 1'000'000LL;

} // namespace

statement::statement(MYSQL* connection) : handle_(mysql_stmt_init(connection)) {
    if (!handle_) {
        throw std::bad_alloc{};
    }
    // The driver hands each cell to this callback instead of copying it into a bound buffer.
    mysql_stmt_attr_set(handle_.get(), STMT_ATTR_CB_USER_DATA, this);
    mysql_stmt_attr_set(handle_.get(), STMT_ATTR_CB_RESULT,
                        reinterpret_cast<const void*>(&statement::on_cell));
}

void statement::on_cell(void* self, unsigned column, unsigned char** at) {
    auto& here = *static_cast<statement*>(self);
    if (at == nullptr) {
        here.cells_[column] = {};
        return;
    }
    // Where the row ends the driver does not tell here. Connector/C 3.3.20 checks behind this call
    // that it was not passed; behind the buffer nothing may be read to begin with.
    const auto* const end = here.handle_->mysql->net.buff_end;
    const auto cell = take_cell(here.handle_->fields[column].type, at, end);
    here.overrun_ = here.overrun_ || !cell;
    here.cells_[column] = cell.value_or(raw_cell{});
}

bool statement::prepare(std::string_view text) {
    return mysql_stmt_prepare(handle_.get(), text.data(), text.size()) == 0;
}

void statement::bind(const parameter& from, MYSQL_BIND& to, slot& room, core::arena& memory) {
    using kind = core::value::kind;
    const core::value& value = from.value;
    const auto text = [&to](enum_field_types type, std::string_view bytes) {
        to.buffer_type = type;
        // The driver only reads parameters, but its structure serves results as well.
        to.buffer = const_cast<char*>(bytes.data() == nullptr ? "" : bytes.data());
        to.buffer_length = bytes.size();
    };
    switch (value.type) {
    case kind::null:
        to.buffer_type = MYSQL_TYPE_NULL;
        return;
    case kind::boolean:
    case kind::integer:
        room.integer = value.integer;
        to.buffer_type = MYSQL_TYPE_LONGLONG;
        to.buffer = &room;
        return;
    case kind::unsigned_integer:
        std::memcpy(&room.integer, &value.unsigned_integer, sizeof room.integer);
        to.buffer_type = MYSQL_TYPE_LONGLONG;
        to.is_unsigned = 1;
        to.buffer = &room;
        return;
    case kind::real:
        room.real = value.real;
        to.buffer_type = MYSQL_TYPE_DOUBLE;
        to.buffer = &room;
        return;
    case kind::decimal:
        text(MYSQL_TYPE_NEWDECIMAL, value.text);
        return;
    case kind::string:
        text(MYSQL_TYPE_VAR_STRING, value.text);
        return;
    case kind::uuid:
        if (from.how == encoding::uuid_bytes) {
            parse_uuid(value.text, room.bytes);
            text(MYSQL_TYPE_BLOB, {reinterpret_cast<const char*>(room.bytes), sizeof room.bytes});
        } else {
            text(MYSQL_TYPE_VAR_STRING, value.text);
        }
        return;
    case kind::bytes:
        text(MYSQL_TYPE_BLOB, value.text);
        return;
    case kind::date:
        room.moment = {};
        room.moment.time_type = MYSQL_TIMESTAMP_DATE;
        fill_date(value.integer, room.moment);
        to.buffer_type = MYSQL_TYPE_DATE;
        to.buffer = &room;
        return;
    case kind::time:
        room.moment = {};
        room.moment.time_type = MYSQL_TIMESTAMP_TIME;
        fill_time(value.integer, room.moment);
        to.buffer_type = MYSQL_TYPE_TIME;
        to.buffer = &room;
        return;
    case kind::datetime: {
        room.moment = {};
        room.moment.time_type = MYSQL_TIMESTAMP_DATETIME;
        auto days = value.integer / day_microseconds;
        auto rest = value.integer % day_microseconds;
        if (rest < 0) {
            rest += day_microseconds;
            --days;
        }
        fill_date(days, room.moment);
        fill_time(rest, room.moment);
        to.buffer_type = MYSQL_TYPE_DATETIME;
        to.buffer = &room;
        return;
    }
    case kind::json:
    case kind::document:
        text(MYSQL_TYPE_VAR_STRING, json_text(value, memory));
        return;
    }
}

bool statement::execute(std::span<const parameter> parameters, std::uint64_t most_bytes,
                        core::arena& memory) {
    binds_.assign(parameters.size(), MYSQL_BIND{});
    slots_.resize(parameters.size());
    constexpr std::uint64_t each_at_most = 16; // type, NULL bit, length or value
    std::uint64_t bytes = 64 + parameters.size() * each_at_most;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        bind(parameters[i], binds_[i], slots_[i], memory);
        bytes += binds_[i].buffer_length;
    }
    overrun_ = false;
    too_large_ = bytes > most_bytes;
    if (too_large_) {
        return false;
    }
    if (parameters.size() != handle_->param_count) {
        return false; // cannot happen: text and values are made side by side
    }
    if (!parameters.empty() && mysql_stmt_bind_param(handle_.get(), binds_.data()) != 0) {
        return false;
    }
    if (mysql_stmt_execute(handle_.get()) != 0) {
        return false;
    }
    cells_.resize(handle_->field_count);
    return true;
}

statement::fetched statement::fetch() {
    const int went = mysql_stmt_fetch(handle_.get());
    if (overrun_) {
        return fetched::failed;
    }
    switch (went) {
    case 0:
    case MYSQL_DATA_TRUNCATED:
        return fetched::row;
    case MYSQL_NO_DATA:
        return fetched::end;
    default:
        return fetched::failed;
    }
}

statement::fetched statement::next_result() {
    const int more = mysql_stmt_next_result(handle_.get());
    if (more == 0) {
        cells_.resize(handle_->field_count);
        return fetched::row;
    }
    return more < 0 ? fetched::end : fetched::failed;
}

bool statement::holds_out_arguments() const {
    return (handle_->mysql->server_status & SERVER_PS_OUT_PARAMS) != 0;
}

bool statement::finish() {
    for (;;) {
        if (handle_->field_count != 0 && mysql_stmt_free_result(handle_.get()) != 0) {
            return false;
        }
        const auto more = next_result();
        if (more != fetched::row) {
            return more == fetched::end;
        }
    }
}

server_error statement::error() const {
    if (overrun_) {
        constexpr unsigned malformed_packet = 2027;
        return {malformed_packet, "HY000", "a row does not end where it should"};
    }
    if (too_large_) {
        constexpr unsigned packet_too_large = 1153;
        return {packet_too_large, "08S01", "the values are larger than max_allowed_packet"};
    }
    if (mysql_stmt_errno(handle_.get()) != 0 || handle_->mysql == nullptr) {
        return {mysql_stmt_errno(handle_.get()), mysql_stmt_sqlstate(handle_.get()),
                mysql_stmt_error(handle_.get())};
    }
    // What ends a result in the middle (INSERT … RETURNING met a duplicate) is told to the
    // connection only.
    return {mysql_errno(handle_->mysql), mysql_sqlstate(handle_->mysql),
            mysql_error(handle_->mysql)};
}

} // namespace beds::adapters::mariadb
