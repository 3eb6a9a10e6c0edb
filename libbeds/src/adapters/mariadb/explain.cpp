#include "adapters/explain_alone.hpp"
#include "adapters/mariadb/information_schema.hpp"
#include "adapters/mariadb/session.hpp"

#include <beds/core/json.hpp>

namespace beds::adapters::mariadb {
namespace {

using core::datum;

std::string text_at(const datum& from, std::string_view name) {
    const auto* found = from.find(name);
    return found == nullptr || !found->is(datum::kind::string) ? std::string{}
                                                               : std::string{found->text};
}

/// What EXPLAIN FORMAT=JSON of MariaDB and MySQL have in common: tables stand in nested objects,
/// with `filesort` or `using_filesort` around those whose rows are sorted.
void read_plan(const datum& from, const bound_operation& op, explanation& into) {
    for (const auto& item : from.items()) {
        read_plan(item, op, into);
    }
    if (from.find("table_name") != nullptr && from.find("access_type") != nullptr) {
        auto& step = into.steps.emplace_back();
        step.object = text_at(from, "table_name");
        step.access = text_at(from, "access_type");
        step.index = text_at(from, "key");
        for (const auto* name : {"rows", "rows_examined_per_scan"}) {
            if (const auto* rows = from.find(name);
                rows != nullptr && rows->integer >= 0 && rows->is(datum::kind::integer)) {
                step.rows = static_cast<std::uint64_t>(rows->integer);
            }
        }
        const bool picks = !op.where.empty() || op.op == core::verb::count;
        if (step.access == "ALL") {
            into.warnings.push_back("every row of '" + step.object +
                                    "' is read: no index leads to them");
        } else if (step.access == "index" && picks) {
            into.warnings.push_back("index '" + step.index + "' of '" + step.object +
                                    "' is read from its beginning: no index leads to the rows");
        }
    }
    for (const auto& [name, value] : from.members()) {
        if (name == "filesort" || (name == "using_filesort" && value.boolean)) {
            into.warnings.emplace_back("the rows are sorted: no index has them in this order");
        }
        read_plan(value, op, into);
    }
}

} // namespace

explanation mariadb_session::explain(const bound_operation& op, core::deadline until) {
    return explain_alone(*this, explaining_, op, until, most_json_depth,
                         [&](const datum& plan, explanation& into) { read_plan(plan, op, into); });
}

ran mariadb_session::explain_instead() {
    if (!explaining_->statement.empty()) {
        return ran::refused; // what would follow a refusal is no part of it
    }
    explaining_->statement = query_.text();
    explaining_->values = query_.parameters().size();
    if (in_call_) {
        explaining_->no_plan = "the server explains no procedure: explain the statements in it";
        return ran::refused;
    }
    const auto text = "EXPLAIN FORMAT=JSON " + std::string{query_.text()};
    auto* const made = connection_.prepared(text);
    if (made == nullptr) {
        explaining_->no_plan = connection_.error().message;
    } else if (!made->execute(query_.parameters(), connection_.facts().max_packet, *memory_)) {
        explaining_->no_plan = made->error().message;
    } else {
        statement::fetched row{};
        while ((row = made->fetch()) == statement::fetched::row) {
            explaining_->plan += text_of(made->cells().front());
        }
        if (row == statement::fetched::failed) {
            explaining_->plan.clear();
            explaining_->no_plan = made->error().message;
        }
    }
    return ran::refused;
}

} // namespace beds::adapters::mariadb
