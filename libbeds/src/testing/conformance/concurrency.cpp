#include "testing/conformance/harness.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <functional>
#include <random>
#include <thread>

namespace beds::testing::conformance {

namespace {

constexpr int threads = 4;

/// Runs `work(thread)` on several threads and throws on what the first of them threw.
void on_threads(const std::function<void(int)>& work) {
    std::vector<std::exception_ptr> thrown(threads);
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i) {
        running.emplace_back([&work, &thrown, i] {
            try {
                work(i);
            } catch (...) {
                thrown[static_cast<std::size_t>(i)] = std::current_exception();
            }
        });
    }
    for (auto& each : running) {
        each.join();
    }
    for (const auto& each : thrown) {
        if (each) {
            std::rethrow_exception(each);
        }
    }
}

/// Sessions are made on the test's thread: the fixture is called by one thread only.
std::vector<std::unique_ptr<driver>> drivers(conformance_fixture& fixture) {
    std::vector<std::unique_ptr<driver>> made;
    for (int i = 0; i < threads; ++i) {
        made.push_back(std::make_unique<driver>(fixture, "conformance/" + std::to_string(i)));
    }
    return made;
}

void increments_are_not_lost(conformance_fixture& fixture) {
    stage on{fixture, things(fixture)};
    constexpr int keys = 16;
    constexpr int units = 40;
    constexpr int per_unit = 10;
    operations in;
    auto insert = in.insert(on.target);
    for (int i = 0; i < keys; ++i) {
        insert.row({{"id", i}, {"n", 0}});
    }
    on.run(in);
    const auto sessions = drivers(fixture);
    std::array<std::array<std::int64_t, keys>, threads> added{};
    on_threads([&](int thread) {
        const auto own = static_cast<std::size_t>(thread);
        std::mt19937 random{static_cast<unsigned>(thread) + 1};
        for (int unit = 0; unit < units; ++unit) {
            operations ops;
            std::vector<std::pair<operation_maker, int>> made;
            for (int i = 0; i < per_unit; ++i) {
                const int key = static_cast<int>(random() % keys);
                const int by = static_cast<int>(random() % 9) + 1;
                auto update = ops.update(on.target, {key});
                update.inc({{"n", by}});
                made.emplace_back(update, by);
            }
            const auto got = sessions[own]->run(ops);
            for (const auto& [update, by] : made) {
                got.require_count(update, 1);
                added[own][static_cast<std::size_t>(update.bound().key[0].integer)] += by;
            }
        }
    });
    const auto there = on.rows({"id", "n"});
    for (std::size_t key = 0; key < keys; ++key) {
        std::int64_t sum = 0;
        for (const auto& thread : added) {
            sum += thread[key];
        }
        const auto expected = "{id: " + std::to_string(key) + ", n: " + std::to_string(sum) + "}";
        require(there[key] == expected,
                "every increment is there once: " + there[key] + " instead of " + expected);
    }
}

void one_insert_of_a_key_wins(conformance_fixture& fixture) {
    stage on{fixture, uniques(fixture)};
    constexpr int keys = 60;
    const auto sessions = drivers(fixture);
    std::array<std::vector<int>, threads> won;
    on_threads([&](int thread) {
        const auto own = static_cast<std::size_t>(thread);
        std::mt19937 random{static_cast<unsigned>(thread) + 7};
        std::vector<int> order(keys);
        for (std::size_t i = 0; i < order.size(); ++i) {
            order[i] = static_cast<int>(i);
        }
        std::shuffle(order.begin(), order.end(), random);
        for (std::size_t first = 0; first < keys; first += 6) {
            operations ops;
            std::vector<operation_maker> made;
            for (std::size_t i = first; i < first + 6; ++i) {
                made.push_back(ops.insert(on.target, {{"id", order[i] * threads + thread},
                                                      {"email", std::to_string(order[i])},
                                                      {"a", order[i] * threads + thread},
                                                      {"note", std::to_string(thread)}}));
            }
            const auto got = sessions[own]->run(ops);
            for (std::size_t i = 0; i < made.size(); ++i) {
                if (got.outcome(made[i]).ok()) {
                    won[own].push_back(order[first + i]);
                } else {
                    got.require_error(made[i], code::duplicate_key, "email");
                }
            }
        }
    });
    std::vector<int> all;
    for (const auto& each : won) {
        all.insert(all.end(), each.begin(), each.end());
    }
    std::sort(all.begin(), all.end());
    require(all.size() == keys && std::adjacent_find(all.begin(), all.end()) == all.end(),
            "each unique value is inserted by one session, told were " +
                std::to_string(all.size()));
    require(on.rows({"email"}).size() == keys, "each unique value is there once");
}

void guarded_updates_take_turns(conformance_fixture& fixture) {
    // A counter by `if`: read it, write it when it is still what was read.
    stage on{fixture, things(fixture)};
    operations in;
    in.insert(on.target, {{"id", 1}, {"n", 0}});
    on.run(in);
    const auto sessions = drivers(fixture);
    constexpr int turns = 15;
    on_threads([&](int thread) {
        auto& by = *sessions[static_cast<std::size_t>(thread)];
        for (int done = 0; done < turns;) {
            operations read;
            auto fetch = read.fetch(on.target, {1});
            fetch.fields({"n"});
            const auto seen = by.run(read);
            seen.require_ok(fetch);
            const auto n = seen.of(fetch).rows.at(0).at("n").view().integer;
            operations change;
            auto update = change.update(on.target, {1});
            update.set({{"n", n + 1}}).expect({{"n", n}});
            const auto got = by.run(change);
            if (got.outcome(update).ok()) {
                ++done;
            } else {
                got.require_error(update, code::conflict);
            }
        }
    });
    require(on.rows({"n"}) ==
                std::vector<std::string>{"{n: " + std::to_string(threads * turns) + "}"},
            "nobody's turn was overwritten: " + on.rows({"n"})[0]);
}

void one_id_happens_once(conformance_fixture& fixture) {
    if (!fixture.adapter().can().inbox) {
        throw conformance_skip{"needs the inbox"};
    }
    stage on{fixture, things(fixture)};
    operations in;
    in.insert(on.target, {{"id", 1}, {"n", 0}});
    on.run(in);
    constexpr int ids = 25;
    const auto series = fresh("message ");
    const auto sessions = drivers(fixture);
    // All sessions do the same messages; each id must add once.
    on_threads([&](int thread) {
        auto& by = *sessions[static_cast<std::size_t>(thread)];
        for (int message = 0; message < ids;) {
            const auto name = series + std::to_string(message) + "/0";
            const operation_identity id{0, "service", name, core::hash(std::string_view{name})};
            operations ops;
            ops.update(on.target, {1}).inc({{"n", 1}});
            std::vector<stored_reply> known;
            by.begin(ops, {&id, 1}, lookup::all, known);
            if (!known.empty() && !known[0].reply.empty()) {
                require(known[0].reply == name, "the first reply is the one that is answered");
                by.session().rollback();
                ++message;
                continue;
            }
            answer got;
            auto step = by.groups(ops, got);
            if (step == step_result::done && got.outcomes[0].effect == effect::unknown) {
                by.session().rollback(); // another one is at it
                continue;
            }
            if (step == step_result::done) {
                require(got.outcomes[0].ok(), "it is applied: " + text_of(got.outcomes[0]));
                const adapters::sealed_reply reply{id, name};
                step = by.session().seal({&reply, 1});
            }
            if (step == step_result::done) {
                by.commit();
                ++message;
                continue;
            }
            require(step == step_result::rerun || step == step_result::known_id,
                    "two sessions with one id: rerun or known");
            by.session().rollback();
        }
    });
    require(on.rows({"n"}) == std::vector<std::string>{"{n: " + std::to_string(ids) + "}"},
            "each id happened once: " + on.rows({"n"})[0]);
}

} // namespace

void add_concurrency(cases& to) {
    to.push_back({"concurrent: increments are not lost", increments_are_not_lost});
    to.push_back({"concurrent: one insert of a unique value wins", one_insert_of_a_key_wins});
    to.push_back({"concurrent: guarded updates take turns", guarded_updates_take_turns});
    to.push_back({"concurrent: one id happens once", one_id_happens_once});
}

} // namespace beds::testing::conformance
