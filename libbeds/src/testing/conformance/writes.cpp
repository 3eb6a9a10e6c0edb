#include "testing/conformance/harness.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace beds::testing::conformance {

namespace {

using rows = std::vector<std::string>;

void insert_several_rows(conformance_fixture& fixture) {
    stage on{fixture, uniques(fixture)};
    operations in;
    auto three = in.insert(on.target);
    three.row({{"id", 3}, {"email", "c"}, {"a", 3}})
        .row({{"id", 1}, {"email", "a"}, {"a", 1}})
        .row({{"id", 2}, {"email", "b"}, {"a", 2}});
    const auto got = on.run(in);
    got.require_count(three, 3);
    const auto& keys = got.of(three).keys;
    require(keys.size() == 3 && keys[0][0].view().integer == 3 && keys[1][0].view().integer == 1 &&
                keys[2][0].view().integer == 2,
            "keys are told in the order of the rows");
    require(on.rows({"id", "email"}) ==
                rows{"{id: 1, email: \"a\"}", "{id: 2, email: \"b\"}", "{id: 3, email: \"c\"}"},
            "all rows are there");
}

void insert_is_all_or_nothing(conformance_fixture& fixture) {
    stage on{fixture, uniques(fixture)};
    if (!fixture.adapter().can().transactions) {
        throw conformance_skip{"needs transactions"};
    }
    operations in;
    in.insert(on.target, {{"id", 5}, {"email", "there"}});
    auto second = in.insert(on.target);
    second.row({{"id", 6}, {"email", "six"}})
        .row({{"id", 7}, {"email", "there"}})
        .row({{"id", 8}, {"email", "eight"}});
    auto third = in.insert(on.target);
    third.row({{"id", 9}, {"email", "nine"}}).row({{"id", 10}, {"email", "ten"}});
    const auto got = on.run(in);
    require(got.outcomes[0].ok(), "a neighbour is inserted");
    got.require_error(second, code::duplicate_key, "email");
    got.require_count(third, 2);
    require(on.rows({"id"}) == rows{"{id: 5}", "{id: 9}", "{id: 10}"},
            "an insert of several rows leaves none when one fails");
}

void duplicates_fail_alone(conformance_fixture& fixture) {
    stage on{fixture, uniques(fixture)};
    operations first;
    first.insert(on.target, {{"id", 10}, {"email", "ten"}, {"a", 1}, {"b", 1}, {"note", "old"}});
    on.run(first);

    operations in;
    const auto one =
        in.insert(on.target, {{"id", 1}, {"email", "one"}, {"a", 1}, {"b", 2}, {"note", "x"}});
    const auto same_key =
        in.insert(on.target, {{"id", 10}, {"email", "x"}, {"a", 3}, {"b", 3}, {"note", "x"}});
    const auto two =
        in.insert(on.target, {{"id", 2}, {"email", "two"}, {"a", 2}, {"b", 1}, {"note", "x"}});
    const auto same_email =
        in.insert(on.target, {{"id", 3}, {"email", "ten"}, {"a", 4}, {"b", 4}, {"note", "x"}});
    const auto same_pair =
        in.insert(on.target, {{"id", 4}, {"email", "four"}, {"a", 1}, {"b", 1}, {"note", "x"}});
    const auto five =
        in.insert(on.target, {{"id", 5}, {"email", "five"}, {"a", 5}, {"b", 5}, {"note", "x"}});
    const auto got = on.run(in);
    for (const auto* good : {&one, &two, &five}) {
        got.require_count(*good, 1);
    }
    got.require_error(same_key, code::duplicate_key, "id");
    got.require_error(same_email, code::duplicate_key, "email");
    got.require_error(same_pair, code::duplicate_key);
    require(got.outcome(same_pair).field == "a" || got.outcome(same_pair).field == "b",
            "a field of the unique index is named");
    for (const auto* bad : {&same_key, &same_email, &same_pair}) {
        const auto detail = got.outcome(*bad).detail;
        for (const char* leak : {"_cun", "conf_uniques", "ten", "INSERT", "Duplicate", "E11000"}) {
            require(detail.find(leak) == std::string_view::npos,
                    std::string{"the detail has no column, object, value or server text: "} +
                        std::string{detail});
        }
    }
    require(on.rows({"id", "note"}) == rows{"{id: 1, note: \"x\"}", "{id: 2, note: \"x\"}",
                                            "{id: 5, note: \"x\"}", "{id: 10, note: \"old\"}"},
            "those that fail leave nothing, the others are there");
}

void duplicates_within_a_group(conformance_fixture& fixture) {
    stage on{fixture, uniques(fixture)};
    operations in;
    for (int i = 0; i < 20; ++i) {
        in.insert(on.target,
                  {{"id", i / 2}, {"email", std::to_string(i)}, {"a", i}, {"note", "x"}});
    }
    const auto got = on.run(in);
    std::vector<int> applied(10);
    for (std::size_t i = 0; i < got.outcomes.size(); ++i) {
        if (got.outcomes[i].ok()) {
            ++applied[i / 2];
        } else {
            require(got.outcomes[i].code == code::duplicate_key, text_of(got.outcomes[i]));
        }
    }
    require(std::all_of(applied.begin(), applied.end(), [](int times) { return times == 1; }),
            "of two inserts of one key exactly one is applied");
    require(on.rows({"id"}).size() == 10, "each key is there once");
}

void nulls_in_unique(conformance_fixture& fixture) {
    if (!fixture.traits().many_nulls_in_unique) {
        throw conformance_skip{"nulls collide in this engine's unique indexes"};
    }
    stage on{fixture, uniques(fixture)};
    operations in;
    for (int i = 0; i < 4; ++i) {
        in.insert(on.target, {{"id", i}, {"email", nullptr}, {"a", i / 2}, {"b", nullptr}});
    }
    const auto got = on.run(in);
    for (const auto& outcome : got.outcomes) {
        require(outcome.ok(), "nulls do not collide: " + text_of(outcome));
    }
}

void update_sets_what_it_names(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations in;
    for (int i = 1; i <= 4; ++i) {
        in.insert(on.target, {{"id", i}, {"n", i}, {"name", "x"}, {"price", "1.00"}});
    }
    on.run(in);
    operations change;
    auto first = change.update(on.target, {2});
    first.set({{"name", "new"}, {"n", nullptr}});
    auto missing = change.update(on.target, {99});
    missing.set({{"name", "new"}, {"n", 5}});
    auto second = change.update(on.target, {1});
    second.set({{"name", "one"}, {"n", 100}});
    auto equal = change.update(on.target, {3});
    equal.set({{"name", "x"}, {"n", 3}});
    const auto got = on.run(change);
    got.require_count(first, 1);
    got.require_error(missing, code::not_found);
    got.require_count(second, 1);
    got.require_count(equal, 1); // matched, although it changed nothing
    require(on.rows({"id", "n", "name", "price"}) ==
                rows{"{id: 1, n: 100, name: \"one\", price: decimal 1.00}",
                     "{id: 2, n: null, name: \"new\", price: decimal 1.00}",
                     "{id: 3, n: 3, name: \"x\", price: decimal 1.00}",
                     "{id: 4, n: 4, name: \"x\", price: decimal 1.00}"},
            "each update changes its own row");
}

void update_many_in_one_group(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations in;
    auto insert = in.insert(on.target);
    for (int i = 0; i < 100; ++i) {
        insert.row({{"id", i}, {"n", 0}});
    }
    on.run(in);
    operations change;
    std::vector<operation_maker> made;
    for (int i = 0; i < 150; ++i) {
        auto update = change.update(on.target, {(i * 77) % 150});
        update.set({{"name", "row " + std::to_string((i * 77) % 150)}})
            .inc({{"n", (i * 77) % 150}});
        made.push_back(update);
    }
    const auto got = on.run(change);
    for (const auto& each : made) {
        if (each.bound().key[0].integer < 100) {
            got.require_count(each, 1);
        } else {
            got.require_error(each, code::not_found);
        }
    }
    const auto there = on.rows({"id", "n", "name"});
    for (std::size_t i = 0; i < 100; ++i) {
        const auto number = std::to_string(i);
        require(there[i] == "{id: " + number + ", n: " + number + ", name: \"row " + number + "\"}",
                "row " + number + " has its own values: " + there[i]);
    }
}

void inc_adds(conformance_fixture& fixture) {
    const auto target = start("conf_inc", fixture)
                            .field("id", "int64")
                            .field("tiny", "int8")
                            .field("small", "uint16")
                            .field("big", "int64")
                            .field("money", "decimal(10,2)")
                            .field("real", "double")
                            .key({"id"})
                            .build();
    stage on{fixture, target};
    operations in;
    auto insert = in.insert(on.target);
    for (int i = 1; i <= 2; ++i) {
        insert.row({{"id", i},
                    {"tiny", 100},
                    {"small", 10},
                    {"big", 9007199254740993},
                    {"money", "0.10"},
                    {"real", 0.5}});
    }
    on.run(in);
    operations change;
    auto all = change.update(on.target, {1});
    all.inc({{"tiny", -3}, {"small", 5}, {"big", 2}, {"money", "-0.35"}, {"real", 0.25}});
    auto again = change.update(on.target, {1});
    again.inc({{"tiny", 30}, {"small", 1}, {"big", -1}, {"money", "1.00"}, {"real", 1.0}});
    auto nobody = change.update(on.target, {9});
    nobody.inc({{"tiny", 30}, {"small", 1}, {"big", -1}, {"money", "1.00"}, {"real", 1.0}});
    const auto got = on.run(change);
    got.require_count(all, 1);
    got.require_count(again, 1);
    got.require_error(nobody, code::not_found);
    require(on.rows() ==
                rows{"{id: 1, tiny: 127, small: 16u, big: 9007199254740994, money: decimal "
                     "0.75, real: 1.75}",
                     "{id: 2, tiny: 100, small: 10u, big: 9007199254740993, money: decimal "
                     "0.10, real: 0.5}"},
            "sums are exact: " + on.rows()[0]);

    operations empty;
    empty.insert(on.target, {{"id", 3}, {"tiny", 1}, {"small", nullptr}, {"money", nullptr}});
    empty.insert(on.target, {{"id", 4}, {"tiny", 1}, {"small", 1}, {"money", "1.00"}});
    on.run(empty);
    const auto with_nulls = on.rows();
    operations adds;
    auto to_null = adds.update(on.target, {3});
    to_null.inc({{"small", 1}});
    auto to_value = adds.update(on.target, {4});
    to_value.inc({{"small", 0}});
    auto to_both = adds.update(on.target, {3});
    to_both.inc({{"tiny", 1}, {"money", "1.00"}}).expect({{"tiny", 1}});
    auto unexpected = adds.update(on.target, {3});
    unexpected.inc({{"tiny", 1}, {"money", "1.00"}}).expect({{"tiny", 2}});
    const auto sums = on.run(adds);
    sums.require_error(to_null, code::constraint, "small");
    sums.require_count(to_value, 1);
    require(sums.outcome(to_both).code == code::constraint, "a sum with nothing is none");
    sums.require_error(unexpected, code::conflict);
    require(on.rows() == with_nulls, "nothing was changed");
    operations tidy;
    tidy.remove(on.target, {3});
    tidy.remove(on.target, {4});
    on.run(tidy);

    if (!fixture.traits().inc_is_bounded) {
        return;
    }
    const auto before = on.rows();
    for (const auto& [field, by] :
         std::vector<std::pair<std::string, literal>>{{"tiny", 1},
                                                      {"small", 65530},
                                                      {"big", 9223372036854775807},
                                                      {"money", "99999999.99"}}) {
        operations over;
        auto too_much = over.update(on.target, {1});
        too_much.inc({{field, by}});
        const auto refused = on.run(over);
        const auto& outcome = refused.outcome(too_much);
        require(!outcome.ok() &&
                    (outcome.code == code::constraint || outcome.code == code::limit_exceeded),
                "a sum out of range is refused: " + field + ": " + text_of(outcome));
        require(on.rows() == before, "a refused sum changes nothing");
    }
}

struct increment {
    std::string field;
    literal from;
    literal by;
    std::string stored; ///< afterwards: what was there, when the sum is refused
    bool fits = true;
};

/// Of two rows with that value the first or both are increased, in each way that there is.
void add_in_every_way(stage& on, const increment& one) {
    const auto set_back = [&] {
        operations before;
        before.update(on.target, {1}).set({{one.field, one.from}});
        before.update(on.target, {2}).set({{one.field, one.from}});
        on.run(before);
    };
    const auto check = [&](std::string_view way, bool both, auto&& make) {
        set_back();
        const auto untouched = on.rows({one.field})[1];
        operations change;
        std::vector<operation_maker> made;
        make(change, made);
        const auto got = on.run(change);
        const auto told = std::string{way} + ": " + one.field + ": ";
        for (const auto& each : made) {
            const auto& outcome = got.outcome(each);
            require(one.fits ? outcome.ok()
                             : outcome.code == code::constraint && outcome.effect == effect::none,
                    told + text_of(outcome));
        }
        const auto wanted = "{" + one.field + ": " + one.stored + "}";
        const auto there = on.rows({one.field});
        require(there[0] == wanted && there[1] == (both ? wanted : untouched),
                told + there[0] + ", " + there[1] + " in place of " + wanted);
    };
    check("by key", false, [&](operations& change, std::vector<operation_maker>& made) {
        made.push_back(change.update(on.target, {1}));
        made.back().inc({{one.field, one.by}});
    });
    check("in a group", true, [&](operations& change, std::vector<operation_maker>& made) {
        for (const int id : {1, 2}) {
            made.push_back(change.update(on.target, {id}));
            made.back().inc({{one.field, one.by}});
        }
    });
    check("by where", true, [&](operations& change, std::vector<operation_maker>& made) {
        made.push_back(change.update(on.target));
        made.back().where("id", comparison::le, {2}).inc({{one.field, one.by}});
    });
    check("with return", false, [&](operations& change, std::vector<operation_maker>& made) {
        made.push_back(change.update(on.target, {1}));
        made.back().inc({{one.field, one.by}}).fields({one.field});
    });
}

void inc_beyond_the_type(conformance_fixture& fixture) {
    if (!fixture.traits().inc_is_bounded) {
        throw conformance_skip{"the engine does not bound sums"};
    }
    const auto target = start("conf_far", fixture)
                            .field("id", "int64")
                            .field("tiny", "int8")
                            .field("whole", "int32")
                            .field("byte", "uint8")
                            .field("large", "uint64")
                            .field("real", "double")
                            .key({"id"})
                            .build();
    stage on{fixture, target};
    operations in;
    in.insert(on.target, {{"id", 1}});
    in.insert(on.target, {{"id", 2}});
    on.run(in);
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    for (const increment& one : std::vector<increment>{
             {"tiny", -100, 200, "100"},
             {"tiny", 100, -228, "-128"},
             {"whole", -2000000000, 3000000000, "1000000000"},
             {"whole", 2000000000, -4000000000, "-2000000000"},
             {"byte", 200, -200, "0u"},
             {"tiny", 5, 300, "5", false},
             {"tiny", 5, -134, "5", false},
             {"whole", 5, 4294967297, "5", false},
             {"whole", 5, -4294967297, "5", false},
             {"whole", 5, most, "5", false},
             {"whole", -5, least, "-5", false},
             {"byte", 5, 4294967297, "5u", false},
             {"byte", 5, -6, "5u", false},
             {"byte", 5, least, "5u", false},
             {"large", 5, -6, "5u", false},
             {"large", 5, least, "5u", false},
             {"real", 1e308, 1e308, "1e+308", false},
             {"real", -1e308, -1e308, "-1e+308", false},
             {"real", 1e308, -1.5e308, "-5e+307"},
         }) {
        add_in_every_way(on, one);
    }
}

void inc_of_nothing(conformance_fixture& fixture) {
    const auto target = start("conf_void", fixture)
                            .field("id", "int64")
                            .field("tiny", "int8")
                            .field("big", "int64")
                            .field("large", "uint64")
                            .field("money", "decimal(10,2)")
                            .field("real", "double")
                            .key({"id"})
                            .build();
    stage on{fixture, target};
    operations in;
    in.insert(on.target, {{"id", 1}}); // not even null
    in.insert(on.target, {{"id", 2},
                          {"tiny", nullptr},
                          {"big", nullptr},
                          {"large", nullptr},
                          {"money", nullptr},
                          {"real", nullptr}});
    in.insert(on.target,
              {{"id", 3}, {"tiny", 1}, {"big", 1}, {"large", 1}, {"money", "1.00"}, {"real", 1.0}});
    on.run(in);
    const auto before = on.rows();
    for (const std::string field : {"tiny", "big", "large", "money", "real"}) {
        const literal one = field == "money" ? literal{"1.00"} : literal{1};
        const literal none = field == "money" ? literal{"0.00"} : literal{0};
        operations alone;
        auto missing = alone.update(on.target, {1});
        missing.inc({{field, one}});
        on.run(alone).require_error(missing, code::constraint, field);
        operations group;
        std::vector<operation_maker> made;
        for (const int id : {1, 2, 3, 4}) {
            made.push_back(group.update(on.target, {id}));
            made.back().inc({{field, none}});
        }
        const auto got = on.run(group);
        got.require_error(made[0], code::constraint, field);
        got.require_error(made[1], code::constraint, field);
        got.require_count(made[2], 1);
        got.require_error(made[3], code::not_found);
        operations all;
        auto by_where = all.update(on.target);
        by_where.where("id", comparison::le, {3}).inc({{field, one}});
        on.run(all).require_error(by_where, code::constraint, field);
        operations returning;
        auto returned = returning.update(on.target, {1});
        returned.inc({{field, one}}).fields({"id"});
        on.run(returning).require_error(returned, code::constraint, field);
        require(on.rows() == before, "nothing was added to nothing: " + field);
    }
}

void expect_guards(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations in;
    in.insert(on.target, {{"id", 1}, {"n", 1}, {"name", "a"}});
    in.insert(on.target, {{"id", 2}, {"n", 2}, {"name", nullptr}});
    in.insert(on.target, {{"id", 3}, {"n", 3}, {"name", "c"}});
    on.run(in);
    operations change;
    auto right = change.update(on.target, {1});
    right.set({{"name", "new"}}).expect({{"n", 1}, {"name", "a"}});
    auto wrong = change.update(on.target, {2});
    wrong.set({{"name", "new"}}).expect({{"n", 1}, {"name", "a"}});
    auto nobody = change.update(on.target, {9});
    nobody.set({{"name", "new"}}).expect({{"n", 1}, {"name", "a"}});
    auto null = change.update(on.target, {2});
    null.set({{"name", "was null"}}).expect({{"n", 2}, {"name", nullptr}});
    auto not_null = change.update(on.target, {3});
    not_null.set({{"name", "was null"}}).expect({{"n", 3}, {"name", nullptr}});
    auto equal = change.update(on.target, {3});
    equal.set({{"name", "c"}}).expect({{"n", 3}, {"name", "c"}});
    const auto got = on.run(change);
    got.require_count(right, 1);
    got.require_error(wrong, code::conflict);
    got.require_error(nobody, code::not_found);
    got.require_count(null, 1);
    got.require_error(not_null, code::conflict);
    got.require_count(equal, 1);

    operations remove;
    auto keep = remove.remove(on.target, {1});
    keep.expect({{"n", 2}});
    auto gone = remove.remove(on.target, {2});
    gone.expect({{"n", 2}});
    auto never = remove.remove(on.target, {9});
    never.expect({{"n", 2}});
    const auto removed = on.run(remove);
    removed.require_error(keep, code::conflict);
    removed.require_count(gone, 1);
    removed.require_error(never, code::not_found);
    require(on.rows({"id", "name"}) == rows{"{id: 1, name: \"new\"}", "{id: 3, name: \"c\"}"},
            "what was not as expected is as it was");
}

void delete_by_key(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations in;
    auto insert = in.insert(on.target);
    for (int i = 0; i < 50; ++i) {
        insert.row({{"id", i}, {"n", i}});
    }
    on.run(in);
    operations remove;
    std::vector<operation_maker> made;
    for (int i = 0; i < 30; ++i) {
        made.push_back(remove.remove(on.target, {(i * 7) % 30 * 2}));
    }
    const auto got = on.run(remove);
    for (const auto& each : made) {
        if (each.bound().key[0].integer < 50) {
            got.require_count(each, 1);
        } else {
            got.require_error(each, code::not_found);
        }
    }
    operations again;
    const auto twice = again.remove(on.target, {0});
    on.run(again).require_error(twice, code::not_found);
    require(on.rows({"id"}).size() == 25, "the others are there");
}

void write_by_where(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations in;
    auto insert = in.insert(on.target);
    for (int i = 0; i < 20; ++i) {
        insert.row(
            {{"id", i}, {"n", i % 4}, {"name", i % 5 == 0 ? literal{nullptr} : literal{"x"}}});
    }
    on.run(in);
    operations change;
    auto five = change.update(on.target);
    five.where("n", 1).set({{"name", "changed"}});
    auto none = change.update(on.target);
    none.where("n", 99).set({{"name", "changed"}});
    auto add = change.update(on.target);
    add.where("n", comparison::ge, {2}).inc({{"n", 10}});
    auto nulls = change.remove(on.target);
    nulls.where("name", comparison::is_null);
    auto nothing = change.remove(on.target);
    nothing.where("name", "never");
    const auto got = on.run(change);
    got.require_count(five, 5);
    got.require_count(none, 0);
    got.require_count(add, 10);
    got.require_count(nulls, 3); // ids 0, 10, 15: that of 5 was changed before
    got.require_count(nothing, 0);
    operations out;
    auto changed = out.count(on.target);
    changed.where("name", "changed");
    auto added = out.count(on.target);
    added.where("n", comparison::ge, {12});
    const auto total = out.count(on.target);
    const auto counted = on.run(out);
    require(counted.of(changed).total == 5U, "five rows were changed");
    require(counted.of(added).total == 8U, "sums of those that were not deleted");
    require(counted.of(total).total == 17U, "three rows were deleted");
}

void update_to_a_duplicate(conformance_fixture& fixture) {
    stage on{fixture, uniques(fixture)};
    operations in;
    for (int i = 1; i <= 4; ++i) {
        in.insert(on.target,
                  {{"id", i}, {"email", std::to_string(i)}, {"a", i}, {"b", i}, {"note", "old"}});
    }
    on.run(in);
    operations change;
    auto good = change.update(on.target, {1});
    good.set({{"email", "new"}, {"note", "new"}});
    auto bad = change.update(on.target, {2});
    bad.set({{"email", "3"}, {"note", "new"}});
    auto also = change.update(on.target, {4});
    also.set({{"email", "other"}, {"note", "new"}});
    const auto got = on.run(change);
    got.require_count(good, 1);
    got.require_error(bad, code::duplicate_key, "email");
    got.require_count(also, 1);
    require(on.rows({"id", "email", "note"}) == rows{"{id: 1, email: \"new\", note: \"new\"}",
                                                     "{id: 2, email: \"2\", note: \"old\"}",
                                                     "{id: 3, email: \"3\", note: \"old\"}",
                                                     "{id: 4, email: \"other\", note: \"new\"}"},
            "a duplicate fails alone");
    // What an update gave up is free again.
    operations reuse;
    const auto free =
        reuse.insert(on.target, {{"id", 5}, {"email", "1"}, {"a", 5}, {"b", 5}, {"note", "new"}});
    on.run(reuse).require_count(free, 1);
}

void generated_keys(conformance_fixture& fixture) {
    if (!fixture.traits().generated_keys) {
        throw conformance_skip{"the engine does not generate keys"};
    }
    stage on{fixture, generated(fixture)};
    operations in;
    std::vector<operation_maker> made;
    for (int i = 0; i < 10; ++i) {
        made.push_back(in.insert(on.target, {{"name", "n" + std::to_string(i)}}));
    }
    auto many = in.insert(on.target);
    many.row({{"name", "m0"}}).row({{"name", "m1"}}).row({{"name", "m2"}});
    const auto twice = in.insert(on.target, {{"name", "n3"}});
    const auto given = in.insert(on.target, {{"id", 1'000'000}, {"name", "given"}});
    const auto got = on.run(in);
    got.require_error(twice, code::duplicate_key, "name");
    got.require_count(given, 1);
    require(got.of(given).keys[0][0].view().integer == 1'000'000, "a key that is given is kept");
    made.push_back(many);
    std::set<std::int64_t> keys;
    operations out;
    std::vector<std::pair<operation_maker, std::string>> fetches;
    for (const auto& each : made) {
        got.require_count(each, each.bound().rows.size());
        for (std::size_t i = 0; i < each.bound().rows.size(); ++i) {
            const auto key = got.of(each).keys[i][0].view().integer;
            require(keys.insert(key).second, "every row has a key of its own");
            auto fetch = out.fetch(on.target, {key});
            fetch.fields({"name"});
            fetches.emplace_back(fetch, std::string{each.bound().rows[i][0].value.text});
        }
    }
    const auto read = on.run(out);
    for (const auto& [fetch, name] : fetches) {
        read.require_rows(fetch, {"{name: \"" + name + "\"}"});
    }
    operations more;
    const auto next = more.insert(on.target, {{"name", "after"}});
    const auto after = on.run(more);
    after.require_count(next, 1);
    require(keys.count(after.of(next).keys[0][0].view().integer) == 0, "keys are not used again");
}

void column_constraints(conformance_fixture& fixture) {
    if (!fixture.traits().column_constraints) {
        throw conformance_skip{"the engine's columns have no constraints"};
    }
    stage on{fixture, strict(fixture)};
    operations in;
    const auto good = in.insert(on.target, {{"id", 1}, {"name", "ok"}, {"n", 1}});
    const auto null = in.insert(on.target, {{"id", 2}, {"name", "ok"}, {"n", nullptr}});
    const auto also = in.insert(on.target, {{"id", 3}, {"name", "ok"}, {"n", 1}});
    const auto absent = in.insert(on.target, {{"id", 4}, {"name", "ok"}});
    const auto got = on.run(in);
    got.require_count(good, 1);
    got.require_error(null, code::constraint, "n");
    got.require_count(also, 1);
    got.require_error(absent, code::constraint, "n");
    operations change;
    auto set = change.update(on.target, {1});
    set.set({{"name", nullptr}});
    auto other = change.update(on.target, {3});
    other.set({{"name", "new"}});
    const auto changed = on.run(change);
    changed.require_error(set, code::constraint, "name");
    changed.require_count(other, 1);
    require(on.rows() == rows{"{id: 1, name: \"ok\", n: 1}", "{id: 3, name: \"new\", n: 1}"},
            "what breaks a constraint leaves nothing");
}

void group_of_one_kind_each(conformance_fixture& fixture) {
    // Neighbours of different kinds in one unit: each sees what those before it did.
    stage on{fixture, things(fixture)};
    operations ops;
    const auto insert = ops.insert(on.target, {{"id", 1}, {"n", 1}, {"name", "a"}});
    const auto first = ops.fetch(on.target, {1});
    auto update = ops.update(on.target, {1});
    update.set({{"name", "b"}}).inc({{"n", 5}});
    auto find = ops.find(on.target);
    find.where("n", 6).fields({"id", "name"});
    const auto remove = ops.remove(on.target, {1});
    const auto count = ops.count(on.target);
    const auto again = ops.insert(on.target, {{"id", 1}, {"n", 7}, {"name", "c"}});
    const auto got = on.run(ops);
    got.require_count(insert, 1);
    got.require_rows(first, {"{id: 1, n: 1, name: \"a\", day: null, price: null, flag: null}"});
    got.require_count(update, 1);
    got.require_rows(find, {"{id: 1, name: \"b\"}"});
    got.require_count(remove, 1);
    require(got.of(count).total == 0U, "a unit sees what it deleted");
    got.require_count(again, 1);
    require(on.rows({"id", "name"}) == rows{"{id: 1, name: \"c\"}"}, "the last write stays");
}

} // namespace

void add_writes(cases& to) {
    to.push_back({"insert several rows", insert_several_rows});
    to.push_back({"insert of several rows is all or nothing", insert_is_all_or_nothing});
    to.push_back({"duplicates fail alone inside a group", duplicates_fail_alone});
    to.push_back({"duplicates within one group", duplicates_within_a_group});
    to.push_back({"nulls do not collide in a unique index", nulls_in_unique});
    to.push_back({"update sets what it names", update_sets_what_it_names});
    to.push_back({"update of many rows in one group", update_many_in_one_group});
    to.push_back({"inc adds exactly and within the type", inc_adds});
    to.push_back({"inc by more than the type holds", inc_beyond_the_type});
    to.push_back({"inc of a field without a value", inc_of_nothing});
    to.push_back({"if guards updates and deletes", expect_guards});
    to.push_back({"delete by key", delete_by_key});
    to.push_back({"update and delete by where", write_by_where});
    to.push_back({"update to a duplicate fails alone", update_to_a_duplicate});
    to.push_back({"generated keys", generated_keys});
    to.push_back({"constraints of columns", column_constraints});
    to.push_back({"operations of different kinds in one unit", group_of_one_kind_each});
}

} // namespace beds::testing::conformance
