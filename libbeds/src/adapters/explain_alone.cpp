#include "adapters/explain_alone.hpp"

#include "adapters/no_rows.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <array>
#include <string>
#include <vector>

namespace beds::adapters {

bool writes(const bound_operation& op) {
    switch (op.op) {
    case core::verb::insert:
    case core::verb::update:
    case core::verb::remove:
        return true;
    case core::verb::call:
        return op.call != nullptr && op.call->op_class != core::op_class::read;
    default:
        return false;
    }
}

explanation explain_alone(session& through, explanation*& explaining, const bound_operation& op,
                          core::deadline until, std::size_t most_depth,
                          const std::function<void(const core::datum&, explanation&)>& read_plan) {
    explanation made;
    core::arena memory;
    std::array<core::outcome, 1> result{};
    no_rows_sink nowhere;
    std::vector<stored_reply> known;
    auto alone = op;
    alone.index = 0;
    const bound_operation* const operations[] = {&alone};
    auto step = through.begin(writes(op) ? work_kind::write : work_kind::read, until, {},
                              lookup::none, memory, known);
    if (step == step_result::done) {
        struct mode {
            explanation*& of;
            ~mode() { of = nullptr; }
        } const while_it_runs{explaining = &made};
        step = through.run({group_mode::independent, operations}, nowhere, result, memory);
    }
    through.rollback();
    if (made.statement.empty()) {
        throw core::error(step == step_result::done ? core::errc::refused : core::errc::unreachable,
                          step == step_result::done ? std::string{result[0].detail}
                                                    : "the database did not answer in time");
    }
    if (!made.plan.empty()) {
        core::datum plan;
        core::json_parser parser{{.max_depth = most_depth}};
        if (!parser.parse(made.plan, memory, plan)) {
            read_plan(plan, made);
        }
    }
    return made;
}

} // namespace beds::adapters
