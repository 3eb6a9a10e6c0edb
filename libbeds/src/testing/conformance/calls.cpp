#include "testing/conformance/harness.hpp"

namespace beds::testing {

namespace {

core::field_type type(std::string_view text) {
    return *core::parse_field_type(text);
}

} // namespace

templates::template_def conformance_calls(templates::engine store) {
    templates::call transfer;
    transfer.name = "transfer";
    transfer.routine = "conf_transfer";
    transfer.args = {
        {"from", type("int64")}, {"to", type("int64")}, {"amount", type("decimal(18,2)")}};
    transfer.out = {{"new_balance", type("decimal(18,2)")}};
    transfer.errors = {{"45001", "INSUFFICIENT_FUNDS"}, {"45002", "NO_ACCOUNT"}};

    templates::call statement;
    statement.name = "statement";
    statement.op_class = core::op_class::read;
    statement.routine = "conf_statement";
    statement.args = {{"account", type("int64")}};
    statement.returns = {
        {"summary",
         core::row_layout{{{"accounts", type("int64")}, {"balance", type("decimal(18,2)")}}}},
        {"lines", core::row_layout{{{"id", type("int64")}, {"owner", type("string")}}}}};

    templates::call echo;
    echo.name = "echo";
    echo.op_class = core::op_class::read;
    echo.routine = "conf_echo";
    echo.args = {{"word", type("string")}, {"number", type("int64")}};
    echo.out = {{"word", type("string")}, {"number", type("int64")}};

    return template_maker{"conf_accounts"}
        .connection(store == templates::engine::rel ? "rel" : "rec", store)
        .field("id", "int64")
        .field("owner", "string:100")
        .field("balance", "decimal(18,2)")
        .key({"id"})
        .call(std::move(transfer))
        .call(std::move(statement))
        .call(std::move(echo))
        .build();
}

namespace conformance {

namespace {

using texts = std::vector<std::string>;

template_def calls_of(conformance_fixture& fixture) {
    if (!fixture.adapter().can().procedures) {
        throw conformance_skip{"the engine has no procedures"};
    }
    return conformance_calls(fixture.store());
}

struct accounts : stage {
    explicit accounts(conformance_fixture& given) : stage(given, calls_of(given)) {
        if (!fixture.prepare_calls(target)) {
            throw conformance_skip{"the procedures were not made"};
        }
        inspect(target);
        operations in;
        in.insert(target, {{"id", 1}, {"owner", "Ana"}, {"balance", "100.00"}});
        in.insert(target, {{"id", 2}, {"owner", "Beto"}, {"balance", "0.50"}});
        in.insert(target, {{"id", 3}, {"owner", nullptr}, {"balance", "0.00"}});
        run(in);
    }
    [[nodiscard]] texts balances() { return rows({"balance"}); }
};

void require_out(const answer& got, const operation_maker& op, const std::string& expected,
                 where at = where::current()) {
    got.require_ok(op, at);
    require(got.of(op).out.has_value(), "the out arguments are written", at);
    if (to_string(*got.of(op).out) != expected) {
        fail("out is " + to_string(*got.of(op).out) + " instead of " + expected, at);
    }
}

void call_changes_and_answers(conformance_fixture& fixture) {
    accounts on{fixture};
    operations ops;
    const auto move = ops.call(on.target, "transfer", {1, 2, "10.25"});
    const auto got = on.run(ops);
    require_out(got, move, "{new_balance: decimal 89.75}");
    require(got.outcome(move).effect == effect::applied, "a call that writes is applied");
    require(on.balances() == texts{"{balance: decimal 89.75}", "{balance: decimal 10.75}",
                                   "{balance: decimal 0.00}"},
            "the amount moved");
}

void call_that_is_refused(conformance_fixture& fixture) {
    accounts on{fixture};
    operations ops;
    const auto good = ops.call(on.target, "transfer", {1, 2, "60.00"});
    const auto poor = ops.call(on.target, "transfer", {1, 3, "60.00"});
    const auto nobody = ops.call(on.target, "transfer", {1, 99, "1.00"});
    const auto also = ops.call(on.target, "transfer", {1, 3, "40.00"});
    const auto got = on.run(ops);
    require_out(got, good, "{new_balance: decimal 40.00}");
    got.require_error(poor, code::rejected);
    require(got.outcome(poor).reason == "INSUFFICIENT_FUNDS", "the template's word is the reason");
    got.require_error(nobody, code::rejected);
    require(got.outcome(nobody).reason == "NO_ACCOUNT", "each state has its own word");
    require_out(got, also, "{new_balance: decimal 0.00}");
    require(on.balances() == texts{"{balance: decimal 0.00}", "{balance: decimal 60.50}",
                                   "{balance: decimal 40.00}"},
            "calls run in the order given; a refused one leaves nothing and fails alone");
}

void call_with_result_sets(conformance_fixture& fixture) {
    accounts on{fixture};
    operations ops;
    const auto first = ops.call(on.target, "statement", {1});
    const auto last = ops.call(on.target, "statement", {3});
    const auto none = ops.call(on.target, "statement", {77});
    const auto got = on.run(ops);
    const auto text = [&](const operation_maker& op) {
        got.require_ok(op);
        std::string all;
        for (const auto& set : got.of(op).sets) {
            all += set.name + ":";
            for (const auto& row : set.rows) {
                all += " " + to_string(row);
            }
            all += "; ";
        }
        return all;
    };
    require(text(first) == "summary: {accounts: 3, balance: decimal 100.00}; lines: {id: 2, owner: "
                           "\"Beto\"} {id: 3, owner: null}; ",
            "two result sets by name: " + text(first));
    require(text(last) == "summary: {accounts: 3, balance: decimal 0.00}; lines:; ",
            "an empty set is announced: " + text(last));
    require(text(none) == "summary: {accounts: 3, balance: null}; lines:; ",
            "a null in a set: " + text(none));
    require(got.outcome(first).effect == effect::none, "a call that reads has no effect");
}

void call_arguments(conformance_fixture& fixture) {
    accounts on{fixture};
    operations ops;
    const auto both = ops.call(on.target, "echo", {"Ünï'\"\\;--", -5});
    const auto none = ops.call(on.target, "echo", {nullptr, nullptr});
    const auto empty = ops.call(on.target, "echo", {"", 0});
    const auto missing = ops.call(on.target, "echo", {"x"});
    const auto got = on.run(ops);
    require_out(got, both, "{word: \"Ünï'\"\\;--\", number: -5}");
    require_out(got, none, "{word: null, number: null}");
    require_out(got, empty, "{word: \"\", number: 0}");
    require_out(got, missing, "{word: \"x\", number: null}");
}

void calls_in_atomic(conformance_fixture& fixture) {
    accounts on{fixture};
    if (!fixture.adapter().can().transactions) {
        throw conformance_skip{"needs transactions"};
    }
    operations ops;
    ops.call(on.target, "transfer", {1, 2, "60.00"});
    ops.update(on.target, {3}).set({{"owner", "changed"}});
    ops.call(on.target, "transfer", {1, 2, "60.00"});
    const auto before = on.rows();
    const auto got = on.run_by.run_atomic(ops);
    require(got.outcomes[2].code == code::rejected &&
                got.outcomes[2].reason == "INSUFFICIENT_FUNDS",
            text_of(got.outcomes[2]));
    require(got.outcomes[0].status == core::status::skipped &&
                got.outcomes[1].status == core::status::skipped,
            "the others are skipped");
    require(on.rows() == before, "nothing of it is there");
}

} // namespace

void add_calls(cases& to) {
    to.push_back({"call: changes and answers", call_changes_and_answers});
    to.push_back({"call: a refusal leaves nothing and fails alone", call_that_is_refused});
    to.push_back({"call: result sets", call_with_result_sets});
    to.push_back({"call: arguments", call_arguments});
    to.push_back({"call: in an atomic group", calls_in_atomic});
}

} // namespace conformance
} // namespace beds::testing
