#include "adapters/mariadb/shape.hpp"

#include "core/characters.hpp"

#include <algorithm>

namespace beds::adapters::mariadb {

core::value column_shape::as_stored(const core::value& given, bool rounds,
                                    core::arena& memory) const {
    using kind = core::value::kind;
    core::value made = given;
    if ((given.type == kind::datetime || given.type == kind::time) && fraction < 6) {
        std::int64_t unit = 1;
        for (unsigned digits = fraction; digits < 6; ++digits) {
            unit *= 10;
        }
        const auto behind = ((given.integer % unit) + unit) % unit; // also before 1970
        made.integer -= behind;
        made.integer += rounds && 2 * behind >= unit ? unit : 0;
    } else if (padded_to > given.text.size() &&
               (given.type == kind::bytes || given.type == kind::string)) {
        const auto room = memory.make_span<char>(padded_to);
        std::fill(std::copy(given.text.begin(), given.text.end(), room.begin()), room.end(), '\0');
        made.text = {room.data(), room.size()};
    } else if (trims && given.type == kind::string) {
        made.text = core::without_blanks_at_end(given.text);
    }
    return made;
}

bool procedure_shape::may_write(const bound_operation& op) const {
    return writes != writing::none && op.op == core::verb::call &&
           op.call->op_class == core::op_class::read;
}

bool procedure_shape::writes_for(const bound_operation& op) const {
    return writes == writing::certain && may_write(op);
}

bool procedure_shape::hides_from(const templates::call& called) const {
    return !made_at_run_time.empty() && !called.dynamic_sql;
}

bool procedure_shape::hides_from(const bound_operation& op) const {
    return op.op == core::verb::call ? hides_from(*op.call)
                                     : !made_at_run_time.empty() && !op.target->write.dynamic_sql;
}

bool procedure_shape::contradicts(const bound_operation& op) const {
    return writes_for(op) || hides_from(op);
}

bool template_shape::describes(const templates::template_def& target) const {
    return name == target.name && object == target.object && read_object == target.read_object() &&
           std::equal(columns.begin(), columns.end(), target.fields.begin(), target.fields.end(),
                      [](const std::string& column, const templates::field& field) {
                          return column == field.column;
                      }) &&
           std::equal(kinds.begin(), kinds.end(), target.fields.begin(), target.fields.end(),
                      [](core::type_kind kind, const templates::field& field) {
                          return kind == field.type.kind;
                      });
}

bool template_shape::visible() const {
    const auto known = [](const column_shape& column) { return column.known; };
    return std::any_of(read.columns.begin(), read.columns.end(), known) ||
           std::any_of(write.columns.begin(), write.columns.end(), known);
}

template_shape assumed_shape(const templates::template_def& target) {
    template_shape made;
    made.name = target.name;
    made.object = target.object;
    made.read_object = target.read_object();
    made.columns.reserve(target.fields.size());
    made.kinds.reserve(target.fields.size());
    for (const auto& field : target.fields) {
        made.columns.push_back(field.column);
        made.kinds.push_back(field.type.kind);
    }
    made.read.columns.resize(target.fields.size());
    made.write.columns.resize(target.fields.size());
    return made;
}

} // namespace beds::adapters::mariadb
