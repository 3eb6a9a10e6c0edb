#include <beds/wire/reply.hpp>

#include <algorithm>
#include <charconv>

namespace beds::wire {
namespace {

using core::datum;
using core::outcome;
using core::value;

template <class Number>
void append_number(std::string& out, Number number) {
    char digits[40];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    out.append(digits, end);
}

void append_text_member(std::string& out, std::string_view name, std::string_view text) {
    if (!text.empty()) {
        out.append(",\"").append(name).append("\":");
        core::append_json_string(out, text);
    }
}

/// Status, effect and, for what is not ok, why: everything but the rows.
void append_outcome(std::string& out, const outcome& from) {
    out.append("\"status\":\"").append(to_string(from.status)).push_back('"');
    if (!from.ok()) {
        out.append(",\"code\":\"").append(to_string(from.code)).push_back('"');
        append_text_member(out, "field", from.field);
        append_text_member(out, "reason", from.reason);
    }
    out.append(",\"effect\":\"").append(to_string(from.effect)).push_back('"');
    if (!from.ok()) {
        out.append(is_retryable(from.code) ? ",\"retryable\":true" : ",\"retryable\":false");
        if (from.retry_after.count() > 0) {
            out.append(",\"retry_after_ms\":");
            append_number(out, from.retry_after.count());
        }
        append_text_member(out, "detail", from.detail);
    }
    if (from.at_least_once) {
        out.append(",\"guarantee\":\"at_least_once\"");
    }
}

bool is_wide_integer(core::type_kind kind) {
    return kind == core::type_kind::int64 || kind == core::type_kind::uint64;
}

} // namespace

void reply_writer::start(std::size_t operations) {
    slots_.assign(operations, slot{});
    for (std::size_t i = 0; i < operations; ++i) {
        slots_[i].reply = static_cast<core::op_index>(i);
    }
    reply_bytes_.assign(operations, 0);
    slices_.clear();
    bytes_.clear();
    parts_ = {};
    may_leave_out_ = false;
    left_out_ = 0;
    left_out_bytes_ = 0;
    // One huge batch must not hold its memory for ever.
    constexpr std::size_t keep = 16 * 1024 * 1024;
    if (bytes_.capacity() > keep) {
        bytes_.shrink_to_fit();
    }
}

void reply_writer::same_reply(core::op_index first, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        slots_[first + i].reply = first;
    }
}

void reply_writer::in_parts(std::size_t bytes, std::string_view event,
                            std::function<void(std::string_view)> send) {
    parts_ = {std::max<std::size_t>(bytes, 1), event, 0, std::move(send)};
}

void reply_writer::leave_out() {
    may_leave_out_ = true;
}

void reply_writer::leave_out(slot& reply) {
    if (!reply.left_out) {
        reply.left_out = true;
        ++left_out_;
    }
}

void reply_writer::append_part_members(std::string& out, bool last) const {
    out.append(",\"part\":");
    append_number(out, parts_.next);
    out.append(last ? ",\"last\":true" : ",\"last\":false");
}

void reply_writer::send_part() {
    auto& owner = slots_.front();
    scratch_.assign("{\"v\":1");
    append_text_member(scratch_, "event", parts_.event);
    append_part_members(scratch_, false);
    scratch_.push_back(',');
    append_outcome(scratch_, outcome{});
    append_parts(scratch_, owner);
    scratch_.push_back('}');
    parts_.send(scratch_);
    ++parts_.next;
    bytes_.clear();
    slices_.clear();
    owner.first = owner.last = none;
    owner.bytes = 0;
    reply_bytes_.front() = 0;
}

void reply_writer::int64_as_string(core::op_index op) {
    slots_[op].int64_as_string = true;
}

void reply_writer::reset(core::op_index op) {
    auto& now = slots_[op];
    reply_bytes_[now.reply] -= now.bytes;
    slot fresh;
    fresh.reply = now.reply;
    fresh.int64_as_string = now.int64_as_string;
    fresh.most = now.most;
    fresh.left_out = now.left_out;
    now = fresh;
    parts_.next = 0;
}

reply_writer::slice& reply_writer::append_slice(core::op_index op, part kind) {
    const auto index = static_cast<std::uint32_t>(slices_.size());
    slices_.push_back({bytes_.size(), bytes_.size(), none, kind});
    auto& owner = slots_[op];
    if (owner.first == none) {
        owner.first = index;
    } else {
        slices_[owner.last].next = index;
    }
    owner.last = index;
    return slices_.back();
}

bool reply_writer::account(slot& owner, std::size_t bytes) {
    if (owner.too_large) {
        return false;
    }
    auto& taken = reply_bytes_[owner.reply];
    if (bytes > limits_.max_reply - taken || bytes > owner.most - owner.bytes) {
        taken -= owner.bytes; // for those after it
        owner.bytes = 0;
        owner.too_large = true;
        return false;
    }
    taken += bytes;
    owner.bytes += bytes;
    return true;
}

bool reply_writer::account_new(slot& owner, std::size_t bytes) {
    auto& reply = slots_[owner.reply];
    if (may_leave_out_ && bytes_.size() > limits_.max_batch && owner.reply != 0) {
        leave_out(reply);
    }
    if (reply.left_out) {
        left_out_bytes_ += bytes;
        return false;
    }
    return account(owner, bytes);
}

void reply_writer::finish_slice(core::op_index op) {
    auto& last = slices_.back();
    if (!account_new(slots_[op], bytes_.size() - last.begin)) {
        bytes_.resize(last.begin); // it will be refused: hold no more of it
    }
    last.end = bytes_.size();
}

void reply_writer::begin_row(core::op_index op, const core::row_layout& layout) {
    layout_ = &layout;
    row_op_ = op;
    column_ = 0;
    auto& owner = slots_[op];
    if (!owner.has_sets) {
        owner.has_rows = true;
    }
    const bool joins = owner.last != none && slices_[owner.last].kind == part::rows &&
                       slices_[owner.last].end == bytes_.size();
    if (!joins) {
        append_slice(op, part::rows);
    }
    row_begin_ = bytes_.size();
    bytes_.append(joins ? ",{" : "{");
}

void reply_writer::append_value(const value& given, const core::field_type& type, bool as_string) {
    switch (given.type) {
    case value::kind::null:
        bytes_.append("null");
        return;
    case value::kind::boolean:
        bytes_.append(given.integer != 0 ? "true" : "false");
        return;
    case value::kind::integer:
    case value::kind::unsigned_integer: {
        const bool quoted = as_string && is_wide_integer(type.kind);
        if (quoted) {
            bytes_.push_back('"');
        }
        if (given.type == value::kind::integer) {
            append_number(bytes_, given.integer);
        } else {
            append_number(bytes_, given.unsigned_integer);
        }
        if (quoted) {
            bytes_.push_back('"');
        }
        return;
    }
    case value::kind::real:
        append_number(bytes_, given.real);
        return;
    case value::kind::decimal:
    case value::kind::uuid:
        bytes_.push_back('"');
        bytes_.append(given.text);
        bytes_.push_back('"');
        return;
    case value::kind::string:
        core::append_json_string(bytes_, given.text);
        return;
    case value::kind::bytes:
        bytes_.push_back('"');
        core::append_base64(bytes_, given.text);
        bytes_.push_back('"');
        return;
    case value::kind::date:
    case value::kind::time:
    case value::kind::datetime: {
        char text[32];
        const auto size = given.type == value::kind::date ? core::format_date(given.integer, text)
                          : given.type == value::kind::time
                              ? core::format_time(given.integer, text)
                              : core::format_datetime(given.integer, text);
        bytes_.push_back('"');
        bytes_.append(text, size);
        bytes_.push_back('"');
        return;
    }
    case value::kind::json:
        bytes_.append(given.text);
        return;
    case value::kind::document:
        core::append_json(bytes_, *given.document);
        return;
    }
}

namespace {

/// Most bytes of a number or a time as text.
constexpr std::size_t longest_short = 40;

/// Writes what is short and needs no escaping; null: it is something else.
char* write_short(char* to, const value& given) {
    switch (given.type) {
    case value::kind::null:
        return to + std::string_view{"null"}.copy(to, longest_short);
    case value::kind::boolean:
        return to + std::string_view{given.integer != 0 ? "true" : "false"}.copy(to, longest_short);
    case value::kind::integer:
        return std::to_chars(to, to + longest_short, given.integer).ptr;
    case value::kind::unsigned_integer:
        return std::to_chars(to, to + longest_short, given.unsigned_integer).ptr;
    case value::kind::date:
    case value::kind::time:
    case value::kind::datetime:
        *to++ = '"';
        to += given.type == value::kind::date   ? core::format_date(given.integer, to)
              : given.type == value::kind::time ? core::format_time(given.integer, to)
                                                : core::format_datetime(given.integer, to);
        *to++ = '"';
        return to;
    default:
        return nullptr;
    }
}

} // namespace

void reply_writer::cell(const value& given) {
    const auto name = layout_->json_key(column_);
    const auto& type = layout_->columns()[column_].type;
    const bool quoted = slots_[row_op_].int64_as_string && is_wide_integer(type.kind);
    constexpr std::size_t usual_name = 64;
    if (!quoted && name.size() <= usual_name) { // in one piece: each append costs as much as a cell
        char text[1 + usual_name + longest_short];
        auto* at = text;
        if (column_ != 0) {
            *at++ = ',';
        }
        at += name.copy(at, usual_name);
        auto* const end = write_short(at, given);
        bytes_.append(text, static_cast<std::size_t>((end != nullptr ? end : at) - text));
        if (end == nullptr) {
            append_value(given, type, false);
        }
    } else {
        if (column_ != 0) {
            bytes_.push_back(',');
        }
        bytes_.append(name);
        append_value(given, type, quoted);
    }
    ++column_;
}

void reply_writer::end_row() {
    bytes_.push_back('}');
    auto& owner = slots_[row_op_];
    if (!account_new(owner, bytes_.size() - row_begin_)) {
        bytes_.resize(row_begin_); // it will be refused: hold no more of it
    }
    slices_[owner.last].end = bytes_.size();
    if (parts_.bytes != 0 && bytes_.size() >= parts_.bytes && !owner.has_sets && !owner.too_large) {
        send_part();
    }
}

void reply_writer::share_rows(core::op_index from, core::op_index to) {
    auto& target = slots_[to];
    const auto& source = slots_[from];
    target.first = source.first;
    target.last = source.last;
    target.has_rows = source.has_rows;
    if (slots_[source.reply].left_out) {
        leave_out(slots_[target.reply]);
    } else if (source.too_large) {
        target.too_large = true;
    } else {
        account(target, source.bytes); // in the reply they stand twice
    }
}

void reply_writer::no_rows(core::op_index op) {
    slots_[op].has_rows = true;
}

void reply_writer::next(core::op_index op, std::uint64_t tag, std::span<const value> position) {
    append_slice(op, part::next);
    if (!cursors_) {
        cursors_.emplace(cursor_keys_);
    }
    cursors_->append(bytes_, tag, position);
    finish_slice(op);
}

void reply_writer::total(core::op_index op, std::uint64_t total) {
    slots_[op].total = total;
    slots_[op].has_total = true;
}

void reply_writer::exists(core::op_index op, bool exists) {
    slots_[op].exists = exists;
    slots_[op].has_exists = true;
}

void reply_writer::count(core::op_index op, std::uint64_t count) {
    slots_[op].count = count;
    slots_[op].has_count = true;
}

void reply_writer::append_object(const core::row_layout& layout, std::span<const value> values,
                                 bool as_string) {
    char separator = '{';
    for (std::size_t i = 0; i < layout.size(); ++i) {
        bytes_.push_back(separator);
        bytes_.append(layout.json_key(i));
        append_value(values[i], layout.columns()[i].type, as_string);
        separator = ',';
    }
    if (separator == '{') {
        bytes_.push_back('{');
    }
    bytes_.push_back('}');
}

void reply_writer::key(core::op_index op, const core::row_layout& layout,
                       std::span<const value> key) {
    append_slice(op, part::key);
    const bool as_string = slots_[op].int64_as_string;
    if (key.size() == 1) {
        append_value(key.front(), layout.columns().front().type, as_string);
    } else {
        append_object(layout, key, as_string);
    }
    finish_slice(op);
    slots_[op].has_keys = true;
}

void reply_writer::begin_set(core::op_index op, std::string_view name) {
    append_slice(op, part::set);
    bytes_.append(name);
    slices_.back().end = bytes_.size();
    slots_[op].has_sets = true;
}

void reply_writer::out(core::op_index op, const core::row_layout& layout,
                       std::span<const value> values) {
    append_slice(op, part::out);
    append_object(layout, values, slots_[op].int64_as_string);
    finish_slice(op);
    slots_[op].has_out = true;
}

void reply_writer::stored(core::op_index op, std::string_view reply) {
    slots_[op].stored = reply;
    account(slots_[op], reply.size());
}

void reply_writer::raw(core::op_index op, std::string_view json_members) {
    slots_[op].raw = json_members;
    account(slots_[op], json_members.size());
}

void reply_writer::append_parts(std::string& out, const slot& from) const {
    const auto each = [&](part kind, auto&& use) {
        for (auto i = from.first; i != none; i = slices_[i].next) {
            if (slices_[i].kind == kind) {
                use(std::string_view{bytes_}.substr(slices_[i].begin,
                                                    slices_[i].end - slices_[i].begin));
            }
            if (i == from.last) {
                break; // rows that are shared: what its owner added later is not ours
            }
        }
    };
    if (from.has_rows) {
        out.append(",\"rows\":[");
        bool first = true;
        each(part::rows, [&](std::string_view bytes) {
            if (!bytes.empty()) {
                if (!first) {
                    out.push_back(',');
                }
                first = false;
                out.append(bytes);
            }
        });
        out.push_back(']');
    }
    each(part::next,
         [&](std::string_view bytes) { out.append(",\"next\":\"").append(bytes).push_back('"'); });
    if (from.has_total) {
        out.append(",\"total\":");
        append_number(out, from.total);
    }
    if (from.has_exists) {
        out.append(from.exists ? ",\"exists\":true" : ",\"exists\":false");
    }
    if (from.has_count) {
        out.append(",\"count\":");
        append_number(out, from.count);
    }
    if (from.has_keys) {
        out.append(",\"keys\":[");
        bool first = true;
        each(part::key, [&](std::string_view bytes) {
            if (!first) {
                out.push_back(',');
            }
            first = false;
            out.append(bytes);
        });
        out.push_back(']');
    }
    if (from.has_out) {
        each(part::out, [&](std::string_view bytes) { out.append(",\"out\":").append(bytes); });
    }
    if (from.has_sets) {
        out.append(",\"sets\":{");
        bool first_set = true;
        bool first_rows = true;
        for (auto i = from.first; i != none; i = slices_[i].next) {
            const auto bytes = std::string_view{bytes_}.substr(slices_[i].begin,
                                                               slices_[i].end - slices_[i].begin);
            if (slices_[i].kind == part::set) {
                out.append(first_set ? "\"" : "],\"").append(bytes).append("\":[");
                first_set = false;
                first_rows = true;
            } else if (slices_[i].kind == part::rows && !bytes.empty()) {
                if (!first_rows) {
                    out.push_back(',');
                }
                first_rows = false;
                out.append(bytes);
            }
            if (i == from.last) {
                break;
            }
        }
        out.append(first_set ? "}" : "]}");
    }
}

void reply_writer::append_result(std::string& out, core::op_index op, const outcome& result) const {
    const auto& from = slots_[op];
    if (from.too_large && (result.ok() || !from.stored.empty())) {
        auto refused = outcome::failure(core::code::limit_exceeded,
                                        "the result is larger than the service or the template's "
                                        "max_bytes allows; ask for fewer rows or fields",
                                        {}, result.effect);
        refused.at_least_once = result.at_least_once;
        append_outcome(out, refused);
        return;
    }
    if (!from.stored.empty()) {
        out.append(from.stored);
        return;
    }
    append_outcome(out, result);
    if (result.ok()) {
        append_parts(out, from);
        if (!from.raw.empty()) {
            out.push_back(',');
            out.append(from.raw);
        }
    }
}

std::string_view reply_writer::encode(core::op_index op, const outcome& result,
                                      core::arena& memory) {
    scratch_.clear();
    append_result(scratch_, op, result);
    return memory.copy(std::string_view{scratch_});
}

void reply_writer::append_reply(std::string& out, std::string_view event, bool enveloped,
                                core::op_index first, std::span<const outcome> results) const {
    out.append("{\"v\":1");
    append_text_member(out, "event", event);
    if (parts_.bytes != 0) {
        append_part_members(out, true);
    }
    out.push_back(',');
    if (!enveloped) {
        append_result(out, first, results.front());
        out.push_back('}');
        return;
    }
    std::size_t ok = 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
        const auto& answered = slots_[first + i];
        const bool good =
            !answered.too_large &&
            (answered.stored.empty() ? results[i].ok()
                                     : answered.stored.starts_with("\"status\":\"ok\""));
        ok += good ? 1U : 0U;
    }
    out.append(ok == results.size() ? "\"status\":\"ok\""
               : ok == 0            ? "\"status\":\"error\""
                                    : "\"status\":\"partial\"");
    out.append(",\"results\":[");
    for (std::size_t i = 0; i < results.size(); ++i) {
        out.append(i == 0 ? "{" : ",{");
        append_result(out, first + static_cast<core::op_index>(i), results[i]);
        out.push_back('}');
    }
    out.append("]}");
}

void append_refusal(std::string& out, std::string_view event, const outcome& result) {
    out.append("{\"v\":1");
    append_text_member(out, "event", event);
    out.push_back(',');
    append_outcome(out, result);
    out.push_back('}');
}

namespace {

std::string_view text_of(const datum* from) {
    return from != nullptr && from->is(datum::kind::string) ? from->text : std::string_view{};
}

std::optional<std::uint64_t> number_of(const datum* from) {
    if (from != nullptr && from->is(datum::kind::integer) && from->integer >= 0) {
        return static_cast<std::uint64_t>(from->integer);
    }
    return std::nullopt;
}

bool read_result(const datum& from, result_view& into) {
    into.body = &from;
    const auto status = core::parse_status(text_of(from.find("status")));
    if (!status) {
        return false;
    }
    into.outcome.status = *status;
    // An effect that is missing or unknown here must never be read as "nothing happened".
    into.outcome.effect =
        core::parse_effect(text_of(from.find("effect"))).value_or(core::effect::unknown);
    into.code_text = text_of(from.find("code"));
    if (!into.code_text.empty() || !into.outcome.ok()) {
        into.outcome.code = core::parse_code(into.code_text).value_or(core::code::internal);
    }
    into.outcome.field = text_of(from.find("field"));
    into.outcome.reason = text_of(from.find("reason"));
    into.outcome.detail = text_of(from.find("detail"));
    into.outcome.at_least_once = text_of(from.find("guarantee")) == "at_least_once";
    if (const auto after = number_of(from.find("retry_after_ms"))) {
        into.outcome.retry_after = std::chrono::milliseconds{*after};
    }
    if (const auto* retryable = from.find("retryable")) {
        into.retryable = retryable->is(datum::kind::boolean) && retryable->boolean;
    }
    into.rows = from.find("rows");
    into.keys = from.find("keys");
    into.out = from.find("out");
    into.sets = from.find("sets");
    into.exists = from.find("exists");
    into.next = text_of(from.find("next"));
    into.count = number_of(from.find("count"));
    into.total = number_of(from.find("total"));
    return true;
}

} // namespace

bool decode_reply(std::string_view body, core::json_parser& parser, core::arena& memory,
                  reply_view& into) {
    // The root is kept in the arena: results point into it.
    auto* root = memory.make<datum>();
    if (parser.parse(body, memory, *root) || !root->is(datum::kind::object)) {
        return false;
    }
    const auto* version = root->find("v");
    if (version == nullptr || !version->is(datum::kind::integer) || version->integer != 1) {
        return false;
    }
    into.event = text_of(root->find("event"));
    into.part = static_cast<std::uint32_t>(number_of(root->find("part")).value_or(0));
    const auto* last = root->find("last");
    into.last = last == nullptr || !last->is(datum::kind::boolean) || last->boolean;
    const auto* results = root->find("results");
    into.enveloped = results != nullptr;
    if (results == nullptr) {
        const auto one = memory.make_span<result_view>(1);
        if (!read_result(*root, one.front())) {
            return false;
        }
        into.results = one;
        into.status = one.front().outcome.ok() ? reply_view::kind::ok : reply_view::kind::error;
        return true;
    }
    if (!results->is(datum::kind::array)) {
        return false;
    }
    const auto made = memory.make_span<result_view>(results->count);
    for (std::size_t i = 0; i < made.size(); ++i) {
        const auto& item = results->items()[i];
        if (!item.is(datum::kind::object) || !read_result(item, made[i])) {
            return false;
        }
    }
    into.results = made;
    const auto status = text_of(root->find("status"));
    into.status = status == "ok"        ? reply_view::kind::ok
                  : status == "partial" ? reply_view::kind::partial
                                        : reply_view::kind::error;
    return true;
}

} // namespace beds::wire
