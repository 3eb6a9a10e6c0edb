#include "testing/conformance/harness.hpp"

#include <atomic>
#include <thread>

namespace beds::testing::conformance {

namespace {

using rows = std::vector<std::string>;

void leaves_what_is_there(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations before;
    before.insert(on.target, {{"id", 1}, {"n", 1}, {"name", "old"}});
    on.run(before);
    operations in;
    auto there = in.insert(on.target, {{"id", 1}, {"n", 9}, {"name", "new"}});
    there.on_conflict({"id"});
    auto fresh = in.insert(on.target, {{"id", 2}, {"n", 2}, {"name", "new"}});
    fresh.on_conflict({"id"});
    auto told = in.insert(on.target, {{"id", 1}, {"n", 8}, {"name", "newer"}});
    told.on_conflict({"id"}).fields({"n", "name"});
    const auto got = on.run(in);
    got.require_count(there, 0);
    require(got.outcome(there).effect == effect::none, "nothing was done");
    require(to_string(got.of(there).keys.at(0).at(0)) == "1", "the key of the row that is there");
    got.require_count(fresh, 1);
    got.require_rows(told, {"{n: 1, name: \"old\"}"});
    require(on.rows({"id", "n", "name"}) ==
                rows{"{id: 1, n: 1, name: \"old\"}", "{id: 2, n: 2, name: \"new\"}"},
            "the row that was there is what it was");
}

void takes_over_what_is_named(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    operations before;
    before.insert(on.target, {{"id", 1}, {"n", 1}, {"name", "old"}, {"price", "1.00"}});
    on.run(before);
    operations in;
    auto there = in.insert(on.target, {{"id", 1}, {"n", 9}, {"name", "new"}, {"price", nullptr}});
    there.on_conflict({"id"}, {"n", "price"}).fields({"id", "n", "name", "price"});
    auto fresh = in.insert(on.target, {{"id", 2}, {"n", 2}, {"name", "two"}, {"price", "2.00"}});
    fresh.on_conflict({"id"}, {"n", "price"}).fields({"id", "n", "name", "price"});
    const auto got = on.run(in);
    got.require_count(there, 1);
    got.require_count(fresh, 1);
    got.require_rows(there, {"{id: 1, n: 9, name: \"old\", price: null}"});
    got.require_rows(fresh, {"{id: 2, n: 2, name: \"two\", price: decimal 2.00}"});
    require(on.rows({"id"}).size() == 2, "one row of each key");
}

bool by_index(const answer& got, const operation_maker& op) {
    return got.outcome(op).code != code::unsupported;
}

void by_a_unique_index(conformance_fixture& fixture) {
    stage on{fixture, uniques(fixture)};
    operations before;
    before.insert(on.target, {{"id", 1}, {"email", "one"}, {"a", 1}, {"b", 1}, {"note", "old"}});
    before.insert(on.target, {{"id", 2}, {"email", "two"}, {"a", 2}, {"b", 2}, {"note", "old"}});
    on.run(before);
    operations in;
    auto there =
        in.insert(on.target, {{"id", 7}, {"email", "one"}, {"a", 7}, {"b", 7}, {"note", "new"}});
    there.on_conflict({"email"}, {"note"});
    const auto got = on.run(in);
    if (!by_index(got, there)) {
        require(on.rows({"id"}).size() == 2, "nothing is done");
        throw conformance_skip{"'on_conflict' by the key only"};
    }
    got.require_count(there, 1);
    require(to_string(got.of(there).keys.at(0).at(0)) == "1", "the key of the row that is there");
    operations more;
    auto pair =
        more.insert(on.target, {{"id", 8}, {"email", "x"}, {"a", 2}, {"b", 2}, {"note", "pair"}});
    pair.on_conflict({"a", "b"}, {"note", "email"});
    auto other =
        more.insert(on.target, {{"id", 9}, {"email", "one"}, {"a", 9}, {"b", 9}, {"note", "no"}});
    other.on_conflict({"id"}, {"note"});
    const auto then = on.run(more);
    then.require_count(pair, 1);
    then.require_error(other, code::duplicate_key, "email");
    require(on.rows({"id", "email", "note"}) == rows{"{id: 1, email: \"one\", note: \"new\"}",
                                                     "{id: 2, email: \"x\", note: \"pair\"}"},
            "what is named is taken over, by the fields that are named");
    if (fixture.traits().many_nulls_in_unique) {
        operations nulls;
        for (int i = 20; i < 22; ++i) {
            auto one = nulls.insert(on.target, {{"id", i}, {"email", nullptr}, {"a", i}, {"b", i}});
            one.on_conflict({"email"});
        }
        on.run(nulls);
        require(on.rows({"id"}).size() == 4, "null is like nothing else");
    }
}

void several_rows(conformance_fixture& fixture) {
    stage on{fixture, uniques(fixture)};
    operations before;
    before.insert(on.target, {{"id", 1}, {"email", "one"}, {"a", 1}, {"b", 1}, {"note", "old"}});
    on.run(before);
    operations in;
    auto three = in.insert(on.target);
    three.row({{"id", 3}, {"email", "three"}, {"a", 3}, {"b", 3}, {"note", "new"}})
        .row({{"id", 1}, {"email", "zzz"}, {"a", 9}, {"b", 9}, {"note", "new"}})
        .row({{"id", 2}, {"email", "two"}, {"a", 2}, {"b", 2}, {"note", "new"}});
    three.on_conflict({"id"}, {"note"}).fields({"id", "email", "note"});
    const auto got = on.run(in);
    if (!by_index(got, three)) {
        throw conformance_skip{"'on_conflict' of one row only"};
    }
    got.require_count(three, 3);
    got.require_rows(three, {"{id: 3, email: \"three\", note: \"new\"}",
                             "{id: 1, email: \"one\", note: \"new\"}",
                             "{id: 2, email: \"two\", note: \"new\"}"});
    operations more;
    auto fails = more.insert(on.target);
    fails.row({{"id", 1}, {"email", "a"}, {"a", 20}, {"b", 20}, {"note", "lost"}})
        .row({{"id", 30}, {"email", "two"}, {"a", 30}, {"b", 30}, {"note", "lost"}});
    fails.on_conflict({"id"}, {"note"});
    const auto then = on.run(more);
    then.require_error(fails, code::duplicate_key, "email");
    require(on.rows({"id", "note"}) ==
                rows{"{id: 1, note: \"new\"}", "{id: 2, note: \"new\"}", "{id: 3, note: \"new\"}"},
            "all rows or none");
}

void by_many_at_once(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    constexpr int threads = 4;
    constexpr int times = 25;
    std::atomic<int> failed{0};
    std::vector<std::thread> all;
    std::vector<std::unique_ptr<driver>> drivers;
    for (int t = 0; t < threads; ++t) {
        drivers.push_back(std::make_unique<driver>(fixture, "conflict " + std::to_string(t)));
    }
    for (int t = 0; t < threads; ++t) {
        all.emplace_back([&, t] {
            try {
                for (int i = 0; i < times; ++i) {
                    operations in;
                    auto one = in.insert(on.target, {{"id", i}, {"n", t}, {"name", "x"}});
                    one.on_conflict({"id"}, {"n"});
                    const auto got = drivers[static_cast<std::size_t>(t)]->run(in);
                    const auto& outcome = got.outcome(one);
                    // Who meets the others too often may be told so, and nothing was done then.
                    failed += outcome.ok() || outcome.code == code::backend_conflict ? 0 : 1;
                }
            } catch (const std::exception&) {
                ++failed;
            }
        });
    }
    for (auto& one : all) {
        one.join();
    }
    require(failed == 0, "nobody is refused because another one was first");
    require(on.rows({"id"}).size() == times, "one row of each key");
}

} // namespace

void add_conflicts(cases& to) {
    to.push_back({"on_conflict leaves what is there", leaves_what_is_there});
    to.push_back({"on_conflict takes over what is named", takes_over_what_is_named});
    to.push_back({"on_conflict by a unique index", by_a_unique_index});
    to.push_back({"on_conflict of several rows", several_rows});
    to.push_back({"on_conflict by many at once", by_many_at_once});
}

} // namespace beds::testing::conformance
