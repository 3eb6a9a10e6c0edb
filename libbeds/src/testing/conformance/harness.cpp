#include "testing/conformance/harness.hpp"

#include <algorithm>
#include <atomic>
#include <set>

namespace beds::testing {

namespace conformance {

void fail(const std::string& why, where at) {
    const std::string_view path = at.file;
    const auto slash = path.find_last_of('/');
    throw conformance_failure{std::string{path.substr(slash + 1)} + ':' + std::to_string(at.line) +
                              ": " + why};
}

void require(bool holds, std::string_view what, where at) {
    if (!holds) {
        fail("not so: " + std::string{what}, at);
    }
}

std::string text_of(const core::outcome& outcome) {
    std::string text{core::to_string(outcome.status)};
    text += ' ';
    text += core::to_string(outcome.code);
    text += ", effect ";
    text += core::to_string(outcome.effect);
    if (!outcome.field.empty()) {
        text += ", field ";
        text += outcome.field;
    }
    if (!outcome.detail.empty()) {
        text += " (";
        text += outcome.detail;
        text += ')';
    }
    return text;
}

std::string fresh(std::string_view text) {
    static const auto run = core::machine_clock().system_now().time_since_epoch().count();
    static std::atomic<unsigned> used{0};
    return std::to_string(run) + '.' + std::to_string(++used) + '.' + std::string{text};
}

void answer::require_ok(const operation_maker& op, where at) const {
    if (!outcome(op).ok()) {
        fail("operation " + std::to_string(op.index()) + " should be ok and is " +
                 text_of(outcome(op)),
             at);
    }
}

void answer::require_error(const operation_maker& op, code expected, where at) const {
    const auto& got = outcome(op);
    if (got.status != core::status::error || got.code != expected) {
        fail("operation " + std::to_string(op.index()) + " should fail with " +
                 std::string{core::to_string(expected)} + " and is " + text_of(got),
             at);
    }
}

void answer::require_error(const operation_maker& op, code expected, std::string_view field,
                           where at) const {
    require_error(op, expected, at);
    if (outcome(op).field != field) {
        fail("the field at fault is '" + std::string{field} + "', told was " + text_of(outcome(op)),
             at);
    }
}

void answer::require_count(const operation_maker& op, std::uint64_t count, where at) const {
    require_ok(op, at);
    const auto got = of(op).count;
    if (got != count) {
        fail("operation " + std::to_string(op.index()) + " counts " +
                 (got ? std::to_string(*got) : "nothing") + " instead of " + std::to_string(count),
             at);
    }
    require((outcome(op).effect == effect::applied) == (count > 0),
            "a write's effect is applied exactly when it counts a row", at);
}

namespace {

std::string joined(const std::vector<std::string>& rows) {
    std::string text = "[";
    for (const auto& row : rows) {
        text += "\n    " + row;
    }
    return text + " ]";
}

std::vector<std::string> texts(const std::vector<recorded_row>& rows) {
    std::vector<std::string> made;
    for (const auto& row : rows) {
        made.push_back(to_string(row));
    }
    return made;
}

} // namespace

void answer::require_rows(const operation_maker& op, const std::vector<std::string>& rows,
                          where at) const {
    require_ok(op, at);
    require(of(op).has_rows, "an operation that reads rows says so even when there are none", at);
    const auto got = texts(of(op).rows);
    if (got != rows) {
        fail("rows " + joined(got) + "\n  instead of " + joined(rows), at);
    }
}

bool writes(const operations& ops) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
        switch (ops[i].op) {
        case core::verb::insert:
        case core::verb::update:
        case core::verb::remove:
            return true;
        case core::verb::call:
            if (ops[i].call->op_class != core::op_class::read) {
                return true;
            }
            break;
        default:
            break;
        }
    }
    return false;
}

std::vector<adapters::group> grouped(operations& ops) {
    struct by_key {
        bool operator()(std::span<const core::value> a, std::span<const core::value> b) const {
            return adapters::less_key(a, b);
        }
    };
    std::vector<adapters::group> groups;
    std::size_t first = 0;
    while (first < ops.size()) {
        std::set<std::span<const core::value>, by_key> keys;
        std::size_t next = first;
        for (; next < ops.size(); ++next) {
            const auto& op = ops[next];
            const bool one_by_one = (op.op == core::verb::update || op.op == core::verb::remove) &&
                                    (op.key.empty() || !keys.insert(op.key).second);
            if (next > first && (one_by_one || !adapters::same_shape(ops[first], op))) {
                break;
            }
        }
        groups.push_back(ops.group(first, next - first, group_mode::independent));
        first = next;
    }
    return groups;
}

driver::driver(conformance_fixture& fixture, std::string name)
    : fixture_(fixture),
      session_(fixture.adapter().open_session(fixture.context(std::move(name)))) {
    require(!session_->usable(), "a session is not usable before it is connected");
    session_->connect(until());
    require(session_->usable(), "a connected session is usable");
}

core::deadline driver::until() const {
    return core::deadline::after(fixture_.traits().patience);
}

void driver::begin(work_kind kind, where at) {
    std::vector<stored_reply> known;
    require(session_->begin(kind, until(), {}, lookup::none, memory_, known) == step_result::done,
            "a unit of work begins", at);
    require(known.empty(), "no reply is known where no id was asked for", at);
}

void driver::begin(operations& ops, std::span<const operation_identity> ids, lookup how,
                   std::vector<stored_reply>& known, where at) {
    require(session_->begin(work_kind::write, until(), ids, how, ops.memory(), known) ==
                step_result::done,
            "a unit of work begins", at);
}

step_result driver::groups(operations& ops, answer& to) {
    to.outcomes.resize(ops.size());
    for (const auto& group : grouped(ops)) {
        const auto step = session_->run(group, to.sink, to.outcomes, ops.memory());
        if (step != step_result::done) {
            return step;
        }
    }
    return step_result::done;
}

void driver::commit(where at) {
    require(session_->commit() == commit_result::applied, "the unit of work is committed", at);
}

answer driver::drive(operations& ops, bool atomic, where at) {
    constexpr int most_reruns = 1000;
    for (int attempt = 0; attempt < most_reruns; ++attempt) {
        answer got;
        got.outcomes.resize(ops.size());
        begin(writes(ops) || atomic ? work_kind::write : work_kind::read, at);
        const auto step = atomic ? session_->run(ops.group(group_mode::atomic), got.sink,
                                                 got.outcomes, ops.memory())
                                 : groups(ops, got);
        if (step == step_result::rerun) {
            session_->rollback();
            continue;
        }
        require(step == step_result::done, "a group runs", at);
        require(session_->seal({}) == step_result::done, "a unit without replies is sealed", at);
        commit(at);
        check(ops, got, at);
        return got;
    }
    fail("the engine asks for a rerun again and again", at);
}

answer driver::run(operations& ops, where at) {
    return drive(ops, false, at);
}

answer driver::run_atomic(operations& ops, where at) {
    return drive(ops, true, at);
}

void driver::check(const operations& ops, const answer& got, where at) const {
    if (!got.sink.violations().empty()) {
        fail("the contract of row_sink is broken: " + got.sink.violations().front(), at);
    }
    for (std::size_t i = 0; i < ops.size(); ++i) {
        const auto& op = ops[i];
        const auto& outcome = got.outcomes[i];
        const auto& result = got.sink.of(op.index);
        const auto say = [&](const char* what) {
            fail("operation " + std::to_string(i) + " (" + text_of(outcome) + "): " + what, at);
        };
        if (!outcome.ok()) {
            if (outcome.effect != effect::none) {
                say("what failed for certain has the effect none");
            }
            if (outcome.detail.empty() && outcome.reason.empty()) {
                say("a failure comes with words for people");
            }
            continue;
        }
        switch (op.op) {
        case core::verb::fetch:
        case core::verb::find:
            if (!result.has_rows) {
                say("neither rows nor no_rows were written");
            }
            break;
        case core::verb::count:
            if (!result.total) {
                say("no total was written");
            }
            break;
        case core::verb::exists:
            if (!result.exists) {
                say("exists was not written");
            }
            break;
        case core::verb::insert:
            if (result.keys.size() != op.rows.size()) {
                say("a key is told for every row that was inserted");
            }
            [[fallthrough]];
        case core::verb::update:
        case core::verb::remove:
            if (!result.count) {
                say("no count was written");
            }
            if ((outcome.effect == effect::applied) != (*result.count > 0)) {
                say("the effect is applied exactly when a row was matched");
            }
            if (result.has_rows == op.fields.empty()) {
                say("a write has rows exactly when it asks for fields");
            }
            continue;
        case core::verb::call:
        case core::verb::describe:
            continue;
        }
        if (outcome.effect != effect::none) {
            say("reading has no effect");
        }
    }
}

void stage::inspect(const template_def& prepared) {
    const auto problems = fixture.adapter().check(prepared);
    require(problems.empty(), problems.empty() ? "" : "the template is taken: " + problems.front());
    const template_def* const targets[] = {&prepared};
    fixture.adapter().inspect(run_by.session(), targets, run_by.until());
}

std::vector<std::string> stage::rows(std::vector<std::string> fields) {
    operations ops;
    auto all = ops.find(target);
    all.limit(100'000);
    if (!fields.empty()) {
        all.fields(std::move(fields));
    }
    const auto got = run_by.run(ops);
    got.require_ok(all);
    return texts(got.of(all).rows);
}

template_maker start(std::string name, const conformance_fixture& fixture) {
    template_maker made{std::move(name)};
    const auto store = fixture.store();
    made.connection(store == templates::engine::rel ? "rel" : "rec", store);
    return made;
}

template_def things(const conformance_fixture& fixture) {
    return start("conf_things", fixture)
        .field("id", "int64", {.column = "id_cth"})
        .field("n", "int32", {.column = "n_cth"})
        .field("name", "string:200", {.column = "name_cth"})
        .field("day", "date", {.column = "day_cth"})
        .field("price", "decimal(12,2)", {.column = "price_cth"})
        .field("flag", "bool", {.column = "flag_cth"})
        .key({"id"})
        .index({"n"})
        .index({"name"})
        .index({"day", "price"})
        .index({"flag"})
        .max_rows(1000)
        .build();
}

template_def uniques(const conformance_fixture& fixture) {
    return start("conf_uniques", fixture)
        .field("id", "int64", {.column = "id_cun"})
        .field("email", "string:100", {.column = "email_cun"})
        .field("a", "int32", {.column = "a_cun"})
        .field("b", "int32", {.column = "b_cun"})
        .field("note", "string:100", {.column = "note_cun"})
        .key({"id"})
        .unique({"email"})
        .unique({"a", "b"})
        .build();
}

template_def generated(const conformance_fixture& fixture) {
    return start("conf_generated", fixture)
        .field("id", "int64", {.source = templates::generated::database, .column = "id_cge"})
        .field("name", "string:100", {.column = "name_cge"})
        .key({"id"})
        .unique({"name"})
        .build();
}

template_def compound(const conformance_fixture& fixture) {
    return start("conf_compound", fixture)
        .field("name", "string:100", {.column = "name_cco"})
        .field("code", "int32", {.column = "code_cco"})
        .field("country", "string:10", {.column = "country_cco"})
        .field("n", "int32", {.column = "n_cco"})
        .key({"country", "code"})
        .index({"n"})
        .build();
}

template_def named(const conformance_fixture& fixture) {
    return start("conf_named", fixture)
        .field("name", "string:100", {.column = "name_cna"})
        .field("n", "int64", {.column = "n_cna"})
        .key({"name"})
        .build();
}

template_def strict(const conformance_fixture& fixture) {
    return start("conf_strict", fixture)
        .field("id", "int64", {.column = "id_cst"})
        .field("name", "string:5", {.required = true, .column = "name_cst"})
        .field("n", "int32", {.nullable = false, .column = "n_cst"})
        .key({"id"})
        .build();
}

} // namespace conformance

std::span<const conformance_case> conformance_cases() {
    static const auto all = [] {
        conformance::cases made;
        conformance::add_reads(made);
        conformance::add_types(made);
        conformance::add_finds(made);
        conformance::add_writes(made);
        conformance::add_returns(made);
        conformance::add_conflicts(made);
        conformance::add_units(made);
        conformance::add_concurrency(made);
        conformance::add_calls(made);
        return made;
    }();
    return all;
}

conformance_result run_case(const conformance_case& chosen, conformance_fixture& fixture) {
    try {
        chosen.run(fixture);
        return {chosen.name, conformance_verdict::passed, {}};
    } catch (const conformance_skip& skip) {
        return {chosen.name, conformance_verdict::skipped, skip.what()};
    } catch (const std::exception& error) {
        return {chosen.name, conformance_verdict::failed, error.what()};
    }
}

std::vector<conformance_result> run_conformance(conformance_fixture& fixture,
                                                std::string_view filter) {
    std::vector<conformance_result> results;
    for (const auto& each : conformance_cases()) {
        if (each.name.find(filter) != std::string::npos) {
            results.push_back(run_case(each, fixture));
        }
    }
    return results;
}

} // namespace beds::testing
