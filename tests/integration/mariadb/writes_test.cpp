#include "integration/mariadb/world.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <thread>

using namespace beds;
using namespace beds::test;
using adapters::commit_result;
using adapters::step_result;
using core::code;
using core::effect;
using testing::operations;

TEST_CASE("grouped updates: each row once, the missing one fails alone", "[mariadb]") {
    world here;
    make_accounts(here, 1000);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    for (int i = 600; i > 0; --i) {
        work.update(target, {i}).inc({{"balance", "1.50"}});
    }
    auto got = write(*session, work);
    REQUIRE(got.commit == commit_result::applied);
    for (unsigned i = 0; i < 600; ++i) {
        REQUIRE(got[i].effect == effect::applied);
        REQUIRE(got.rows.of(i).count == 1U);
    }
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "100900.00\n");

    operations mixed;
    mixed.update(target, {1}).set({{"status", "frozen"}});
    mixed.update(target, {5000}).set({{"status", "frozen"}});
    mixed.update(target, {2}).set({{"status", "open"}}); // is open already
    got = write(*session, mixed);
    CHECK(got[0].effect == effect::applied);
    CHECK(got[1].code == code::not_found);
    CHECK(got[1].effect == effect::none);
    CHECK(got[2].effect == effect::applied);
    CHECK(got.rows.of(2).count == 1U);
    CHECK(here.sql("SELECT COUNT(*) FROM accounts WHERE status='frozen'") == "1\n");
}

TEST_CASE("one bad operation of a group fails alone", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    auto target = accounts();
    target.fields[1].type.max = 0; // lets the server say what is too long
    auto session = here.session();
    SECTION("update") {
        operations work;
        work.update(target, {1}).inc({{"balance", "-10"}});
        work.update(target, {2}).inc({{"balance", "-1000"}}); // CHECK (balance >= 0)
        work.update(target, {3}).inc({{"balance", "-10"}});
        const auto got = write(*session, work);
        CHECK(got[0].effect == effect::applied);
        CHECK(got[1].code == code::constraint);
        CHECK(got[2].effect == effect::applied);
        CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "980.00\n");
    }
    SECTION("insert") {
        operations work;
        for (int i = 0; i < 5; ++i) {
            work.insert(target, {{"id", 100 + i},
                                 {"owner", i == 3 ? "owner7" : "new" + std::to_string(i)},
                                 {"balance", "1"}});
        }
        work.insert(target, {{"id", 1}, {"owner", "other"}, {"balance", "1"}});
        work.insert(target, {{"id", 200},
                             {"owner", "12345678901234567890123456789012345678901"},
                             {"balance", "1"}});
        work.insert(target, {{"id", 201}, {"owner", nullptr}, {"balance", "1"}});
        const auto got = write(*session, work);
        CHECK(got[0].effect == effect::applied);
        CHECK(got[3].code == code::duplicate_key);
        CHECK(got[3].field == "owner");
        CHECK(got[5].code == code::duplicate_key);
        CHECK(got[5].field == "id");
        CHECK(got[6].code == code::constraint);
        CHECK(got[6].field == "owner");
        CHECK(got[7].code == code::constraint);
        CHECK(got[7].field == "owner");
        CHECK(got.rows.of(0).keys.size() == 1);
        CHECK(got.rows.of(3).keys.empty());
        CHECK(got.rows.violations().empty());
        CHECK(here.sql("SELECT COUNT(*) FROM accounts") == "14\n");
    }
    SECTION("delete") {
        here.sql(
            "CREATE TABLE children (id INT PRIMARY KEY, parent BIGINT, "
            "FOREIGN KEY (parent) REFERENCES accounts (id)); INSERT INTO children VALUES (1, 4)");
        operations work;
        work.remove(target, {3});
        work.remove(target, {4});
        work.remove(target, {99});
        const auto got = write(*session, work);
        CHECK(got[0].effect == effect::applied);
        CHECK(got[1].code == code::constraint);
        CHECK(got[2].code == code::not_found);
    }
    CHECK(here.log().text().empty());
}

TEST_CASE("if and where", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    work.update(target, {1}).set({{"status", "frozen"}}).expect({{"status", "open"}});
    auto got = write(*session, work);
    CHECK(got[0].effect == effect::applied);
    got = write(*session, work);
    CHECK(got[0].code == code::conflict);
    CHECK(got[0].effect == effect::none);
    operations missing;
    missing.update(target, {77}).set({{"status", "frozen"}}).expect({{"status", "open"}});
    CHECK(write(*session, missing)[0].code == code::not_found);
    operations by_where;
    by_where.update(target)
        .where("owner", adapters::comparison::prefix, {"owner1"})
        .inc({{"balance", 1}});
    got = write(*session, by_where);
    CHECK(got.rows.of(0).count == 2U); // owner1, owner10
    operations none;
    none.remove(target).where("owner", "nobody");
    got = write(*session, none);
    CHECK(got[0].ok());
    CHECK(got[0].effect == effect::none);
    CHECK(got.rows.of(0).count == 0U);
}

TEST_CASE("generated keys and several rows", "[mariadb]") {
    world here;
    here.sql(
        "CREATE TABLE `lines` (id BIGINT AUTO_INCREMENT PRIMARY KEY, word VARCHAR(10) UNIQUE)");
    const auto target = testing::template_maker("lines")
                            .field("id", "int64", {.source = templates::generated::database})
                            .field("word", "string:10")
                            .key({"id"})
                            .unique({"word"})
                            .build();
    auto session = here.session();
    operations work;
    for (int i = 0; i < 7; ++i) {
        work.insert(target, {{"word", "w" + std::to_string(i)}});
    }
    auto got = write(*session, work);
    for (unsigned i = 0; i < 7; ++i) {
        REQUIRE(got[i].effect == effect::applied);
        REQUIRE(got.rows.of(i).keys.size() == 1);
        CHECK(here.sql("SELECT word FROM `lines` WHERE id = " +
                       testing::to_string(got.rows.of(i).keys[0][0])) ==
              "w" + std::to_string(i) + "\n");
    }
    operations many;
    auto op = many.insert(target);
    for (int i = 0; i < 300; ++i) {
        op.row({{"word", "m" + std::to_string(i)}});
    }
    got = write(*session, many);
    CHECK(got[0].effect == effect::applied);
    CHECK(got.rows.of(0).count == 300U);
    CHECK(got.rows.of(0).keys.size() == 300);

    operations twice;
    auto bad = twice.insert(target);
    for (int i = 0; i < 300; ++i) {
        bad.row({{"word", i == 299 ? "m7" : "n" + std::to_string(i)}});
    }
    got = write(*session, twice);
    CHECK(got[0].code == code::duplicate_key);
    CHECK(got[0].field == "word");
    CHECK(got.rows.of(0).keys.empty());
    CHECK(here.sql("SELECT COUNT(*) FROM `lines`") == "307\n");
}

TEST_CASE("the inbox remembers", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    auto other = here.session();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    work.update(target, {2}).inc({{"balance", 1}});
    const identities who{.ids = {"m1/0", "m1/1"}};
    REQUIRE(write(*session, work, who).commit == commit_result::applied);

    SECTION("a surprise at the end") {
        const auto again = write(*other, work, who);
        CHECK(again.step == step_result::known_id);
    }
    SECTION("asked first") {
        auto asked = who;
        asked.how = adapters::lookup::all;
        asked.ids.push_back("m1/2");
        asked.ids.push_back("m1/1");
        const auto again = write(*other, work, asked);
        REQUIRE(again.known.size() == 3);
        for (const auto& known : again.known) {
            CHECK(known.reply == R"({"status":"ok"})");
            CHECK(known.index != 2);
            CHECK(known.content == core::hash(std::string_view{asked.ids[known.index]}));
        }
    }
    SECTION("another principal's ids are others") {
        auto stranger = who;
        stranger.principal = "someone else";
        stranger.how = adapters::lookup::all;
        CHECK(write(*other, work, stranger).commit == commit_result::applied);
        CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1004.00\n");
        return;
    }
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1002.00\n");
    CHECK(here.sql("SELECT COUNT(*) FROM beds_inbox") == "2\n");
}

TEST_CASE("four brokers on overlapping keys lose nothing", "[mariadb]") {
    world here;
    make_accounts(here, 20);
    const auto target = accounts();
    constexpr int threads = 4;
    constexpr int units = 60;
    constexpr int operations_each = 12;
    std::atomic<int> applied{0};
    std::atomic<int> reruns{0};
    std::atomic<int> trouble{0};
    std::vector<std::thread> brokers;
    for (int t = 0; t < threads; ++t) {
        brokers.emplace_back([&, t] {
            auto session = here.session();
            unsigned seed = static_cast<unsigned>(t) * 7919U + 1U;
            for (int u = 0; u < units; ++u) {
                operations work;
                identities who;
                for (int i = 0; i < operations_each; ++i) {
                    seed = seed * 1103515245U + 12345U;
                    // Strides that meet each other; the keys of one group differ.
                    const int key = static_cast<int>((seed >> 16U) % 3U) + (i * 7) % 20 + 1;
                    bool there = false;
                    for (std::size_t k = 0; k < work.size(); ++k) {
                        there = there || work[k].key[0].integer == key;
                    }
                    if (there) {
                        continue;
                    }
                    work.update(target, {key}).inc({{"balance", 1}});
                    who.ids.push_back(std::to_string(t) + "/" + std::to_string(u) + "/" +
                                      std::to_string(i));
                }
                const auto got = write(*session, work, who);
                reruns += got.reruns;
                if (got.commit != commit_result::applied) {
                    ++trouble;
                    continue;
                }
                for (const auto& outcome : got.outcomes) {
                    applied += outcome.effect == effect::applied ? 1 : 0;
                }
            }
        });
    }
    for (auto& broker : brokers) {
        broker.join();
    }
    CHECK(trouble == 0);
    CHECK(applied > threads * units * 5);
    CHECK(here.sql("SELECT SUM(balance) - 2000 FROM accounts") ==
          std::to_string(applied.load()) + ".00\n");
    CHECK(here.sql("SELECT COUNT(*) FROM beds_inbox") == std::to_string(applied.load()) + "\n");
    WARN("reruns after deadlocks: " << reruns.load());
}

TEST_CASE("a deadlock is reported as a rerun, and the rerun succeeds", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    std::atomic<int> reruns{0};
    std::atomic<int> holding{0};
    const auto broker = [&](int first, int second) {
        auto session = here.session();
        operations work;
        work.update(target, {first}).inc({{"balance", 1}});
        work.update(target, {second}).inc({{"balance", 1}});
        for (bool again = true; again;) {
            std::vector<core::outcome> outcomes(2);
            testing::recording_sink rows;
            std::vector<adapters::stored_reply> known;
            auto step = session->begin(adapters::work_kind::write, core::deadline::after(10s), {},
                                       adapters::lookup::none, work.memory(), known);
            for (std::size_t i = 0; i < 2 && step == step_result::done; ++i) {
                step = session->run(work.group(i, 1, adapters::group_mode::independent), rows,
                                    outcomes, work.memory());
                // Both hold their first row before either wants its second.
                for (++holding; i == 0 && reruns == 0 && holding < 2;) {
                    std::this_thread::yield();
                }
            }
            again = step == step_result::rerun;
            if (again) {
                ++reruns;
                session->rollback();
            } else if (session->commit() != commit_result::applied) {
                reruns = 100;
            }
        }
    };
    std::thread one{broker, 1, 2};
    std::thread two{broker, 2, 1};
    one.join();
    two.join();
    CHECK(reruns == 1);
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1004.00\n");
}

TEST_CASE("a group that fails does not undo the groups before it", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    const auto target = accounts();
    auto session = here.session();
    operations work;
    work.update(target, {1}).inc({{"balance", 1}});
    work.update(target, {99}).inc({{"balance", 1}});
    work.update(target, {2}).set({{"status", "closed"}});
    work.update(target, {98}).set({{"status", "closed"}});
    work.update(target, {3}).set({{"status", "closed"}});
    work.insert(target, {{"id", 50}, {"owner", "fifty"}, {"balance", 1}});
    work.insert(target, {{"id", 51}, {"owner", "fifty"}, {"balance", 1}});
    work.remove(target, {4});
    work.remove(target, {97});
    std::vector<adapters::stored_reply> known;
    std::vector<core::outcome> results(work.size());
    testing::recording_sink rows;
    REQUIRE(session->begin(adapters::work_kind::write, core::deadline::after(5s), {},
                           adapters::lookup::none, work.memory(), known) == step_result::done);
    const std::pair<std::size_t, std::size_t> groups[] = {{0, 2}, {2, 3}, {5, 2}, {7, 2}};
    for (const auto& [first, count] : groups) {
        REQUIRE(session->run(work.group(first, count, adapters::group_mode::independent), rows,
                             results, work.memory()) == step_result::done);
    }
    REQUIRE(session->commit() == commit_result::applied);
    const std::vector<code> wanted{
        code::ok, code::not_found,     code::ok, code::not_found, code::ok,
        code::ok, code::duplicate_key, code::ok, code::not_found};
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        CAPTURE(i);
        CHECK(results[i].code == wanted[i]);
    }
    CHECK(here.sql("SELECT balance FROM accounts WHERE id = 1") == "101.00\n");
    CHECK(here.sql("SELECT COUNT(*) FROM accounts WHERE status = 'closed'") == "2\n");
    CHECK(here.sql("SELECT COUNT(*) FROM accounts") == "10\n");
}

TEST_CASE("values of many sizes in one group, and too large ones", "[mariadb]") {
    world here;
    here.sql("CREATE TABLE blobs (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT)");
    const auto target = testing::template_maker("blobs")
                            .field("id", "int32")
                            .field("b", "bytes")
                            .field("t", "string")
                            .key({"id"})
                            .build();
    auto session = here.session();
    const auto size_of = [](int i) { return std::size_t{1} << static_cast<unsigned>(i); };
    operations inserts;
    operations updates;
    operations reads;
    for (int i = 0; i < 22; ++i) {
        inserts.insert(target, {{"id", i}, {"b", std::string(size_of(i), '\0')}, {"t", "x"}});
        updates.update(target, {21 - i})
            .set({{"t", std::string(size_of(i) - 1, 'y') + "\xC3\xBC"}});
        reads.fetch(target, {i});
    }
    REQUIRE(write(*session, inserts).commit == commit_result::applied);
    const auto changed = write(*session, updates);
    for (unsigned i = 0; i < 22; ++i) {
        CHECK(changed[i].effect == effect::applied);
    }
    const auto got = read(*session, reads);
    for (int i = 0; i < 22; ++i) {
        const auto& row = got.rows.of(static_cast<core::op_index>(i)).rows.at(0);
        CHECK(row.at("b").view().text.size() == size_of(i));
        CHECK(row.at("t").view().text.size() == size_of(21 - i) + 1);
    }

    // Together more than one packet, each alone less; the last one is too large by itself.
    const auto packet = std::stoull(here.sql("SELECT @@max_allowed_packet"));
    operations large;
    for (int i = 0; i < 5; ++i) {
        large.update(target, {i}).set({{"b", std::string(packet / 4, 'z')}});
    }
    large.update(target, {10}).set({{"b", std::string(packet + 1, 'z')}});
    const auto done = write(*session, large);
    REQUIRE(done.commit == commit_result::applied);
    for (unsigned i = 0; i < 5; ++i) {
        CHECK(done[i].effect == effect::applied);
    }
    CHECK(done[5].code == code::limit_exceeded);
    CHECK(done[5].effect == effect::none);
    CHECK(session->usable());
    CHECK(here.sql("SELECT COUNT(*) FROM blobs WHERE LENGTH(b) = " + std::to_string(packet / 4)) ==
          "5\n");
}

TEST_CASE("a trigger's refusal is the DBA's", "[mariadb]") {
    world here;
    make_accounts(here, 10);
    here.sql("UPDATE accounts SET status = 'frozen' WHERE id = 5;\nDELIMITER //\n"
             "CREATE TRIGGER guard BEFORE UPDATE ON accounts FOR EACH ROW BEGIN "
             "IF OLD.status = 'frozen' THEN SIGNAL SQLSTATE '45010'; END IF; END//\n");
    auto target = accounts();
    target.write_errors = {{"45010", "FROZEN"}};
    auto session = here.session();
    operations work;
    for (int i = 1; i <= 10; ++i) {
        work.update(target, {i}).inc({{"balance", 1}});
    }
    const auto got = write(*session, work);
    for (unsigned i = 0; i < 10; ++i) {
        CHECK(got[i].code == (i == 4 ? code::rejected : code::ok));
    }
    CHECK(got[4].reason == "FROZEN");
    CHECK(here.sql("SELECT SUM(balance) FROM accounts") == "1009.00\n");
}

TEST_CASE("which CHECK refused is in the log", "[mariadb]") {
    world here;
    here.sql(
        "CREATE TABLE ranges (id INT PRIMARY KEY, low INT, high INT, CONSTRAINT in_order CHECK "
        "(low <= high), CONSTRAINT not_negative CHECK (low >= 0))");
    const auto target = testing::template_maker("ranges")
                            .field("id", "int32")
                            .field("low", "int32")
                            .field("high", "int32")
                            .key({"id"})
                            .build();
    auto session = here.session("test", observe::level::debug);
    operations work;
    work.insert(target, {{"id", 1}, {"low", 4711}, {"high", 4}});
    work.insert(target, {{"id", 2}, {"low", 1}, {"high", 2}});
    const auto got = write(*session, work);
    CHECK(got[0].code == code::constraint);
    CHECK(got[1].effect == effect::applied);
    const auto log = here.log().text();
    CHECK(log.find("BEDS_MARIADB_RULE") != std::string::npos);
    CHECK(log.find("ranges.insert: CONSTRAINT `in_order` failed") != std::string::npos);
    CHECK(log.find("4711") == std::string::npos);
}

TEST_CASE("a table that comes after its session", "[mariadb]") {
    world here;
    const auto target =
        testing::template_maker("late").field("id", "uuid").field("n", "int32").key({"id"}).build();
    auto session = here.session();
    const std::string id = "00112233-4455-6677-8899-aabbccddeeff";
    operations work;
    work.insert(target, {{"id", id}, {"n", 1}});
    auto got = write(*session, work);
    CHECK(got[0].code == code::backend_unavailable);
    CHECK(got[0].effect == effect::none);
    CHECK(here.log().has("BEDS_MARIADB_MISFIT"));
    here.sql("CREATE TABLE late (id BINARY(16) PRIMARY KEY, n INT)");
    got = write(*session, work);
    CHECK(got[0].effect == effect::applied);
    operations reads;
    reads.fetch(target, {id});
    CHECK(read(*session, reads).rows.of(0).rows.size() == 1);
}

TEST_CASE("values of a refused row do not reach the log", "[mariadb]") {
    world here;
    make_accounts(here, 3);
    auto target = accounts();
    target.fields[1].type.max = 0;
    auto session = here.session();
    operations work;
    work.insert(target, {{"id", 1}, {"owner", "canary4711"}, {"balance", 1}});
    work.insert(target, {{"id", 9}, {"owner", "owner2"}, {"balance", 1}});
    work.insert(target, {{"id", 10},
                         {"owner", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxcanary4711"},
                         {"balance", 1}});
    const auto got = write(*session, work);
    CHECK(got[0].code == code::duplicate_key);
    CHECK(got[1].code == code::duplicate_key);
    CHECK(got[2].code == code::constraint);
    CHECK_FALSE(here.log().has("canary"));
    CHECK_FALSE(here.log().has("owner2"));
}
