#include "testing/conformance/harness.hpp"

#include <algorithm>

namespace beds::testing::conformance {

namespace {

using rows = std::vector<std::string>;

void needs_transactions(conformance_fixture& fixture) {
    if (!fixture.adapter().can().transactions) {
        throw conformance_skip{"needs transactions"};
    }
}

void needs_inbox(conformance_fixture& fixture) {
    if (!fixture.adapter().can().inbox) {
        throw conformance_skip{"needs the inbox"};
    }
}

void nothing_to_do(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    auto& session = on.run_by.session();
    require(session.alive(on.run_by.until()), "an idle session is alive");
    session.rollback(); // without a unit: nothing happens
    for (const auto kind : {work_kind::read, work_kind::write}) {
        on.run_by.begin(kind);
        on.run_by.commit();
        on.run_by.begin(kind);
        session.rollback();
        on.run_by.begin(kind);
        recording_sink sink;
        std::vector<core::outcome> outcomes;
        core::arena memory;
        for (const auto mode : {group_mode::independent, group_mode::atomic}) {
            if (mode == group_mode::atomic &&
                (kind == work_kind::read || !fixture.adapter().can().transactions)) {
                continue;
            }
            require(session.run({mode, {}}, sink, outcomes, memory) == step_result::done,
                    "an empty group is done");
        }
        require(session.seal({}) == step_result::done, "nothing is sealed");
        on.run_by.commit();
    }
    require(session.usable() && session.alive(on.run_by.until()), "the session is as good as new");
    require(on.rows().empty(), "nothing happened");
}

void many_units_on_one_session(conformance_fixture& fixture) {
    stage on{fixture, named(fixture)};
    for (int i = 0; i < 60; ++i) {
        const auto name = "n" + std::to_string(i % 7);
        operations ops;
        if (i < 7) {
            const auto insert = ops.insert(on.target, {{"name", name}, {"n", 1}});
            on.run(ops).require_count(insert, 1);
        } else if (i % 3 == 0) {
            auto fetch = ops.fetch(on.target, {name});
            fetch.fields({"name"});
            on.run(ops).require_rows(fetch, {"{name: \"" + name + "\"}"});
        } else {
            auto update = ops.update(on.target, {name});
            update.inc({{"n", 1}});
            on.run(ops).require_count(update, 1);
        }
        // Every unit may be the first one that failed.
        operations bad;
        const auto twice = bad.insert(on.target, {{"name", "n0"}, {"n", 0}});
        const auto refused = on.run(bad);
        require(!refused.outcome(twice).ok(), "a duplicate is refused each time");
    }
    const auto there = on.rows({"n"});
    std::int64_t sum = 0;
    for (const auto& row : there) {
        sum += std::stoll(row.substr(4));
    }
    require(there.size() == 7, "seven rows");
    require(sum == 7 + 36, "every increment is there once: " + std::to_string(sum));
}

void rollback_leaves_nothing(conformance_fixture& fixture) {
    needs_transactions(fixture);
    stage on{fixture, uniques(fixture)};
    operations in;
    for (int i = 1; i <= 3; ++i) {
        in.insert(on.target, {{"id", i}, {"email", std::to_string(i)}, {"a", i}, {"b", 0}});
    }
    on.run(in);
    const auto before = on.rows();

    operations ops;
    ops.insert(on.target, {{"id", 9}, {"email", "9"}});
    ops.update(on.target, {1}).set({{"email", "new"}, {"a", 77}});
    ops.remove(on.target, {2});
    ops.insert(on.target, {{"id", 2}, {"email", "2 again"}});
    ops.update(on.target).where("email", "3").set({{"note", "changed"}});
    ops.insert(on.target, {{"id", 3}, {"email", "twice"}}); // fails
    for (int round = 0; round < 2; ++round) {
        answer got;
        on.run_by.begin(work_kind::write);
        require(on.run_by.groups(ops, got) == step_result::done, "the groups run");
        for (std::size_t i = 0; i < 5; ++i) {
            require(got.outcomes[i].ok() && got.outcomes[i].effect == effect::applied,
                    "the outcome is what it would be once committed: " + text_of(got.outcomes[i]));
        }
        require(got.outcomes[5].code == code::duplicate_key, text_of(got.outcomes[5]));
        on.run_by.session().rollback();
        require(on.rows() == before, "a rollback leaves nothing");
    }
    // What was rolled back may be done for good.
    on.run(ops);
    require(on.rows({"id", "email", "note"}) == rows{"{id: 1, email: \"new\", note: null}",
                                                     "{id: 2, email: \"2 again\", note: null}",
                                                     "{id: 3, email: \"3\", note: \"changed\"}",
                                                     "{id: 9, email: \"9\", note: null}"},
            "the same operations, committed");
}

void rerun_gives_the_same(conformance_fixture& fixture) {
    needs_transactions(fixture);
    stage on{fixture, things(fixture)};
    operations in;
    in.insert(on.target, {{"id", 1}, {"n", 1}});
    on.run(in);

    operations ops;
    auto add = ops.update(on.target, {1});
    add.inc({{"n", 1}});
    const auto insert = ops.insert(on.target, {{"id", 2}, {"n", 5}});
    auto find = ops.find(on.target);
    find.fields({"id", "n"}).limit(1);
    answer first;
    on.run_by.begin(work_kind::write);
    require(on.run_by.groups(ops, first) == step_result::done, "the groups run");
    on.run_by.session().rollback();
    // The factory resets the sink and runs the batch again.
    const auto rows_before = first.of(find).rows;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        first.sink.reset(ops[i].index);
    }
    first.outcomes.assign(ops.size(), {});
    on.run_by.begin(work_kind::write);
    require(on.run_by.groups(ops, first) == step_result::done, "the groups run again");
    on.run_by.commit();
    first.require_count(add, 1);
    first.require_count(insert, 1);
    first.require_rows(find, {"{id: 1, n: 2}"});
    require(first.of(find).rows == rows_before, "a rerun reads what the first run read");
    require(first.of(find).next.has_value(), "a rerun writes everything again");
    require(first.sink.violations().empty(), "nothing is written twice");
    require(on.rows({"id", "n"}) == rows{"{id: 1, n: 2}", "{id: 2, n: 5}"}, "it happened once");
}

void commit_is_seen_by_others(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    driver other{fixture, "conformance other"};
    const auto seen = [&] {
        operations ops;
        const auto all = ops.count(on.target);
        return other.run(ops).of(all).total;
    };
    require(seen() == 0U, "an empty table");
    operations in;
    in.insert(on.target, {{"id", 1}, {"n", 1}});
    on.run(in);
    require(seen() == 1U, "what is committed is seen by another session");
    operations change;
    change.remove(on.target, {1});
    on.run(change);
    require(seen() == 0U, "a committed delete is seen by another session");
}

void open_unit_is_seen_by_nobody(conformance_fixture& fixture) {
    needs_transactions(fixture);
    stage on{fixture, things(fixture)};
    operations in;
    in.insert(on.target, {{"id", 1}, {"n", 1}});
    on.run(in);
    operations ops;
    ops.insert(on.target, {{"id", 2}, {"n", 2}});
    ops.update(on.target, {1}).set({{"n", 100}});
    answer got;
    on.run_by.begin(work_kind::write);
    require(on.run_by.groups(ops, got) == step_result::done, "the groups run");

    // The other session reads the old rows, or waits until its deadline: never the new ones.
    driver other{fixture, "conformance other"};
    operations read;
    auto all = read.find(on.target);
    all.fields({"id", "n"});
    core::arena memory;
    std::vector<stored_reply> known;
    answer seen;
    const auto soon = core::deadline::after(std::chrono::milliseconds{300});
    auto step = other.session().begin(work_kind::read, soon, {}, lookup::none, memory, known);
    if (step == step_result::done) {
        step = other.groups(read, seen);
        if (step == step_result::done) {
            seen.require_rows(all, {"{id: 1, n: 1}"});
            other.commit();
        }
    }
    if (step != step_result::done) {
        require(step == step_result::expired || step == step_result::broken,
                "a session that waits too long has expired");
        other.session().rollback();
    }
    on.run_by.commit();
    if (!other.session().usable()) {
        other.session().connect(other.until());
    }
    operations again;
    auto now = again.find(on.target);
    now.fields({"id", "n"});
    other.run(again).require_rows(now, {"{id: 1, n: 100}", "{id: 2, n: 2}"});
}

void atomic_all_or_nothing(conformance_fixture& fixture) {
    needs_transactions(fixture);
    stage on{fixture, things(fixture)};
    const auto accounts = uniques(fixture);
    fixture.prepare(accounts);
    on.inspect(accounts);
    operations first;
    const auto one = first.insert(on.target, {{"id", 1}, {"n", 1}});
    auto add = first.update(on.target, {1});
    add.inc({{"n", 5}});
    const auto other = first.insert(accounts, {{"id", 1}, {"email", "a"}});
    auto sees = first.fetch(on.target, {1});
    sees.fields({"n"});
    const auto got = on.run_by.run_atomic(first);
    got.require_count(one, 1);
    got.require_count(add, 1);
    got.require_count(other, 1);
    got.require_rows(sees, {"{n: 6}"});

    for (std::size_t bad = 0; bad < 4; ++bad) {
        operations ops;
        for (std::size_t i = 0; i < 4; ++i) {
            if (i != bad) {
                ops.insert(on.target, {{"id", 10 + i}, {"n", i}});
            } else if (bad % 2 == 0) {
                ops.insert(accounts, {{"id", 2}, {"email", "a"}});
            } else {
                ops.update(on.target, {99}).set({{"n", 1}});
            }
        }
        const auto failed = on.run_by.run_atomic(ops);
        for (std::size_t i = 0; i < 4; ++i) {
            const auto& outcome = failed.outcomes[i];
            if (i == bad) {
                require(outcome.status == core::status::error &&
                            outcome.code == (bad % 2 == 0 ? code::duplicate_key : code::not_found),
                        "the cause stands at its own place: " + text_of(outcome));
            } else {
                require(outcome.status == core::status::skipped && outcome.effect == effect::none,
                        "the others are skipped: " + text_of(outcome));
            }
        }
        require(on.rows({"id", "n"}) == rows{"{id: 1, n: 6}"}, "nothing of the group is there");
    }
}

void atomic_beside_independent(conformance_fixture& fixture) {
    needs_transactions(fixture);
    stage on{fixture, things(fixture)};
    operations ops;
    ops.insert(on.target, {{"id", 1}, {"n", 1}});
    ops.insert(on.target, {{"id", 2}, {"n", 1}}); // atomic with the next, which fails
    ops.insert(on.target, {{"id", 1}, {"n", 2}});
    ops.insert(on.target, {{"id", 3}, {"n", 1}});
    answer got;
    got.outcomes.resize(ops.size());
    on.run_by.begin(work_kind::write);
    auto& session = on.run_by.session();
    for (const auto& group :
         {ops.group(0, 1, group_mode::independent), ops.group(1, 2, group_mode::atomic),
          ops.group(3, 1, group_mode::independent)}) {
        require(session.run(group, got.sink, got.outcomes, ops.memory()) == step_result::done,
                "the group runs");
    }
    on.run_by.commit();
    require(got.outcomes[0].ok() && got.outcomes[3].ok(), "the neighbours are applied");
    require(got.outcomes[1].status == core::status::skipped, text_of(got.outcomes[1]));
    require(got.outcomes[2].code == code::duplicate_key, text_of(got.outcomes[2]));
    require(on.rows({"id"}) == rows{"{id: 1}", "{id: 3}"}, "an atomic group fails alone");
}

operation_identity identity(core::op_index index, std::string_view id,
                            std::string_view principal = "service",
                            std::string_view content = "content") {
    return {index, principal, id, core::hash(content)};
}

void inbox_answers_what_was_sealed(conformance_fixture& fixture) {
    needs_inbox(fixture);
    stage on{fixture, things(fixture)};
    const std::string binary{"{\"x\":\"\0\xff\"}", 10};
    const std::string long_reply(100'000, 'r');
    const auto zero = fresh("id/0");
    const auto one = fresh("id/1");
    const auto unicode = fresh("Ünïque");
    const std::vector<operation_identity> ids = {identity(0, zero), identity(1, one),
                                                 identity(2, unicode)};
    operations ops;
    for (int i = 0; i < 3; ++i) {
        ops.insert(on.target, {{"id", i}, {"n", 0}});
    }
    std::vector<stored_reply> known;
    on.run_by.begin(ops, ids, lookup::all, known);
    require(known.empty(), "nothing is known of new ids");
    answer got;
    require(on.run_by.groups(ops, got) == step_result::done, "the groups run");
    const std::vector<adapters::sealed_reply> sealed = {
        {ids[0], binary}, {ids[1], long_reply}, {ids[2], "{}"}};
    require(on.run_by.session().seal(sealed) == step_result::done, "the replies are sealed");
    on.run_by.commit();

    // Another session asks for them among others, in another order, under other indexes.
    driver other{fixture, "conformance other"};
    operations again;
    for (int i = 0; i < 5; ++i) {
        again.insert(on.target, {{"id", 10 + i}, {"n", 0}});
    }
    const std::vector<operation_identity> asked = {
        identity(0, "id/9"), identity(1, one), identity(2, zero, "somebody else"),
        identity(3, zero, "service", "other content"), identity(4, unicode)};
    known.clear();
    other.begin(again, asked, lookup::all, known);
    std::sort(known.begin(), known.end(),
              [](const auto& a, const auto& b) { return a.index < b.index; });
    require(known.size() == 3,
            "three of five ids are known, found were " + std::to_string(known.size()));
    require(known[0].index == 1 && known[0].reply == long_reply &&
                known[0].content == core::hash(std::string_view{"content"}),
            "a long reply comes back whole, under the index it was asked for");
    require(known[1].index == 3 && known[1].reply == binary,
            "a reply's bytes come back as they were");
    require(!(known[1].content == asked[3].content), "another content shows");
    require(known[2].index == 4 && known[2].reply == "{}", "ids may be any text");
    other.session().rollback();
}

void inbox_tells_a_surprise(conformance_fixture& fixture) {
    needs_inbox(fixture);
    stage on{fixture, things(fixture)};
    const auto a = fresh("a");
    const auto b = fresh("b");
    const auto c = fresh("c");
    const auto write = [&](driver& by, std::vector<operation_identity> ids, int row,
                           lookup how = lookup::none) {
        operations ops;
        ops.insert(on.target, {{"id", row}, {"n", 0}});
        std::vector<stored_reply> known;
        by.begin(ops, ids, how, known);
        require(known.empty(), "nothing is looked up, or nothing is known");
        answer got;
        auto step = by.groups(ops, got);
        require(step == step_result::done || step == step_result::known_id, "the groups run");
        std::vector<adapters::sealed_reply> sealed;
        for (const auto& id : ids) {
            sealed.push_back({id, "reply"});
        }
        if (step == step_result::done) {
            step = by.session().seal(sealed);
        }
        if (step == step_result::done) {
            by.commit();
        } else {
            by.session().rollback();
        }
        return step;
    };
    require(write(on.run_by, {identity(0, b)}, 1) == step_result::done, "a new id");
    driver other{fixture, "conformance other"};
    require(write(other, {identity(0, a), identity(1, b), identity(2, c)}, 2) ==
                step_result::known_id,
            "an id that another session stored is a surprise at the run or the seal");
    require(write(other, {identity(0, b, "service", "other content")}, 3) == step_result::known_id,
            "whatever its content");
    require(on.rows({"id"}) == rows{"{id: 1}"}, "what met a known id leaves nothing");
    require(write(other, {identity(0, a), identity(1, c)}, 4, lookup::all) == step_result::done,
            "ids of a unit that was rolled back are free");
    require(write(other, {identity(0, b, "another principal")}, 5) == step_result::done,
            "each principal has ids of its own");
    require(on.rows({"id"}) == rows{"{id: 1}", "{id: 4}", "{id: 5}"}, "the others are applied");
}

void inbox_of_a_session_that_went_away(conformance_fixture& fixture) {
    needs_inbox(fixture);
    stage on{fixture, things(fixture)};
    operations in;
    in.insert(on.target, {{"id", 1}, {"n", 0}});
    on.run(in);
    const auto series = fresh("gone/");
    // It worked and went away before it stored its replies, some of them after the next one began.
    for (int round = 0; round < 2; ++round) {
        std::vector<std::string> names;
        std::vector<operation_identity> ids;
        operations ops;
        const auto add = ops.update(on.target, {1}).inc({{"n", 1}});
        const auto insert = ops.insert(on.target, {{"id", 10 + round}, {"n", 7}});
        for (std::size_t i = 0; i < ops.size(); ++i) {
            names.push_back(series + std::to_string(round) + "/" + std::to_string(i));
        }
        for (std::size_t i = 0; i < ops.size(); ++i) {
            ids.push_back(identity(static_cast<core::op_index>(i), names[i]));
            ids.back().operation = &ops[i];
        }
        std::vector<stored_reply> known;
        {
            driver gone{fixture, "conformance gone"};
            gone.begin(ops, ids, lookup::none, known);
            answer got;
            require(gone.groups(ops, got) == step_result::done, "the groups run");
        }
        driver next{fixture, "conformance next"};
        next.begin(ops, ids, lookup::all, known);
        for (const auto& one : known) {
            require(one.reply.empty() && one.content == ids[one.index].content,
                    "of what was begun there is no reply");
        }
        answer got;
        require(next.groups(ops, got) == step_result::done, "the groups run");
        got.require_count(add, 1);
        got.require_count(insert, 1);
        std::vector<adapters::sealed_reply> sealed;
        for (const auto& id : ids) {
            sealed.push_back({id, id.id});
        }
        require(next.session().seal(sealed) == step_result::done, "the replies are sealed");
        next.commit();
        known.clear();
        next.begin(ops, ids, lookup::all, known);
        require(known.size() == ids.size(), "both are known");
        for (const auto& one : known) {
            require(one.reply == names[one.index], "with the reply that was sealed");
        }
        next.session().rollback();
    }
    require(on.rows({"id", "n"}) == rows{"{id: 1, n: 2}", "{id: 10, n: 7}", "{id: 11, n: 7}"},
            "each happened once");
}

void inbox_forgets_what_did_not_happen(conformance_fixture& fixture) {
    needs_inbox(fixture);
    stage on{fixture, things(fixture)};
    const auto name = fresh("refused");
    const operation_identity id = identity(0, name);
    operations ops;
    const auto update = ops.update(on.target, {5}).set({{"n", 1}});
    const auto attempt = [&] {
        answer got;
        std::vector<stored_reply> known;
        on.run_by.begin(ops, {&id, 1}, lookup::all, known);
        require(known.empty(), "an answer that was not sealed is not kept");
        require(on.run_by.groups(ops, got) == step_result::done, "the group runs");
        on.run_by.commit();
        return got;
    };
    attempt().require_error(update, code::not_found);
    operations in;
    in.insert(on.target, {{"id", 5}, {"n", 0}});
    on.run(in);
    attempt().require_count(update, 1);
}

void inbox_of_many(conformance_fixture& fixture) {
    needs_inbox(fixture);
    stage on{fixture, things(fixture)};
    std::vector<std::string> names;
    for (int i = 0; i < 200; ++i) {
        names.push_back(fresh("message-" + std::to_string(i * 7919 % 500) + "/0"));
    }
    operations ops;
    auto insert = ops.insert(on.target);
    std::vector<operation_identity> ids;
    std::vector<adapters::sealed_reply> sealed;
    for (std::size_t i = 0; i < 100; ++i) {
        insert.row({{"id", i}});
        ids.push_back(identity(static_cast<core::op_index>(i), names[i]));
        sealed.push_back({ids.back(), names[i]});
    }
    std::vector<stored_reply> known;
    on.run_by.begin(ops, ids, lookup::all, known);
    answer got;
    require(on.run_by.groups(ops, got) == step_result::done, "the groups run");
    require(on.run_by.session().seal(sealed) == step_result::done, "a hundred replies are sealed");
    on.run_by.commit();
    for (std::size_t i = 100; i < 200; ++i) {
        ids.push_back(identity(static_cast<core::op_index>(i), names[i]));
    }
    std::reverse(ids.begin(), ids.end());
    known.clear();
    on.run_by.begin(ops, ids, lookup::all, known);
    require(known.size() == 100, "those that were sealed are known");
    for (const auto& each : known) {
        require(each.index < 100 && each.reply == names[each.index],
                "each reply belongs to its id");
    }
    on.run_by.session().rollback();
}

void past_deadline_applies_nothing(conformance_fixture& fixture) {
    needs_transactions(fixture);
    stage on{fixture, things(fixture)};
    operations ops;
    ops.insert(on.target, {{"id", 1}, {"n", 1}});
    std::vector<stored_reply> known;
    answer got;
    const auto past = core::deadline::at(core::machine_clock().steady_now());
    auto& session = on.run_by.session();
    auto step = session.begin(work_kind::write, past, {}, lookup::none, ops.memory(), known);
    if (step == step_result::done) {
        step = on.run_by.groups(ops, got);
    }
    require(step == step_result::expired || step == step_result::broken,
            "nothing starts past the deadline");
    session.rollback();
    if (!session.usable()) {
        session.connect(on.run_by.until());
    }
    require(on.rows().empty(), "nothing was applied");
    on.run(ops);
    require(on.rows({"id"}) == rows{"{id: 1}"}, "the session serves on");
}

} // namespace

void add_units(cases& to) {
    to.push_back({"units and groups with nothing in them", nothing_to_do});
    to.push_back({"many units on one session", many_units_on_one_session});
    to.push_back({"rollback leaves nothing", rollback_leaves_nothing});
    to.push_back({"a rerun gives the same", rerun_gives_the_same});
    to.push_back({"a commit is seen by other sessions", commit_is_seen_by_others});
    to.push_back({"an open unit is seen by nobody", open_unit_is_seen_by_nobody});
    to.push_back({"atomic: all or nothing, the others skipped", atomic_all_or_nothing});
    to.push_back({"atomic beside independent groups", atomic_beside_independent});
    to.push_back({"inbox: what was sealed is answered", inbox_answers_what_was_sealed});
    to.push_back({"inbox: a known id shows", inbox_tells_a_surprise});
    to.push_back({"inbox: a session that went away", inbox_of_a_session_that_went_away});
    to.push_back({"inbox: what was refused may be tried again", inbox_forgets_what_did_not_happen});
    to.push_back({"inbox: many ids at once", inbox_of_many});
    to.push_back({"past the deadline nothing is applied", past_deadline_applies_nothing});
}

} // namespace beds::testing::conformance
