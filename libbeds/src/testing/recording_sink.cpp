#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>
#include <beds/testing/recording_sink.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <stdexcept>

namespace beds::testing {

using kind = core::value::kind;

namespace {

const core::datum& sorted(const core::datum& tree, core::arena& memory) {
    auto& made = *memory.make<core::datum>();
    made = tree;
    if (tree.is(core::datum::kind::array)) {
        const auto items = memory.copy(tree.items());
        std::transform(items.begin(), items.end(), items.begin(),
                       [&](const core::datum& item) { return sorted(item, memory); });
        made = core::datum::of(std::span<const core::datum>{items});
    } else if (tree.is(core::datum::kind::object)) {
        const auto members = memory.copy(tree.members());
        for (auto& member : members) {
            member.value = sorted(member.value, memory);
        }
        std::sort(members.begin(), members.end(),
                  [](const auto& a, const auto& b) { return a.name < b.name; });
        made = core::datum::of(std::span<const core::member>{members});
    }
    return made;
}

/// One text for one meaning: members sorted by name, no white space, plain escapes.
std::string canonical(const std::string& text) {
    core::arena memory{4096};
    core::datum tree;
    if (core::parse_json(text, memory, tree)) {
        return "not JSON: " + text;
    }
    std::string made;
    core::append_json(made, sorted(tree, memory));
    return made;
}

} // namespace

owned_value::owned_value(const core::value& from) : kind_(from.type) {
    switch (from.type) {
    case kind::null:
        break;
    case kind::boolean:
    case kind::integer:
    case kind::date:
    case kind::time:
    case kind::datetime:
        bits_ = static_cast<std::uint64_t>(from.integer);
        break;
    case kind::unsigned_integer:
        bits_ = from.unsigned_integer;
        break;
    case kind::real:
        bits_ = std::bit_cast<std::uint64_t>(from.real);
        break;
    case kind::decimal:
    case kind::string:
    case kind::uuid:
    case kind::bytes:
    case kind::json:
        text_ = from.text;
        break;
    case kind::document:
        kind_ = kind::json;
        core::append_json(text_, *from.document);
        break;
    }
}

core::value owned_value::view() const {
    core::value made;
    made.type = kind_;
    if (kind_ == kind::unsigned_integer) {
        made.unsigned_integer = bits_;
    } else if (kind_ == kind::real) {
        made.real = std::bit_cast<double>(bits_);
    } else {
        made.integer = static_cast<std::int64_t>(bits_);
    }
    made.text = text_;
    return made;
}

bool operator==(const owned_value& left, const owned_value& right) {
    if (left.kind_ != right.kind_) {
        return false;
    }
    if (left.kind_ == kind::json) {
        return canonical(left.text_) == canonical(right.text_);
    }
    if (left.kind_ == kind::real) {
        return left.view().real == right.view().real;
    }
    return left.bits_ == right.bits_ && left.text_ == right.text_;
}

std::string to_string(const owned_value& value) {
    const auto view = value.view();
    char text[32];
    switch (value.kind()) {
    case kind::null:
        return "null";
    case kind::boolean:
        return view.integer != 0 ? "true" : "false";
    case kind::integer:
        return std::to_string(view.integer);
    case kind::unsigned_integer:
        return std::to_string(view.unsigned_integer) + "u";
    case kind::real:
        return {text, std::to_chars(text, text + sizeof text, view.real).ptr};
    case kind::date:
        return {text, core::format_date(view.integer, text)};
    case kind::time:
        return {text, core::format_time(view.integer, text)};
    case kind::datetime:
        return {text, core::format_datetime(view.integer, text)};
    case kind::decimal:
        return "decimal " + std::string{view.text};
    case kind::uuid:
        return "uuid " + std::string{view.text};
    case kind::json:
    case kind::document:
        return "json " + std::string{view.text};
    case kind::bytes: {
        static constexpr char hex[] = "0123456789abcdef";
        std::string made = "0x";
        for (const char byte : view.text) {
            made += hex[static_cast<unsigned char>(byte) >> 4];
            made += hex[static_cast<unsigned char>(byte) & 15];
        }
        return made;
    }
    case kind::string:
        break;
    }
    return '"' + std::string{view.text} + '"';
}

const owned_value& recorded_row::at(std::string_view name) const {
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) {
            return cells.at(i);
        }
    }
    throw std::out_of_range{"row without a cell '" + std::string{name} + "': " + to_string(*this)};
}

std::string to_string(const recorded_row& row) {
    std::string made = "{";
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
        made += (i == 0 ? "" : ", ") + row.names[i] + ": " + to_string(row.cells[i]);
    }
    return made + "}";
}

kind kind_of(const core::field_type& type) {
    using core::type_kind;
    switch (type.kind) {
    case type_kind::boolean:
        return kind::boolean;
    case type_kind::int8:
    case type_kind::int16:
    case type_kind::int32:
    case type_kind::int64:
        return kind::integer;
    case type_kind::uint8:
    case type_kind::uint16:
    case type_kind::uint32:
    case type_kind::uint64:
        return kind::unsigned_integer;
    case type_kind::float64:
        return kind::real;
    case type_kind::decimal:
        return kind::decimal;
    case type_kind::string:
    case type_kind::enumeration:
        return kind::string;
    case type_kind::uuid:
        return kind::uuid;
    case type_kind::bytes:
        return kind::bytes;
    case type_kind::date:
        return kind::date;
    case type_kind::time:
        return kind::time;
    case type_kind::datetime:
        return kind::datetime;
    case type_kind::json:
    case type_kind::document:
        return kind::json;
    }
    return kind::null;
}

const recorded_result& recording_sink::of(core::op_index op) const {
    static const recorded_result nothing;
    const auto found = results_.find(op);
    return found == results_.end() ? nothing : found->second;
}

void recording_sink::clear() {
    results_.clear();
    violations_.clear();
    layout_ = nullptr;
}

void recording_sink::reset(core::op_index op) {
    auto& result = results_[op];
    const auto resets = result.resets + 1;
    result = {};
    result.resets = resets;
    // A row that was given up half-way is forgotten with its operation.
    if (layout_ != nullptr && row_op_ == op) {
        layout_ = nullptr;
    }
}

recorded_result& recording_sink::open(core::op_index op, const char* what) {
    if (layout_ != nullptr) {
        violations_.push_back(std::string{what} + " while a row of operation " +
                              std::to_string(row_op_) + " is open");
        layout_ = nullptr;
    }
    return results_[op];
}

void recording_sink::begin_row(core::op_index op, const core::row_layout& layout) {
    open(op, "begin_row").has_rows = true;
    layout_ = &layout;
    row_op_ = op;
    row_ = {};
}

void recording_sink::check_cell(const core::row_layout& layout, std::size_t column,
                                const core::value& given) {
    if (column >= layout.size()) {
        violations_.push_back("more cells than the layout has columns");
        return;
    }
    if (given.is_null()) {
        return;
    }
    const auto& type = layout.columns()[column].type;
    if (given.type != kind_of(type) &&
        !(given.type == kind::document && kind_of(type) == kind::json)) {
        violations_.push_back("cell '" + layout.columns()[column].name + "' of type " +
                              core::to_string(type) + " is given as " +
                              to_string(owned_value{given}));
    }
}

void recording_sink::cell(const core::value& given) {
    if (layout_ == nullptr) {
        violations_.push_back("cell outside of a row");
        return;
    }
    check_cell(*layout_, row_.cells.size(), given);
    if (row_.cells.size() < layout_->size()) {
        row_.names.push_back(layout_->columns()[row_.cells.size()].name);
        row_.cells.emplace_back(given);
    }
}

void recording_sink::end_row() {
    if (layout_ == nullptr) {
        violations_.push_back("end_row without begin_row");
        return;
    }
    if (row_.cells.size() != layout_->size()) {
        violations_.push_back("a row of " + std::to_string(row_.cells.size()) +
                              " cells instead of " + std::to_string(layout_->size()));
    }
    auto& result = results_[row_op_];
    auto& rows = result.sets.empty() ? result.rows : result.sets.back().rows;
    rows.push_back(std::move(row_));
    layout_ = nullptr;
}

void recording_sink::share_rows(core::op_index from, core::op_index to) {
    auto& target = open(to, "share_rows");
    const auto& source = of(from);
    if (!source.has_rows) {
        violations_.push_back("rows are shared from an operation that has none");
    }
    target.has_rows = true;
    target.rows = source.rows;
}

void recording_sink::no_rows(core::op_index op) {
    auto& result = open(op, "no_rows");
    if (!result.rows.empty()) {
        violations_.push_back("no_rows after rows were written");
    }
    result.has_rows = true;
}

void recording_sink::next(core::op_index op, std::uint64_t tag,
                          std::span<const core::value> position) {
    auto& result = open(op, "next");
    if (result.next.has_value()) {
        violations_.push_back("next is said twice");
    }
    result.next = recorded_cursor{tag, {}};
    for (const auto& value : position) {
        result.next->position.emplace_back(value);
    }
}

void recording_sink::total(core::op_index op, std::uint64_t total) {
    open(op, "total").total = total;
}

void recording_sink::exists(core::op_index op, bool exists) {
    open(op, "exists").exists = exists;
}

void recording_sink::count(core::op_index op, std::uint64_t count) {
    auto& result = open(op, "count");
    if (result.count.has_value()) {
        violations_.push_back("count is said twice");
    }
    result.count = count;
}

void recording_sink::key(core::op_index op, const core::row_layout& layout,
                         std::span<const core::value> key) {
    auto& result = open(op, "key");
    if (key.size() != layout.size()) {
        violations_.push_back("a key of " + std::to_string(key.size()) + " values instead of " +
                              std::to_string(layout.size()));
    }
    auto& made = result.keys.emplace_back();
    for (std::size_t i = 0; i < key.size(); ++i) {
        check_cell(layout, i, key[i]);
        made.emplace_back(key[i]);
    }
}

void recording_sink::begin_set(core::op_index op, std::string_view name) {
    open(op, "begin_set").sets.push_back({std::string{name}, {}});
}

void recording_sink::out(core::op_index op, const core::row_layout& layout,
                         std::span<const core::value> values) {
    auto& result = open(op, "out");
    if (values.size() != layout.size()) {
        violations_.push_back("out of " + std::to_string(values.size()) + " values instead of " +
                              std::to_string(layout.size()));
    }
    result.out.emplace();
    for (std::size_t i = 0; i < std::min(values.size(), layout.size()); ++i) {
        check_cell(layout, i, values[i]);
        result.out->names.push_back(layout.columns()[i].name);
        result.out->cells.emplace_back(values[i]);
    }
}

} // namespace beds::testing
