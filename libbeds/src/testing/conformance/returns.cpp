#include "testing/conformance/harness.hpp"

namespace beds::testing::conformance {

namespace {

using rows = std::vector<std::string>;

void insert_gives_back(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations in;
    auto one = in.insert(on.target, {{"id", 1}, {"n", 10}, {"name", "a"}, {"price", "1.5"}});
    one.fields({"price", "id", "day"});
    auto three = in.insert(on.target);
    three.row({{"id", 4}, {"n", 4}, {"name", "d"}})
        .row({{"id", 2}, {"n", 2}, {"name", "b"}})
        .row({{"id", 3}, {"n", 3}, {"name", "c"}});
    three.fields({"id", "name"});
    auto none = in.insert(on.target, {{"id", 5}, {"n", 5}});
    const auto got = on.run(in);
    got.require_rows(one, {"{price: decimal 1.50, id: 1, day: null}"});
    got.require_rows(three,
                     {"{id: 4, name: \"d\"}", "{id: 2, name: \"b\"}", "{id: 3, name: \"c\"}"});
    got.require_count(three, 3);
    got.require_count(none, 1);
    require(!got.of(none).has_rows, "no rows without `return`");
}

void generated_keys_come_back(conformance_fixture& fixture) {
    if (!fixture.traits().generated_keys) {
        throw conformance_skip{"the engine does not generate keys"};
    }
    stage on{fixture, generated(fixture)};
    operations in;
    std::vector<operation_maker> made;
    for (int i = 0; i < 5; ++i) {
        made.push_back(in.insert(on.target, {{"name", std::to_string(i)}}));
        made.back().fields({"id", "name"});
    }
    const auto got = on.run(in);
    for (int i = 0; i < 5; ++i) {
        const auto& of = got.of(made[static_cast<std::size_t>(i)]);
        require(of.keys.size() == 1 && of.rows.size() == 1 &&
                    to_string(of.rows[0].cells[0]) == to_string(of.keys[0][0]) &&
                    to_string(of.rows[0].cells[1]) == "\"" + std::to_string(i) + "\"",
                "each insert gives back its own row with the key that was made");
    }
}

void update_gives_back(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations before;
    for (int i = 1; i <= 5; ++i) {
        before.insert(on.target, {{"id", i}, {"n", i}, {"name", "old"}});
    }
    on.run(before);
    operations in;
    std::vector<operation_maker> changes;
    for (int i = 5; i >= 1; --i) {
        changes.push_back(in.update(on.target, {i}));
        changes.back().set({{"name", "new"}}).fields({"n", "name"});
    }
    auto missing = in.update(on.target, {99});
    missing.set({{"name", "new"}}).fields({"n", "name"});
    auto adds = in.update(on.target, {2});
    adds.inc({{"n", 100}}).fields({"id", "n"});
    auto refused = in.update(on.target, {3});
    refused.set({{"name", "no"}}).expect({{"n", 4}}).fields({"id"});
    auto taken = in.update(on.target, {4});
    taken.set({{"name", "yes"}}).expect({{"n", 4}}).fields({"name"});
    const auto got = on.run(in);
    for (std::size_t i = 0; i < changes.size(); ++i) {
        got.require_rows(changes[i], {"{n: " + std::to_string(5 - i) + ", name: \"new\"}"});
        got.require_count(changes[i], 1);
    }
    got.require_error(missing, code::not_found);
    got.require_rows(adds, {"{id: 2, n: 102}"});
    got.require_error(refused, code::conflict);
    got.require_rows(taken, {"{name: \"yes\"}"});
}

void delete_gives_back(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations before;
    for (int i = 1; i <= 4; ++i) {
        before.insert(on.target, {{"id", i}, {"n", i}, {"name", std::to_string(i)}});
    }
    on.run(before);
    operations in;
    auto first = in.remove(on.target, {3});
    first.fields({"name", "n"});
    auto second = in.remove(on.target, {1});
    second.fields({"name", "n"});
    auto missing = in.remove(on.target, {99});
    missing.fields({"name", "n"});
    auto refused = in.remove(on.target, {2});
    refused.expect({{"n", 9}}).fields({"id"});
    const auto got = on.run(in);
    got.require_rows(first, {"{name: \"3\", n: 3}"});
    got.require_rows(second, {"{name: \"1\", n: 1}"});
    got.require_count(first, 1);
    got.require_error(missing, code::not_found);
    got.require_error(refused, code::conflict);
    require(on.rows({"id"}) == rows{"{id: 2}", "{id: 4}"}, "what was deleted is gone");
}

void by_where_gives_back_all(conformance_fixture& fixture) {
    auto made = things(fixture);
    made.limits.max_rows = 3;
    stage on{fixture, made};
    operations before;
    for (int i = 1; i <= 8; ++i) {
        before.insert(on.target, {{"id", i}, {"n", i <= 4 ? 1 : i <= 6 ? 2 : 3}, {"name", "x"}});
    }
    on.run(before);
    operations in;
    auto change = in.update(on.target);
    change.where("n", 2).set({{"name", "new"}, {"n", 7}}).fields({"id", "name"});
    const auto got = on.run(in);
    if (got.outcome(change).code == code::unsupported) {
        require(on.rows({"id", "name"}).size() == 8, "nothing is changed");
        throw conformance_skip{"rows of a write by `where` cannot be told without transactions"};
    }
    auto told = got.of(change).rows;
    require(told.size() == 2 && to_string(told[0].cells[1]) == "\"new\"",
            "rows that no longer meet the condition come back, too");
    got.require_count(change, 2);
    operations more;
    auto gone = more.remove(on.target);
    gone.where("n", 3).fields({"id", "n"});
    auto nobody = more.remove(on.target);
    nobody.where("n", 99).fields({"id", "n"});
    auto too_many = more.update(on.target);
    too_many.where("n", 1).set({{"name", "many"}}).fields({"id"});
    const auto then = on.run(more);
    then.require_count(gone, 2);
    require(then.of(gone).rows.size() == 2, "each deleted row comes back");
    then.require_count(nobody, 0);
    then.require_rows(nobody, {});
    then.require_error(too_many, code::limit_exceeded);
    operations look;
    auto many = look.count(on.target);
    many.where("n", 1);
    const auto left = on.run(look);
    require(*left.of(many).total == 4, "and none of them was changed");
    operations names;
    auto changed = names.find(on.target);
    changed.where("n", 1).limit(3).fields({"name"});
    const auto seen = on.run(names);
    for (const auto& row : seen.of(changed).rows) {
        require(to_string(row.cells[0]) == "\"x\"", "not one field of them");
    }
}

void what_fails_gives_nothing_back(conformance_fixture& fixture) {
    stage on{fixture, uniques(fixture)};
    operations before;
    before.insert(on.target, {{"id", 1}, {"email", "one"}, {"a", 1}, {"b", 1}});
    on.run(before);
    operations in;
    auto good = in.insert(on.target, {{"id", 2}, {"email", "two"}, {"a", 2}, {"b", 2}});
    good.fields({"id"});
    auto bad = in.insert(on.target, {{"id", 3}, {"email", "one"}, {"a", 3}, {"b", 3}});
    bad.fields({"id"});
    auto last = in.insert(on.target, {{"id", 4}, {"email", "four"}, {"a", 4}, {"b", 4}});
    last.fields({"id"});
    const auto got = on.run(in);
    got.require_rows(good, {"{id: 2}"});
    got.require_error(bad, code::duplicate_key, "email");
    got.require_rows(last, {"{id: 4}"});
    require(on.rows({"id"}) == rows{"{id: 1}", "{id: 2}", "{id: 4}"}, "neighbours are there");
    if (!fixture.adapter().can().transactions) {
        return;
    }
    operations together;
    auto first = together.insert(on.target, {{"id", 5}, {"email", "five"}, {"a", 5}, {"b", 5}});
    first.fields({"id"});
    auto second = together.insert(on.target, {{"id", 6}, {"email", "one"}, {"a", 6}, {"b", 6}});
    second.fields({"id"});
    const auto none = on.run_by.run_atomic(together);
    require(!none.outcome(first).ok() && none.of(first).rows.empty(),
            "what an atomic envelope undid is not given back");
    require(on.rows({"id"}).size() == 3, "it is undone");
}

} // namespace

void add_returns(cases& to) {
    to.push_back({"insert gives back what `return` names", insert_gives_back});
    to.push_back({"generated keys come back", generated_keys_come_back});
    to.push_back({"update gives back what `return` names", update_gives_back});
    to.push_back({"delete gives back what was there", delete_gives_back});
    to.push_back({"writes by where give back all rows, or are refused", by_where_gives_back_all});
    to.push_back({"what fails gives nothing back", what_fails_gives_nothing_back});
}

} // namespace beds::testing::conformance
